//! Checks of reminders and escalations.

use std::collections::BTreeSet;

use answerback::domain::{
    Request,
    request::{CLOCK_GUARD, RequestState, Step, StepAction},
};

use super::{
    Invariant, Left,
    timely::{HINT_DELAY_MAX, MOMENT},
};
use crate::{fleet::MINUTE, world::since_start};

impl Left<'_> {
    /// Steps come at their time, and change the number of answers needed never.
    pub(super) fn check_steps(&mut self, number: usize, request: &Request) {
        if let RequestState::Erased { .. } = request.state() {
            return;
        }
        let id = request.id;
        let plan = &self.over.scenario.requests[number];
        let n_first = plan.body["recipients"].as_array().map_or(1, Vec::len);
        self.hold(Invariant::OneOutcome, request.n_places() == n_first, || {
            format!("{id} needs the answers of {}, not of {n_first}", request.n_places())
        });
        let guard = i64::try_from(CLOCK_GUARD.as_millis()).expect("2 s");
        let lag = self.over.scenario.weather.lag;
        for step in 0..request.policy.steps.len() {
            let done_at = request.step_done_at(step).map(since_start);
            let (Some(at), Some(done_at)) = (request.step_at(step).map(since_start), done_at)
            else {
                continue;
            };
            self.hold(Invariant::NothingEarly, done_at >= at + guard, || {
                format!("step {step} of {id} was due at {at}, and was taken at {done_at}")
            });
            let is_swept = at - since_start(request.created_at) + guard > HINT_DELAY_MAX;
            // The guard band, and the hint rounded up to a second, or a sweep.
            let way = if is_swept { MINUTE + lag } else { 1_000 };
            let latest = self.latest(at, guard + way + MOMENT);
            self.hold(Invariant::InTime, done_at <= latest, || {
                format!("step {step} of {id} was due at {at}, and was taken at {done_at}")
            });
        }
    }

    /// The number of escalations that a request has made.
    pub(super) fn n_escalations(request: &Request) -> usize {
        let steps = request.policy.steps.iter().enumerate();
        let is_done = |(step, it): &(usize, &Step)| {
            it.action != StepAction::Remind && request.step_done_at(*step).is_some()
        };
        steps.filter(is_done).count()
    }

    /// The number of reminders that a request has sent. Reminders of one write are one.
    pub(super) fn n_reminders(request: &Request) -> usize {
        let steps = request.policy.steps.iter().enumerate();
        let reminders = steps.filter(|(_, it)| it.action == StepAction::Remind);
        let times: BTreeSet<_> =
            reminders.filter_map(|(step, _)| request.step_done_at(step)).collect();
        times.len()
    }
}
