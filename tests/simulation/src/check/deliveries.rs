//! Checks of deliveries: their targets and their number.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use answerback::domain::{
    Delivery, Request, RequestEvent,
    delivery::{DeliveryEnd, DeliveryState, FailureReason, Target},
    request::{AnswerMode, Outcome, RequestState},
    retry::CRASHES_MAX,
};

use super::{Invariant, Left};
use crate::seen::{Came, Invocation, Sent, Want};

impl Left<'_> {
    pub(super) fn check_deliveries(&mut self) {
        self.check_that_every_event_was_told();
        self.check_payloads();
        let deliveries: Vec<Delivery> = self.deliveries.values().cloned().collect();
        for delivery in &deliveries {
            let id = delivery.id.to_string();
            let posts: Vec<Sent> =
                self.seen.posts.iter().filter(|it| it.delivery == id).cloned().collect();
            self.check_ending(delivery, &posts);
            self.check_workers(&id, &posts);
            self.check_budget(delivery, &posts);
        }
    }

    /// Every event has a delivery to each subscribed target, and to no other.
    fn check_that_every_event_was_told(&mut self) {
        for (number, request) in self.requests.clone().into_iter().enumerate() {
            let Some(request) = request else { continue };
            if let RequestState::Erased { .. } = request.state() {
                continue;
            }
            let callback = request.policy.callback.as_ref();
            for kind in RequestEvent::ALL {
                let expected = self.n_events(number, &request, kind);
                let wanted = callback.is_some_and(|it| it.events.contains(&kind));
                let published = self.over.scenario.publishes && kind.is_published();
                for (wanted, is_callback, how) in
                    [(wanted, true, "called back"), (published, false, "published")]
                {
                    let expected = if wanted { expected.clone() } else { 0..=0 };
                    let n_told = self.n_told(&request, kind, is_callback);
                    let (least, most) = (*expected.start(), *expected.end());
                    let what = || {
                        let kind = kind.as_str();
                        format!("{}: {n_told} {kind} were {how}, not {least} to {most}", request.id)
                    };
                    self.hold(Invariant::NothingLost, n_told >= least, what);
                    self.hold(Invariant::NoStrayDuplicate, n_told <= most, what);
                }
            }
        }
    }

    fn n_told(&self, request: &Request, kind: RequestEvent, is_callback: bool) -> usize {
        let is_of = |it: &&Delivery| {
            it.request() == Some(request.id)
                && it.event_type == kind
                && it.webhook.is_none()
                && match it.target {
                    Target::Https(_) => is_callback,
                    Target::Bus => !is_callback,
                    Target::Message(_) | Target::Test(_) | Target::Update(_) | Target::Erased => {
                        false
                    }
                }
        };
        self.deliveries.values().filter(is_of).count()
    }

    /// The expected number of events of a kind.
    pub(super) fn n_events(
        &self,
        number: usize,
        request: &Request,
        kind: RequestEvent,
    ) -> RangeInclusive<usize> {
        let outcome = match request.state() {
            RequestState::Ended(end) => Some(end.outcome),
            RequestState::Pending | RequestState::Erased { .. } => None,
        };
        let is_cancelled = outcome == Some(Outcome::Cancelled);
        let exactly = |n: usize| n..=n;
        match kind {
            RequestEvent::RequestCreated => exactly(1),
            RequestEvent::RequestFinished => {
                exactly(usize::from(outcome.is_some() && !is_cancelled))
            }
            RequestEvent::RequestCancelled => exactly(usize::from(is_cancelled)),
            RequestEvent::RequestAnswered if request.policy.mode == AnswerMode::OnUserAction => {
                exactly(request.rows().iter().flatten().count())
            }
            RequestEvent::RequestLinkLocked => {
                let rows = 0..request.rows().len();
                exactly(rows.filter(|it| request.is_link_locked(*it)).count())
            }
            RequestEvent::RequestReminded => {
                let by_steps = Self::n_reminders(request);
                by_steps..=by_steps + self.n_reminders_asked(number)
            }
            RequestEvent::RequestEscalated => exactly(Self::n_escalations(request)),
            RequestEvent::RequestUnreachable => {
                // Each reminder may reach somebody, or not.
                let is_reported = usize::from(request.is_unreachable());
                is_reported..=is_reported + self.n_reminders_asked(number)
            }
            RequestEvent::NotificationFailed => exactly(request.failed_messages().len()),
            RequestEvent::RequestAnswered => {
                // An answer takes the place of an earlier one that was not dispatched.
                let n_rows = request.rows().iter().flatten().count();
                let is_answer = |it: &Want| matches!(it, Want::Answer { .. });
                let n_done = self.done(number).filter(|it| is_answer(&it.want)).count();
                let unanswered = self.seen.unanswered.iter();
                let unanswered = unanswered.filter(|it| it.0 == number && is_answer(&it.1));
                n_rows..=n_done + unanswered.count()
            }
        }
    }

    fn check_payloads(&mut self) {
        let mut bodies: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
        let mut ids: BTreeMap<(usize, String), BTreeSet<&str>> = BTreeMap::new();
        for arrival in &self.seen.arrivals {
            bodies.entry(&arrival.delivery).or_default().insert(&arrival.body);
            let body: serde_json::Value =
                serde_json::from_slice(&arrival.body).unwrap_or(serde_json::Value::Null);
            if let Some(event) = body["id"].as_str() {
                let of_event = ids.entry((arrival.receiver, event.to_owned())).or_default();
                of_event.insert(&arrival.delivery);
            }
        }
        for (delivery, bodies) in bodies {
            self.hold(Invariant::OneOutcome, bodies.len() == 1, || {
                format!("{delivery} was sent in {} forms", bodies.len())
            });
        }
        for ((_, event), ids) in ids {
            self.hold(Invariant::NoStrayDuplicate, ids.len() == 1, || {
                format!("{event} has the delivery ids {ids:?}")
            });
        }
    }

    fn check_ending(&mut self, delivery: &Delivery, posts: &[Sent]) {
        let id = delivery.id;
        let DeliveryState::Done { end, .. } = delivery.state else {
            self.broken(Invariant::AtRest, format!("{id} is {:?}", delivery.state));
            return;
        };
        self.hold(Invariant::AtRest, delivery.due_at.is_none(), || format!("{id} is still due"));
        if matches!(delivery.target, Target::Bus) {
            self.check_publication(delivery, end);
            return;
        }
        if posts.is_empty() && matches!(delivery.target, Target::Erased) {
            // The event may have been for the bus, or it was a message.
            return;
        }
        if matches!(delivery.target, Target::Message(_) | Target::Update(_)) {
            // Its service took no callback.
            return;
        }
        let heard = |wanted: &dyn Fn(Came) -> bool| {
            posts.iter().filter_map(|it| it.heard).any(|(_, came)| wanted(came))
        };
        let is_true = match end {
            DeliveryEnd::Delivered => heard(&Came::is_accepted),
            DeliveryEnd::Failed(FailureReason::Redirect) => {
                heard(&|it| matches!(it, Came::Status(300..=399)))
            }
            DeliveryEnd::Failed(FailureReason::Gone) => heard(&|it| it == Came::Status(410)),
            DeliveryEnd::Failed(FailureReason::NotAccepted) => heard(&|it| !it.is_accepted()),
            DeliveryEnd::DeadLettered(FailureReason::RetriesSpent | FailureReason::CrashLoop) => {
                true
            }
            DeliveryEnd::Failed(FailureReason::Disabled) => self.is_disabled(delivery),
            // Names that resolve to private addresses may resolve to others the next time.
            DeliveryEnd::Failed(_)
            | DeliveryEnd::DeadLettered(_)
            | DeliveryEnd::Skipped(_)
            | DeliveryEnd::Arrived
            | DeliveryEnd::Bounced => false,
            DeliveryEnd::Cancelled => self.is_erased(delivery) || self.may_be_narrowed(delivery),
        };
        self.hold(Invariant::NothingLost, is_true, || {
            format!("{id} ended as {end:?}, but its receiver responded otherwise")
        });
        // After a worker has recorded that a receiver accepted, that receiver gets no other
        // attempt.
        let whole = posts.iter().filter(|it| self.seen.is_whole(it));
        let accepted =
            whole.filter(|it| it.heard.is_some_and(|(_, came)| came.is_accepted())).count();
        let is_kept = accepted == 0
            || end == DeliveryEnd::Delivered
            || end == DeliveryEnd::Cancelled
            || self.n_redelivered(&id.to_string()) > 0;
        self.hold(Invariant::NothingLost, is_kept, || {
            format!("{id} was accepted, and ended as {end:?}")
        });
    }

    /// An event is published once, unless the bus's response was lost.
    fn check_publication(&mut self, delivery: &Delivery, end: DeliveryEnd) {
        let id = delivery.id;
        let event = delivery.event().to_string();
        let n_times = self.seen.published.iter().filter(|it| it.detail.contains(&event)).count();
        self.hold(Invariant::NothingLost, end != DeliveryEnd::Delivered || n_times > 0, || {
            format!("{id} was not published, and counts as delivered")
        });
        let is_reached = matches!(
            end,
            DeliveryEnd::Delivered | DeliveryEnd::DeadLettered(FailureReason::RetriesSpent)
        );
        self.hold(Invariant::NothingLost, is_reached, || {
            format!("{id} for the bus ended as {end:?}")
        });
        let is_calm =
            self.is_clear("deliver") && self.over.world.state().faults.injected.is_empty();
        self.hold(Invariant::NoStrayDuplicate, n_times <= 1 || !is_calm, || {
            format!("{id} was published {n_times} times though nothing went wrong")
        });
    }

    fn is_erased(&self, delivery: &Delivery) -> bool {
        let request = self.requests.iter().flatten().find(|it| delivery.request() == Some(it.id));
        // A client can erase only a request whose creation was acknowledged.
        request.is_some_and(|it| matches!(it.state(), RequestState::Erased { .. }))
    }

    /// One worker has a delivery at a time, and none has it after a recorded success.
    fn check_workers(&mut self, id: &str, posts: &[Sent]) {
        let n_redelivered = self.n_redelivered(id);
        let is_accepted = |it: &&Sent| {
            it.heard.is_some_and(|(_, came)| came.is_accepted()) && self.seen.is_whole(it)
        };
        let n_accepted = posts.iter().filter(is_accepted).count();
        self.hold(Invariant::NoStrayDuplicate, n_accepted <= 1 + n_redelivered, || {
            format!("{id} was accepted {n_accepted} times, and redelivered {n_redelivered} times")
        });
        for (place, one) in posts.iter().enumerate() {
            let Some((ended_at, came)) = one.heard else { continue };
            let is_whole = self.seen.is_whole(one);
            for other in &posts[place + 1..] {
                let overlaps = other.began_at < ended_at;
                self.hold(Invariant::NoStrayDuplicate, !overlaps, || {
                    format!("two workers at {id}: {} and {}", one.process, other.process)
                });
                let again = came.is_accepted() && is_whole && n_redelivered == 0;
                self.hold(Invariant::NoStrayDuplicate, !again, || {
                    format!("{id} was accepted at {ended_at}, and sent again at {}", other.began_at)
                });
                self.hold(Invariant::NoStrayDuplicate, one.attempt != other.attempt, || {
                    format!("two attempts of {id} are number {}", one.attempt)
                });
            }
        }
    }

    fn check_budget(&mut self, delivery: &Delivery, posts: &[Sent]) {
        let Target::Https(receiver) = &delivery.target else { return };
        let id = delivery.id;
        let n_retries = u32::try_from(receiver.retry.delays_seconds.len()).expect("20");
        let n_heard = posts.iter().filter_map(|it| it.heard);
        let n_failed = n_heard.filter(|(_, came)| !came.is_accepted()).count();
        let n_failed = u32::try_from(n_failed).expect("few");
        let n_rounds = u32::try_from(self.n_redelivered(&id.to_string())).expect("few") + 1;
        self.hold(Invariant::BudgetsKept, delivery.failures <= n_failed, || {
            format!("{id} counts {} failures of {n_failed}", delivery.failures)
        });
        self.hold(Invariant::BudgetsKept, delivery.failures <= n_retries + 1, || {
            format!("{id} failed {} times, with {n_retries} retries", delivery.failures)
        });
        let starts_max = n_retries + 1 + CRASHES_MAX;
        self.hold(Invariant::BudgetsKept, delivery.starts <= starts_max, || {
            format!("{id} was started {} times", delivery.starts)
        });
        let n_posts = u32::try_from(posts.len()).expect("few");
        self.hold(Invariant::BudgetsKept, n_posts <= starts_max * n_rounds, || {
            format!("{id} was posted {n_posts} times")
        });
        let is_spent = match delivery.state {
            DeliveryState::Done {
                end: DeliveryEnd::DeadLettered(FailureReason::RetriesSpent),
                ..
            } => delivery.failures == n_retries + 1,
            DeliveryState::Done {
                end: DeliveryEnd::DeadLettered(FailureReason::CrashLoop),
                ..
            } => {
                let of = |it: &&Invocation| it.process.starts_with("deliver") && !it.is_whole;
                let n_cut_off = self.seen.invocations.iter().filter(of).count();
                delivery.starts == starts_max
                    && n_cut_off >= usize::try_from(CRASHES_MAX).expect("few")
            }
            _ => true,
        };
        self.hold(Invariant::BudgetsKept, is_spent, || {
            format!(
                "{id} was given up after {} starts, {} failures",
                delivery.starts, delivery.failures
            )
        });
    }
}
