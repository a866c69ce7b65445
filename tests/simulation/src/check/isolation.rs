//! Checks of isolation: only deliveries to a failing receiver wait, and no longer than allowed.

use answerback::{
    domain::{
        AccountId, Breaker, Delivery, Profile,
        breaker::{Authority, BreakerState, FAILURES_MAX},
        delivery::{Target, waiting::BREAKER_WAIT_MAX},
    },
    egress::FailureKind,
    store::keys,
};

use super::{Invariant, Left};
use crate::seen::{Came, Sent};

impl Left<'_> {
    pub(super) fn check_isolation(&mut self) {
        for delivery in self.deliveries.clone().into_values() {
            self.check_hold(&delivery);
        }
        let hosts: Vec<(AccountId, Authority)> = self
            .deliveries
            .values()
            .filter_map(|it| Some((it.owner.account, it.authority()?)))
            .collect();
        for (account, host) in hosts {
            let key = keys::breaker(account, &host);
            let Some(breaker) = self.item::<Breaker>(key) else { continue };
            let is_closed = matches!(breaker.state, BreakerState::Closed { .. });
            let n_failures = self.n_failures(&host);
            self.hold(Invariant::BudgetsKept, is_closed || n_failures >= FAILURES_MAX, || {
                format!("{host} is paused after {n_failures} failures")
            });
        }
    }

    /// A delivery is held only if its receiver failed repeatedly and its own schedule allows it.
    fn check_hold(&mut self, delivery: &Delivery) {
        let (Target::Https(receiver), Some(host)) = (&delivery.target, delivery.authority()) else {
            return;
        };
        if delivery.breaker_wait.is_zero() {
            return;
        }
        let id = delivery.id;
        let n_failures = self.n_failures(&host);
        self.hold(Invariant::BudgetsKept, n_failures >= FAILURES_MAX, || {
            format!("{id} was held after {n_failures} failures of {host}")
        });
        let has_own_times =
            matches!(receiver.profile, Profile::NextKs | Profile::Notify | Profile::Ping);
        self.hold(Invariant::InTime, !has_own_times && receiver.retry.grows(), || {
            format!("{id} was held, but has its own schedule")
        });
        self.hold(Invariant::InTime, delivery.breaker_wait <= BREAKER_WAIT_MAX, || {
            format!("{id} was held for {:?}", delivery.breaker_wait)
        });
    }

    /// Number of failures of a receiver in all deliveries.
    fn n_failures(&self, host: &Authority) -> usize {
        let is_to = |it: &&Sent| {
            let delivery = self.deliveries.get(&it.delivery);
            // An erased delivery no longer has its target.
            delivery.is_none_or(|it| it.authority().is_none_or(|it| it == *host))
        };
        let posts = self.seen.posts.iter().filter(is_to);
        posts.filter_map(|it| it.heard).filter(|(_, came)| is_down(*came)).count()
    }
}

fn is_down(came: Came) -> bool {
    match came {
        Came::Status(status) => status == 429 || status >= 500,
        Came::Nothing(kind) => match kind {
            FailureKind::Dns
            | FailureKind::Connect
            | FailureKind::Tls
            | FailureKind::Timeout
            | FailureKind::Protocol => true,
            FailureKind::BlockedAddress | FailureKind::TooLarge => false,
        },
    }
}
