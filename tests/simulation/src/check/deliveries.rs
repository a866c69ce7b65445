//! Whether receivers were told, and how often.

use std::collections::{BTreeMap, BTreeSet};

use answerback::domain::{
    Delivery, EventId,
    delivery::{End, Reason, State, Target},
    request::State as Life,
    retry::CRASHES_MAX,
};

use super::{Invariant, Left};
use crate::seen::{Came, Sent, Want};

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
        self.check_erasures();
    }

    /// Every event has a delivery to each target that wants it.
    fn check_that_every_event_was_told(&mut self) {
        for request in self.requests.clone().into_iter().flatten() {
            if let Life::Erased { .. } = request.state {
                continue;
            }
            for number in 1..=request.n_events {
                let event = request.id.event(number);
                let of_event: Vec<Delivery> =
                    self.deliveries.values().filter(|it| it.event == event).cloned().collect();
                self.hold(Invariant::NothingLost, !of_event.is_empty(), || {
                    format!("{event} was told to nobody")
                });
                let Some(kind) = of_event.first().map(|it| it.event_kind) else { continue };
                let callback = request.terms.callback.as_ref();
                let wanted = callback.is_some_and(|it| it.events.contains(&kind));
                let n_callbacks =
                    of_event.iter().filter(|it| Self::is_callback(&it.target)).count();
                self.hold(Invariant::NothingLost, n_callbacks >= usize::from(wanted), || {
                    format!("{event} ({}) was to be called back", kind.as_str())
                });
                self.hold(Invariant::NoStrayDuplicate, n_callbacks <= 1, || {
                    format!("{event} has {n_callbacks} deliveries to its callback")
                });
                let n_published = of_event.len() - n_callbacks;
                let wanted = self.over.scenario.publishes && kind.is_published();
                self.hold(Invariant::NothingLost, n_published >= usize::from(wanted), || {
                    format!("{event} ({}) was to be published", kind.as_str())
                });
            }
            self.check_answers_told(&request);
            let acknowledged = self.ends_that_were_acknowledged(request.id.event(1));
            self.hold(Invariant::NothingLost, request.n_events > 0 || !acknowledged, || {
                format!("{} ended, and nobody was to be told", request.id)
            });
        }
    }

    /// An answer is told once: there are no more events than there were calls that may have been
    /// carried out.
    fn check_answers_told(&mut self, request: &answerback::domain::Request) {
        let is_answer = |it: &&Delivery| {
            it.request == request.id
                && it.event_kind == answerback::domain::EventKind::RequestAnswered
        };
        let n_told = self.deliveries.values().filter(is_answer).count();
        let number =
            self.requests.iter().position(|it| it.as_ref().map(|it| it.id) == Some(request.id));
        let calls = self.seen.calls.iter().filter(|it| Some(it.request) == number);
        let calls = calls.filter(|it| matches!(it.want, Want::Answer { .. }));
        let n_calls = calls.filter(|it| it.status < 300 || !it.is_whole).count();
        let died = self.seen.invocations.iter().filter(|it| it.process.starts_with("intake"));
        let n_died = died.filter(|it| !it.is_whole).count();
        self.hold(Invariant::NoStrayDuplicate, n_told <= n_calls + n_died, || {
            format!("{} was answered {n_calls} times, and {n_told} answers were told", request.id)
        });
    }

    /// Whether the callback of this event's request asked for its end.
    fn ends_that_were_acknowledged(&self, event: EventId) -> bool {
        let request = self.requests.iter().flatten().find(|it| Some(it.id) == event.request());
        request.is_some_and(|it| {
            let wants = |kind| {
                it.terms.callback.as_ref().is_some_and(|callback| callback.events.contains(&kind))
            };
            match &it.state {
                Life::Ended(end) => {
                    let is_cancelled =
                        end.outcome == answerback::domain::request::Outcome::Cancelled;
                    let kind = if is_cancelled {
                        answerback::domain::EventKind::RequestCancelled
                    } else {
                        answerback::domain::EventKind::RequestFinished
                    };
                    wants(kind)
                }
                Life::Pending | Life::Erased { .. } => false,
            }
        })
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
                format!("{event} was told as {ids:?}")
            });
        }
    }

    fn check_ending(&mut self, delivery: &Delivery, posts: &[Sent]) {
        let id = delivery.id;
        let State::Done { end, .. } = delivery.state else {
            self.broken(Invariant::AtRest, format!("{id} is {:?}", delivery.state));
            return;
        };
        self.hold(Invariant::AtRest, delivery.due_at.is_none(), || format!("{id} is still due"));
        if matches!(delivery.target, Target::Bus) {
            let event = delivery.event.to_string();
            let is_out = self.seen.published.iter().any(|it| it.detail.contains(&event));
            self.hold(Invariant::NothingLost, end != End::Delivered || is_out, || {
                format!("{id} was not published, and counts as delivered")
            });
            return;
        }
        if posts.is_empty() && matches!(delivery.target, Target::Erased) {
            // It may have been for the bus.
            return;
        }
        let heard = |wanted: &dyn Fn(Came) -> bool| {
            posts.iter().filter_map(|it| it.heard).any(|(_, came)| wanted(came))
        };
        let is_true = match end {
            End::Delivered => heard(&Came::is_accepted),
            End::Failed(Reason::Redirect) => heard(&|it| matches!(it, Came::Status(300..=399))),
            End::Failed(Reason::Gone) => heard(&|it| it == Came::Status(410)),
            End::DeadLettered(Reason::RetriesSpent | Reason::CrashLoop) => true,
            // Names that lead to private addresses may lead elsewhere the next time.
            End::Failed(_) | End::DeadLettered(_) => false,
            End::Cancelled => self.is_erased(delivery),
        };
        self.hold(Invariant::NothingLost, is_true, || {
            format!("{id} ended as {end:?}, and its receiver said otherwise")
        });
        // Who was heard to accept, by a worker that lived to write it down, is not asked again.
        let whole = posts.iter().filter(|it| self.seen.is_whole(it));
        let accepted =
            whole.filter(|it| it.heard.is_some_and(|(_, came)| came.is_accepted())).count();
        let is_kept = accepted == 0
            || end == End::Delivered
            || end == End::Cancelled
            || self.n_redelivered(&id.to_string()) > 0;
        self.hold(Invariant::NothingLost, is_kept, || {
            format!("{id} was accepted, and ended as {end:?}")
        });
    }

    fn is_erased(&self, delivery: &Delivery) -> bool {
        let request = self.requests.iter().flatten().find(|it| it.id == delivery.request);
        request.is_none_or(|it| matches!(it.state, Life::Erased { .. }))
    }

    fn n_redelivered(&self, id: &str) -> usize {
        let wants = |it: &&crate::seen::Called| matches!(&it.want, Want::Redeliver { delivery } if delivery == id);
        // Those that were not answered may have been carried out all the same.
        let planned = self.over.scenario.requests.iter().flat_map(|it| &it.actions);
        let n_planned = planned.filter(|it| it.what == crate::What::Redeliver).count();
        let n_called = self.seen.calls.iter().filter(wants).count();
        if n_called > 0 { n_called.max(n_planned) } else { n_planned }
    }

    /// One worker at a time, and none after one that was heard to succeed.
    fn check_workers(&mut self, id: &str, posts: &[Sent]) {
        let redelivers = self.n_redelivered(id) > 0;
        for (place, one) in posts.iter().enumerate() {
            let Some((ended_at, came)) = one.heard else { continue };
            let is_whole = self.seen.is_whole(one);
            for other in &posts[place + 1..] {
                let overlaps = other.began_at < ended_at;
                self.hold(Invariant::NoStrayDuplicate, !overlaps, || {
                    format!("two workers at {id}: {} and {}", one.process, other.process)
                });
                let again = came.is_accepted() && is_whole && !redelivers;
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
            State::Done { end: End::DeadLettered(Reason::RetriesSpent), .. } => {
                delivery.failures == n_retries + 1
            }
            State::Done { end: End::DeadLettered(Reason::CrashLoop), .. } => {
                delivery.starts == starts_max
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

    fn check_erasures(&mut self) {
        let erased: Vec<_> = self
            .requests
            .iter()
            .flatten()
            .filter(|it| matches!(it.state, Life::Erased { .. }))
            .map(|it| it.id)
            .collect();
        for request in self.requests.clone().into_iter().flatten() {
            let acknowledged = (0..self.requests.len()).any(|number| {
                self.requests[number].as_ref().is_some_and(|it| it.id == request.id)
                    && self.done(number).any(|it| it.want == Want::Erase)
            });
            self.hold(Invariant::Forgotten, !acknowledged || erased.contains(&request.id), || {
                format!("{} was erased, and is there", request.id)
            });
        }
        for delivery in self.deliveries.clone().into_values() {
            if !erased.contains(&delivery.request) {
                continue;
            }
            let is_gone = delivery.body.is_none() && matches!(delivery.target, Target::Erased);
            self.hold(Invariant::Forgotten, is_gone, || {
                format!("{} still has what was erased", delivery.id)
            });
            let attempts = self.attempts.iter().filter(|it| it.id.delivery() == delivery.id);
            let n_left = attempts.filter(|it| it.exchange.is_some()).count();
            self.hold(Invariant::Forgotten, n_left == 0, || {
                format!("{n_left} attempts of {} still have what was erased", delivery.id)
            });
        }
    }
}
