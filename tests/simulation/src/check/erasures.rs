//! Checks of erasure: erased data is gone and no longer sent.

use answerback::{
    domain::{Request, delivery::Target, request::RequestState},
    store::plain,
};

use super::{Invariant, Left};
use crate::{caller, fleet::MINUTE, seen::Want};

/// Longest time from reading a request to the post, in milliseconds: some calls with all retries.
const MIDST: i64 = 20_000;

impl Left<'_> {
    pub(super) fn check_erasures(&mut self) {
        for number in 0..self.requests.len() {
            let Some(request) = self.requests[number].clone() else { continue };
            let erasures = self.done(number).filter(|it| it.want == Want::Erase);
            let acknowledged_at = erasures.map(|it| it.ended_at).min();
            let is_erased = matches!(request.state(), RequestState::Erased { .. });
            self.hold(Invariant::Forgotten, acknowledged_at.is_none() || is_erased, || {
                format!("{} was erased, but is still there", request.id)
            });
            if is_erased {
                self.check_deliveries_of_erased(&request);
                self.check_traces(number);
            }
            if let Some(at) = acknowledged_at {
                self.check_late_posts(&request, at);
            }
        }
    }

    fn check_deliveries_of_erased(&mut self, request: &Request) {
        let of = self.deliveries.values().filter(|it| it.request() == Some(request.id));
        for delivery in of.cloned().collect::<Vec<_>>() {
            let is_gone = delivery.body.is_none() && matches!(delivery.target, Target::Erased);
            self.hold(Invariant::Forgotten, is_gone, || {
                format!("{} still has erased data", delivery.id)
            });
            let attempts = self.attempts.iter().filter(|it| it.id.delivery() == delivery.id);
            let n_left = attempts.filter(|it| it.exchange.is_some()).count();
            self.hold(Invariant::Forgotten, n_left == 0, || {
                format!("{n_left} attempts of {} still have erased data", delivery.id)
            });
        }
    }

    /// No question and no recipient of an erased request is left in the table.
    fn check_traces(&mut self, number: usize) {
        let traces =
            [caller::title(number), caller::reasons(number), self.over.scenario.hosts.url(number)];
        let mut left = Vec::new();
        for (key, value) in self.over.world.state().table.values() {
            let Some(content) = plain(value) else { continue };
            let text = String::from_utf8_lossy(&content);
            if traces.iter().any(|it| text.contains(it)) {
                left.push(key.pk.clone());
            }
        }
        self.hold(Invariant::Forgotten, left.is_empty(), || {
            format!("erased data is still in the table at {left:?}")
        });
    }

    /// Attempts for an erased request end soon.
    fn check_late_posts(&mut self, request: &Request, erased_at: i64) {
        let latest = self.latest(erased_at, 4 * MINUTE + self.over.scenario.weather.lag);
        let id = request.id;
        let late = self.seen.posts.iter().find(|it| {
            let of = self.deliveries.get(&it.delivery);
            // A worker reads the request before a delivery's first attempt. Later attempts do not.
            let latest = if it.attempt == 1 { erased_at + MIDST } else { latest };
            of.is_some_and(|it| it.request() == Some(id)) && it.began_at > latest
        });
        let late = late.map(|it| it.began_at);
        self.hold(Invariant::Forgotten, late.is_none(), || {
            format!("{id} was erased at {erased_at}, but sent at {late:?}")
        });
    }
}
