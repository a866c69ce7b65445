//! Checks of what a request learns of its messages: which failed, and that nobody could be told.

use std::collections::{BTreeMap, BTreeSet};

use answerback::domain::{
    Delivery, Request, RequestEvent,
    delivery::{DeliveryEnd, DeliveryState, FailureReason},
    request::{MessageKey, OnUnreachable, RequestState},
};
use serde_json::Value;

use super::{Invariant, Left, timely::MOMENT};
use crate::{fleet::MINUTE, seen::Want, world::since_start};

impl Left<'_> {
    pub(super) fn check_reach(&mut self) {
        if self.over.scenario.messengers.is_empty() {
            return;
        }
        for number in 0..self.requests.len() {
            let Some(request) = self.requests[number].clone() else { continue };
            let RequestState::Ended(end) = request.state() else { continue };
            let ended_at = since_start(end.at);
            self.check_reports(&request, ended_at);
            self.check_that_nobody_was_told(number, &request);
            self.check_periods(&request);
            self.check_unreachable(&request, ended_at);
        }
        self.check_reasons();
    }

    /// The time and reason for which a message failed.
    fn failure(message: &Delivery) -> Option<(i64, FailureReason)> {
        match message.state {
            DeliveryState::Done {
                end: DeliveryEnd::Failed(reason) | DeliveryEnd::DeadLettered(reason),
                at,
                ..
            } => Some((since_start(at), reason)),
            DeliveryState::Done { end: DeliveryEnd::Bounced, at, .. } => {
                Some((since_start(at), FailureReason::Bounced))
            }
            _ => None,
        }
    }

    /// The time since which all messages to a row had failed, of those about events before number
    /// `before`.
    fn failed_at(&self, request: &Request, row: usize, before: u32) -> Option<i64> {
        let messages = self.messages_to(request, row).into_iter();
        let messages = messages.filter(|it| it.event().number() < before);
        let times: Vec<_> = messages.map(|it| Self::failure(&it).map(|it| it.0)).collect();
        // One that failed is enough, if none did not.
        let since = times.into_iter().try_fold(i64::MIN, |since, at| Some(since.max(at?)));
        since.filter(|it| *it > i64::MIN)
    }

    /// A request that is pending learns of each message that failed, and of no other.
    fn check_reports(&mut self, request: &Request, ended_at: i64) {
        let skew = 2 * self.over.scenario.weather.skew;
        for row in 0..request.rows().len() {
            for message in self.messages_to(request, row) {
                let id = message.id;
                let key = MessageKey { event: message.event().number(), row };
                let is_known = request.failed_messages().contains(&key);
                let failure = Self::failure(&message);
                self.hold(Invariant::NothingEarly, !is_known || failure.is_some(), || {
                    format!("{id} is reported as failed")
                });
                let Some((failed_at, _)) = failure else { continue };
                // A mail that comes back after the answer is no failure.
                let is_bounced =
                    matches!(message.state, DeliveryState::Done { end: DeliveryEnd::Bounced, .. });
                if is_bounced && Self::may_be_settled(request, row, failed_at + skew) {
                    continue;
                }
                let latest = self.latest(failed_at, 2 * MINUTE + MOMENT);
                self.hold(Invariant::NothingLost, is_known || latest >= ended_at, || {
                    format!("{} did not learn that {id} failed", request.id)
                });
            }
        }
    }

    /// It is said once that nobody could be told, until there are more messages.
    fn check_periods(&mut self, request: &Request) {
        let id = request.id;
        let said = self.unreachable_events(request);
        let rows = 0..request.rows().len();
        let told: BTreeSet<u32> = rows
            .flat_map(|row| self.messages_to(request, row))
            .map(|it| it.event().number())
            .collect();
        for (one, next) in said.keys().zip(said.keys().skip(1)) {
            let has_messages = told.range(one..next).next().is_some();
            self.hold(Invariant::NoStrayDuplicate, has_messages, || {
                format!("{id} was unreachable by the events {one} and {next}")
            });
        }
    }

    /// The times of the events that nobody could be told, by their numbers.
    fn unreachable_events(&self, request: &Request) -> BTreeMap<u32, i64> {
        let is_it = |it: &&Delivery| {
            it.request() == Some(request.id) && it.event_type == RequestEvent::RequestUnreachable
        };
        let events = self.deliveries.values().filter(is_it);
        events.map(|it| (it.event().number(), since_start(it.happened_at))).collect()
    }

    /// A request is unreachable only if the messages of all who could answer had failed. Then it ends, if
    /// its sender wants that.
    fn check_that_nobody_was_told(&mut self, number: usize, request: &Request) {
        let id = request.id;
        let said = self.unreachable_events(request);
        let at = said.last_key_value().map(|(_, at)| *at);
        let RequestState::Ended(end) = request.state() else { return };
        let ended_at = since_start(end.at);
        let expires = request.policy.on_unreachable == OnUnreachable::Expire
            && request.rows().iter().all(Option::is_none);
        self.hold(Invariant::InTime, !expires || at.is_none_or(|at| ended_at <= at), || {
            format!("{id} was unreachable at {at:?}, and ended at {ended_at}")
        });
        let unsaid = (said.is_empty() && request.is_unreachable()).then_some((u32::MAX, ended_at));
        // The event has the time at which its operation began, and a message may fail in between.
        let margin = self.hesitation();
        for (event, by) in said.into_iter().chain(unsaid) {
            for row in 0..request.rows().len() {
                // Whom a step asks at about that time may be told, or not.
                let is_later = row >= request.n_places();
                let is_open = |asked_at| is_later && asked_at > by - margin;
                if Self::asked_at(request, row).is_none_or(is_open) {
                    continue;
                }
                let failed_at = self.failed_at(request, row, event);
                let is_told = failed_at.is_none_or(|it| it > by + margin);
                let is_asked = !self.may_be_answered(number, row, by + margin);
                self.hold(Invariant::NothingEarly, !is_told || !is_asked, || {
                    format!("{id} was unreachable at {by}, but row {row} was not: {failed_at:?}")
                });
            }
            // A later step may reach somebody.
            let mut steps = 0..request.policy.steps.len();
            let is_after = |it: &usize| {
                request.step_done_at(*it).is_some_and(|it| since_start(it) > by + margin)
            };
            let later = steps.find(is_after);
            self.hold(Invariant::NothingEarly, later.is_none(), || {
                format!("{id} was unreachable at {by}, before step {later:?}")
            });
        }
    }

    /// Returns true if someone may have answered for a row by this time.
    fn may_be_answered(&self, number: usize, row: usize, by: i64) -> bool {
        let is_answer =
            |it: &Want| matches!(it.effect(), Want::Answer { row: of, .. } if of == row);
        let unanswered = &self.seen.unanswered;
        self.seen
            .calls
            .iter()
            .any(|it| it.request == number && is_answer(&it.want) && it.began_at <= by)
            || unanswered.iter().any(|it| it.0 == number && is_answer(&it.1))
    }

    /// A request says that nobody could be told, if so.
    fn check_unreachable(&mut self, request: &Request, ended_at: i64) {
        let rows = request.rows().iter().enumerate().take(request.n_asked());
        let mut since = 0;
        let mut is_open = false;
        for (row, answer) in rows {
            let at = match answer {
                Some(answer) => since_start(answer.at),
                None => match self.failed_at(request, row, u32::MAX) {
                    Some(at) => {
                        is_open = true;
                        at
                    }
                    None => return,
                },
            };
            since = at.max(since);
        }
        let n_done = request.steps().n_done();
        if n_done < request.policy.steps.len() {
            // Its end came before the other steps.
            return;
        }
        is_open &= request.has_open_place();
        let last_step = n_done.checked_sub(1).and_then(|it| request.step_done_at(it));
        let since = since.max(last_step.map_or(0, since_start));
        let latest = self.latest(since, 2 * MINUTE + MOMENT);
        let is_said = request.is_unreachable() || latest >= ended_at;
        self.hold(Invariant::NothingLost, is_said || !is_open, || {
            format!("{} does not say that nobody could be told since {since}", request.id)
        });
    }

    /// What is told of a failed message is true.
    fn check_reasons(&mut self) {
        let failed = RequestEvent::NotificationFailed.as_str();
        for arrival in self.seen.arrivals.iter().filter(|it| it.event_kind == failed) {
            let body: Value = serde_json::from_slice(&arrival.body).unwrap_or(Value::Null);
            let data = body.get("data").or(body.get("payload")).unwrap_or(&body);
            let Some(id) = data["notification_id"].as_str() else { continue };
            let Ok(id) = id.parse::<answerback::domain::NotificationId>() else {
                self.broken(Invariant::Genuine, format!("{id} is no notification"));
                continue;
            };
            let Some(delivery) = self.deliveries.get(&id.0.to_string()) else { continue };
            let Some((_, reason)) = Self::failure(delivery) else { continue };
            let Some(way) = delivery.way() else { continue };
            let expected = word(reason);
            let notifier = way.notifier.to_string();
            let is_true = data["error"] == expected && data["notifier_id"] == notifier.as_str();
            self.hold(Invariant::OneOutcome, is_true, || {
                format!("{id} failed as {expected} by {notifier}, and {data} is told")
            });
        }
    }
}

/// The reason in the API.
fn word(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::Redirect => "redirect",
        FailureReason::Gone => "gone",
        FailureReason::BlockedAddress => "blocked_address",
        FailureReason::RetriesSpent => "retries_spent",
        FailureReason::CrashLoop => "crash_loop",
        FailureReason::NotAccepted => "not_accepted",
        FailureReason::Disabled => "disabled",
        FailureReason::Refused => "refused",
        FailureReason::Bounced => "bounced",
    }
}
