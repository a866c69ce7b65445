//! Checks of requests against the responses to their callers.

use std::collections::BTreeSet;

use answerback::domain::{
    Request, RequestEvent,
    consumption::Consumption,
    delivery::Target,
    quorum::QuorumVerdict,
    request::{AnswerMode, CLOCK_GUARD, OnUnreachable, Outcome, RequestEnd, RequestState},
};
use serde_json::Value;

use super::{Invariant, Left, told::Told};
use crate::{
    seen::{Called, Invocation, Want},
    world::since_start,
};

impl Left<'_> {
    pub(super) fn check_requests(&mut self) {
        for number in 0..self.requests.len() {
            self.check_creation(number);
            let Some(request) = self.requests[number].clone() else { continue };
            self.check_answers(number, &request);
            self.check_end(number, &request);
            self.check_steps(number, &request);
            self.check_readers(number, &request);
            self.check_own_writes(number, &request);
        }
        for request in self.all_requests.clone() {
            self.check_rest(&request);
        }
    }

    /// The request is at rest: no work is left, and it has ended once for all its targets.
    fn check_rest(&mut self, request: &Request) {
        let id = request.id;
        self.hold(Invariant::AtRest, *request.state() != RequestState::Pending, || {
            format!("{id} is still pending")
        });
        self.hold(
            Invariant::AtRest,
            request.outbox().is_empty() && request.due_at().is_none(),
            || format!("{id} still has events to send"),
        );
    }

    fn check_creation(&mut self, number: usize) {
        let created: BTreeSet<&str> = self
            .done(number)
            .filter(|it| it.want == Want::Create)
            .filter_map(|it| it.body["id"].as_str())
            .collect();
        self.hold(Invariant::NoStrayDuplicate, created.len() <= 1, || {
            format!("one idempotency key made {created:?}")
        });
        let is_lost = !created.is_empty() && self.requests[number].is_none();
        self.hold(Invariant::NothingLost, !is_lost, || format!("{created:?} is gone"));
    }

    fn check_answers(&mut self, number: usize, request: &Request) {
        let is_shown = match request.state() {
            RequestState::Erased { .. } => return,
            RequestState::Pending => true,
            RequestState::Ended(end) => !end.consumption.is_over(),
        };
        for row in 0..request.rows().len() {
            let calls: Vec<(&Called, &str)> = self
                .done(number)
                .filter_map(|it| match it.want {
                    Want::Answer { row: of, option } if of == row => Some((it, option)),
                    _ => None,
                })
                .collect();
            let recorded = request.rows()[row].as_ref();
            self.hold(Invariant::NothingLost, calls.is_empty() || recorded.is_some(), || {
                format!("row {row} of {} was answered, and is empty", request.id)
            });
            let Some(recorded) = recorded.filter(|_| is_shown) else { continue };
            let option = recorded.answer.option.as_deref().unwrap_or_default();
            let is_final = request.policy.mode == AnswerMode::OnUserAction;
            // Only a later answer may replace an acknowledged one.
            let stands = calls.is_empty()
                || calls.iter().any(|(call, of)| {
                    let overtaken = calls.iter().any(|(it, _)| it.began_at >= call.ended_at);
                    *of == option && (is_final || !overtaken)
                })
                || !is_final && self.may_be_unheard(number, row, option);
            self.hold(Invariant::NothingLost, stands, || {
                format!(
                    "row {row} of {} has `{option}`, which differs from the acknowledged answer",
                    request.id
                )
            });
            let differ: BTreeSet<&str> = calls.iter().map(|it| it.1).collect();
            self.hold(Invariant::OneOutcome, !is_final || differ.len() <= 1, || {
                format!("row {row} of {} took {differ:?}", request.id)
            });
        }
    }

    /// Returns true if a call without a response may have recorded this answer.
    fn may_be_unheard(&self, number: usize, row: usize, option: &str) -> bool {
        self.seen.unanswered.iter().any(|(of, want)| {
            *of == number
                && matches!(want, Want::Answer { row: of, option: it } if *of == row && *it == option)
        })
    }

    fn check_end(&mut self, number: usize, request: &Request) {
        let id = request.id;
        let skew = self.over.scenario.weather.skew;
        let deadline = since_start(request.deadline);
        let guard = i64::try_from(CLOCK_GUARD.as_millis()).expect("2 s");
        let tales = self.tales(number, request);
        let expired_at = Self::expired_at(request);
        for (at, told) in &tales {
            let by_time = told.is_by_time(request.policy.mode);
            let earliest = expired_at.unwrap_or(deadline + guard);
            self.hold(Invariant::NothingEarly, !by_time || *at >= earliest - skew, || {
                format!("{id} is reported as timed out {} ms before its deadline", deadline - at)
            });
        }
        let first = tales.first().map(|(_, told)| told.clone()).unwrap_or_default();
        for (_, told) in &tales {
            self.hold(Invariant::OneOutcome, told.agrees(&first), || {
                format!("{id} is reported as {first:?} and as {told:?}")
            });
            self.check_answers_told(number, request, told);
        }
        let RequestState::Ended(end) = request.state() else { return };
        let own = Told::own(request, end);
        for (_, told) in &tales {
            self.hold(Invariant::OneOutcome, told.agrees(&own), || {
                format!("{id} ended as {own:?}, but is reported as {told:?}")
            });
        }
        self.check_verdict(request, end);
        let at = since_start(end.at);
        let by_time = Told::own(request, end).is_by_time(request.policy.mode);
        let is_due = at == deadline || expired_at == Some(at);
        self.hold(Invariant::NothingEarly, !by_time || is_due, || {
            format!("{id} timed out at {at}, and its deadline was at {deadline}")
        });
        // The sender may cancel until the time-out is settled.
        let latest = match end.outcome {
            Outcome::Cancelled => deadline + guard,
            _ => deadline,
        };
        self.hold(Invariant::NothingEarly, at <= latest, || {
            format!("{id} was ended at {at}, after its deadline at {deadline}")
        });
        for row in request.rows().iter().flatten() {
            self.hold(Invariant::NothingEarly, row.at < request.deadline, || {
                format!("{id} took an answer after its deadline")
            });
        }
        self.check_refusals(number, request, end);
    }

    /// The time at which a request ended before its deadline because nobody could be told of it.
    fn expired_at(request: &Request) -> Option<i64> {
        let expires = request.policy.on_unreachable == OnUnreachable::Expire;
        let at = match request.state() {
            RequestState::Ended(end) => end.at,
            // Nobody knows any more.
            RequestState::Pending | RequestState::Erased { .. } => request.created_at,
        };
        (request.is_unreachable() && expires).then(|| since_start(at))
    }

    /// Everything that reports the end has the acknowledged final answers.
    fn check_answers_told(&mut self, number: usize, request: &Request, told: &Told) {
        let Some(responses) = &told.responses else { return };
        if request.policy.mode != AnswerMode::OnUserAction {
            return;
        }
        for call in self.done(number) {
            let Want::Answer { row, option } = call.want else { continue };
            self.hold(Invariant::OneOutcome, responses.get(row) == Some(&option.into()), || {
                format!("row {row} of {} chose {option}, but {responses:?} is reported", request.id)
            });
        }
    }

    /// The end follows from the answers.
    fn check_verdict(&mut self, request: &Request, end: &RequestEnd) {
        if end.consumption.is_over() {
            return;
        }
        let answers = request.rows().iter().flatten().map(|it| &it.answer);
        let verdict = request.policy.quorum.judge(answers, request.n_places());
        let fits = match (&verdict, end.outcome) {
            (QuorumVerdict::Open, Outcome::Cancelled) => true,
            (_, Outcome::Cancelled) => request.policy.mode == AnswerMode::OnTimeout,
            (QuorumVerdict::Met(_), outcome) => outcome == Outcome::Completed,
            (QuorumVerdict::Unreachable(_), outcome) => outcome == Outcome::NotMet,
            (QuorumVerdict::Vetoed(_), outcome) => outcome == Outcome::Vetoed,
            (QuorumVerdict::Open, outcome) => {
                matches!(outcome, Outcome::TimedOut | Outcome::Defaulted)
            }
        };
        self.hold(Invariant::NothingLost, fits, || {
            format!("{} ended as {:?}, and its answers are {verdict:?}", request.id, end.outcome)
        });
    }

    fn check_refusals(&mut self, number: usize, request: &Request, end: &RequestEnd) {
        let skew = self.over.scenario.weather.skew;
        let ended_at = since_start(end.at).min(since_start(request.deadline));
        // A cancellation of a finished request ends its approval only.
        let is_end = |it: &Called| it.want == Want::Cancel && it.body["status"] == "cancelled";
        let cancelled = self.done(number).any(is_end);
        self.hold(Invariant::OneOutcome, !cancelled || end.outcome == Outcome::Cancelled, || {
            format!("{} was cancelled, and has ended as {:?}", request.id, end.outcome)
        });
        let calls = self.seen.calls.iter().filter(|it| it.request == number);
        for call in calls.filter(|it| it.status == 410) {
            // Others took all places of those who were asked at first.
            let row = match call.want.effect() {
                Want::Answer { row, .. } => Some(row),
                Want::Open => request.rows().iter().position(Option::is_none),
                _ => None,
            };
            let is_full = row.is_some_and(|row| {
                request.rows().get(row).is_some_and(Option::is_none)
                    && Self::may_be_settled(request, row, call.ended_at + 2 * skew)
            });
            let is_over = call.ended_at + 2 * skew >= ended_at;
            self.hold(Invariant::NothingEarly, is_over || is_full, || {
                format!(
                    "{} refused an answer at {}, and ended at {ended_at}",
                    request.id, call.ended_at
                )
            });
        }
    }

    /// Every report of the request's end, with its time.
    fn tales(&self, number: usize, request: &Request) -> Vec<(i64, Told)> {
        let mut tales = Vec::new();
        for call in self.seen.calls.iter().filter(|it| it.request == number && it.is_done()) {
            match call.want {
                Want::Read if call.body["status"] == "submitted" => {
                    tales.push((call.ended_at, Told::of(&call.body["result"])));
                }
                Want::View if call.body["status"] != "pending" => {
                    tales.push((call.ended_at, Told::of(&call.body)));
                }
                _ => (),
            }
        }
        let id = request.id.to_string();
        let is_end = |kind: &str| {
            kind == RequestEvent::RequestFinished.as_str()
                || kind == RequestEvent::RequestCancelled.as_str()
        };
        for arrival in self.seen.arrivals.iter().filter(|it| is_end(&it.event_kind)) {
            let body: Value = serde_json::from_slice(&arrival.body).unwrap_or(Value::Null);
            // Some receivers get the data alone, and `noukai` receivers get it next to the status.
            let data = body.get("data").or(body.get("payload")).unwrap_or(&body);
            if data["request_id"] == id.as_str() {
                let status = body.get("status").or(data.get("status")).cloned();
                tales.push((arrival.at, Told { status, ..Told::of(data) }));
            }
        }
        for event in self.seen.published.iter().filter(|it| is_end(&it.kind)) {
            let body: Value = serde_json::from_str(&event.detail).unwrap_or(Value::Null);
            if body["data"]["request_id"] == id.as_str() {
                tales.push((event.at, Told::of(&body["data"])));
            }
        }
        tales
    }

    /// Every actor gets a success response for its own write, unless a process died or was cut off.
    fn check_own_writes(&mut self, number: usize, request: &Request) {
        if self.is_clear("intake") {
            for (row, _) in request.rows().iter().enumerate().filter(|(_, it)| it.is_some()) {
                let is_told = self
                    .done(number)
                    .any(|it| matches!(it.want, Want::Answer { row: of, .. } if of == row));
                self.hold(Invariant::Unnoticed, is_told, || {
                    format!("row {row} of {} was answered without a success response", request.id)
                });
            }
            let is_cancelled = matches!(request.state(), RequestState::Ended(end) if end.outcome == Outcome::Cancelled);
            let is_told = self.done(number).any(|it| it.want == Want::Cancel);
            self.hold(Invariant::Unnoticed, is_told || !is_cancelled, || {
                format!("{} was cancelled without a success response", request.id)
            });
        }
        let is_consumed = matches!(
            request.state(),
            RequestState::Ended(RequestEnd { consumption: Consumption::Consumed { .. }, .. })
        );
        if is_consumed && self.is_clear("poll") {
            let is_told = self.done(number).any(|it| it.body["status"] == "submitted");
            self.hold(Invariant::NothingLost, is_told, || {
                format!("{} was read, but no caller got the result", request.id)
            });
        }
    }

    /// Returns true if no process of a function died, and none was cut off from what it called.
    pub(super) fn is_clear(&self, function: &str) -> bool {
        let of = |it: &&Invocation| it.process.starts_with(function);
        self.seen.invocations.iter().filter(of).all(|it| it.is_whole)
    }

    /// Returns true if the target is the callback.
    pub(super) fn is_callback(target: &Target) -> bool {
        matches!(target, Target::Https(_))
    }
}
