//! Checks of recipients: each gets one message for each event that asks for it, up to a limit.

use std::collections::{BTreeMap, BTreeSet};

use answerback::domain::{
    Delivery, Request, RequestEvent,
    delivery::{DeliveryEnd, DeliveryState, SkipReason, Target, message::MESSAGES_MAX},
    request::StepAction,
};

use super::{Invariant, Left};
use crate::{seen::Want, world::since_start};

/// An event that asks for messages, by its kind and its time.
type Occasion = (&'static str, i64);

/// The recipients of an event.
#[derive(Clone, Debug, Default)]
struct Wanted {
    /// The rows that certainly get a message.
    certain: Vec<usize>,
    /// The rows that may get one: they answered, or were asked, at the time of the event.
    possible: Vec<usize>,
}

impl Left<'_> {
    /// The messages to the recipient of a row, in the order of their events.
    pub(super) fn messages_to(&self, request: &Request, row: usize) -> Vec<Delivery> {
        let is_to = |it: &&Delivery| match &it.target {
            Target::Message(message) => message.row == row && request.is_message(it.id, row),
            Target::Test(_)
            | Target::Update(_)
            | Target::Https(_)
            | Target::Bus
            | Target::Erased => false,
        };
        let mut messages: Vec<Delivery> = self.deliveries.values().filter(is_to).cloned().collect();
        messages.sort_by_key(|it| it.event().number());
        messages
    }

    /// Every recipient of an event with a way has one message, and others have none.
    pub(super) fn check_recipients(&mut self, request: &Request) {
        let occasions = self.occasions(request);
        self.check_reminders(request, &occasions);
        for row in 0..request.rows().len() {
            let messages = self.messages_to(request, row);
            let has_ways = !request.notifiers_of(row).is_empty();
            for (occasion, wanted) in &occasions {
                let is_of = |it: &&Delivery| Self::occasion_of(it) == *occasion;
                let n = messages.iter().filter(is_of).count();
                let least = usize::from(has_ways && wanted.certain.contains(&row));
                let may = wanted.certain.contains(&row) || wanted.possible.contains(&row);
                let most = usize::from(has_ways && may);
                let what =
                    || format!("row {row} of {} has {n} messages for {occasion:?}", request.id);
                self.hold(Invariant::NothingLost, n >= least, what);
                self.hold(Invariant::NoStrayDuplicate, n <= most, what);
            }
            for (place, message) in messages.iter().enumerate() {
                let occasion = Self::occasion_of(message);
                self.hold(Invariant::Wanted, occasions.contains_key(&occasion), || {
                    format!("row {row} of {} has a message for {occasion:?}", request.id)
                });
                let is_over = place >= usize::try_from(MESSAGES_MAX).expect("12");
                let is_skipped = matches!(
                    message.state,
                    DeliveryState::Done { end: DeliveryEnd::Skipped(SkipReason::MessageLimit), .. }
                );
                self.hold(Invariant::BudgetsKept, is_skipped == is_over, || {
                    format!("{} is message {place} of row {row}: {:?}", message.id, message.state)
                });
                self.check_message(request, message);
            }
        }
    }

    fn occasion_of(message: &Delivery) -> Occasion {
        let kinds = [RequestEvent::RequestReminded, RequestEvent::RequestEscalated];
        let kind = kinds.into_iter().find(|it| message.event_type == *it);
        let kind = kind.unwrap_or(RequestEvent::RequestCreated);
        (kind.as_str(), since_start(message.happened_at))
    }

    /// The events of a request that ask for messages, and their recipients.
    fn occasions(&self, request: &Request) -> BTreeMap<Occasion, Wanted> {
        let mut occasions: BTreeMap<Occasion, Wanted> = BTreeMap::new();
        let at_first = Wanted { certain: (0..request.n_places()).collect(), ..Wanted::default() };
        let created_at = since_start(request.created_at);
        occasions.insert((RequestEvent::RequestCreated.as_str(), created_at), at_first);
        let mut runs = Vec::new();
        for (step, of) in request.policy.steps.iter().enumerate() {
            let Some(at) = request.step_done_at(step).map(since_start) else { continue };
            match of.action {
                StepAction::Remind => {
                    runs.push(at);
                    let wanted = self.unanswered_at(request, at);
                    occasions.insert((RequestEvent::RequestReminded.as_str(), at), wanted);
                }
                StepAction::Escalate { .. } => {
                    let occasion = (RequestEvent::RequestEscalated.as_str(), at);
                    let wanted = occasions.entry(occasion).or_default();
                    wanted.certain.extend(request.rows_of_step(step));
                }
            }
        }
        // Reminders that the sender asked for.
        let reminded = RequestEvent::RequestReminded;
        let of = self
            .deliveries
            .values()
            .filter(|it| it.request() == Some(request.id) && it.event_type == reminded);
        for at in of.map(|it| since_start(it.happened_at)).filter(|it| !runs.contains(it)) {
            let wanted = self.unanswered_at(request, at);
            occasions.insert((reminded.as_str(), at), wanted);
        }
        occasions
    }

    /// A reminder that was acknowledged has an event, if somebody had to answer.
    fn check_reminders(&mut self, request: &Request, occasions: &BTreeMap<Occasion, Wanted>) {
        let numbers = 0..self.requests.len();
        let is_it = |it: &usize| self.requests[*it].as_ref().is_some_and(|it| it.id == request.id);
        let Some(number) = numbers.into_iter().find(is_it) else { return };
        let skew = 2 * self.over.scenario.weather.skew;
        for call in self.done(number) {
            let Want::Remind { asked_at, .. } = call.want else { continue };
            let rows = self.unanswered_at(request, call.ended_at).certain.into_iter();
            let mut rows = rows.filter(|row| !request.notifiers_of(*row).is_empty());
            let is_needed =
                rows.any(|row| !Self::may_be_settled(request, row, call.ended_at + skew));
            let times = asked_at - skew..=call.ended_at + skew;
            let is_reminder = |(kind, at): &Occasion| {
                *kind == RequestEvent::RequestReminded.as_str() && times.contains(at)
            };
            let is_sent = occasions.keys().any(is_reminder);
            self.hold(Invariant::NothingLost, is_sent || !is_needed, || {
                format!("the reminder at {asked_at} of {} was not sent", request.id)
            });
        }
    }

    /// The rows of those who had been asked and had not answered at this time.
    fn unanswered_at(&self, request: &Request, at: i64) -> Wanted {
        // The event has the time at which its operation began, and others may end in between.
        let margin = self.hesitation();
        let mut wanted = Wanted::default();
        for (row, answer) in request.rows().iter().enumerate() {
            let Some(asked_at) = Self::asked_at(request, row) else { continue };
            let answered_at = answer.as_ref().map_or(i64::MAX, |it| since_start(it.at));
            let is_changed = request.n_answers(row) > 1;
            // One write takes several steps, and reminds those who were asked before.
            if asked_at == at || asked_at > at + margin || answered_at < at - margin {
                continue;
            }
            let is_certain =
                asked_at < at - margin && answered_at > at.saturating_add(margin) && !is_changed;
            let rows = if is_certain { &mut wanted.certain } else { &mut wanted.possible };
            rows.push(row);
        }
        wanted
    }

    /// The time at which the recipient of a row was asked, if that happened.
    pub(super) fn asked_at(request: &Request, row: usize) -> Option<i64> {
        if row < request.n_places() {
            return Some(since_start(request.created_at));
        }
        let mut steps = 0..request.policy.steps.len();
        let step = steps.find(|it| request.rows_of_step(*it).contains(&row))?;
        request.step_done_at(step).map(since_start)
    }

    /// The number of reminders that a sender may have asked for, each with its own key.
    pub(super) fn n_reminders_asked(&self, number: usize) -> usize {
        let calls = self.seen.calls.iter().map(|it| (it.request, &it.want));
        let unanswered = self.seen.unanswered.iter().map(|it| (it.0, &it.1));
        let key = |(of, want): (usize, &Want)| match want {
            Want::Remind { key, .. } if of == number => Some(key.clone()),
            _ => None,
        };
        calls.chain(unanswered).filter_map(key).collect::<BTreeSet<String>>().len()
    }
}
