//! Checks of isolation: only deliveries to a failing receiver wait, and no longer than allowed.

use answerback::{
    domain::{
        AccountId, Breaker, Delivery, Profile,
        breaker::{Authority, Endpoint, FAILURES_MAX},
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
            let n_failures = self.n_unreachable(&host);
            let is_right = breaker.connection.is_closed() || n_failures >= FAILURES_MAX;
            self.hold(Invariant::BudgetsKept, is_right, || {
                format!("{host} is paused after it was unreachable {n_failures} times")
            });
            for (endpoint, health) in &breaker.endpoints {
                let n_failures = self.n_failing(&host, endpoint);
                let is_right = health.circuit.is_closed() || n_failures >= FAILURES_MAX;
                self.hold(Invariant::BudgetsKept, is_right, || {
                    format!("{endpoint} of {host} is paused after {n_failures} failures")
                });
            }
        }
    }

    /// A delivery is held only if its host or its own endpoint failed repeatedly, and its own schedule
    /// allows it.
    fn check_hold(&mut self, delivery: &Delivery) {
        let (Target::Https(receiver), Some(host), Some(endpoint)) =
            (&delivery.target, delivery.authority(), delivery.endpoint())
        else {
            return;
        };
        if delivery.breaker_wait.is_zero() {
            return;
        }
        let id = delivery.id;
        let (n_unreachable, n_failing) =
            (self.n_unreachable(&host), self.n_failing(&host, &endpoint));
        let is_right = n_unreachable.max(n_failing) >= FAILURES_MAX;
        self.hold(Invariant::BudgetsKept, is_right, || {
            format!(
                "{id} was held, though {host} was unreachable {n_unreachable} times, and its \
                 endpoint failed {n_failing} times"
            )
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

    /// Number of times that a host could not be reached, in all deliveries.
    fn n_unreachable(&self, host: &Authority) -> usize {
        let is_unreachable = |came| match came {
            Came::Status(_) => false,
            Came::Nothing(kind) => {
                matches!(kind, FailureKind::Dns | FailureKind::Connect | FailureKind::Tls)
            }
        };
        let n_posts =
            self.n_posts(|it| it.authority().is_none_or(|it| it == *host), is_unreachable);
        n_posts + self.n_carried(host, is_unreachable)
    }

    /// Number of messages to the service at a host that ended like this.
    fn n_carried(&self, host: &Authority, ended: impl Fn(Came) -> bool) -> usize {
        let carried = self.seen.carried.iter();
        let here = carried.filter(|it| host.as_str().starts_with(&format!("m{}.", it.place)));
        let here = here.filter_map(|it| it.heard);
        let calls = self.seen.slack.calls.iter();
        let in_slack = calls.filter(|it| host.as_str().starts_with(&format!("m{}.", it.place)));
        let all = here.chain(in_slack.filter_map(|it| it.heard));
        all.filter(|(_, came)| ended(*came)).count()
    }

    /// Number of failures of an endpoint in all deliveries.
    fn n_failing(&self, host: &Authority, endpoint: &Endpoint) -> usize {
        if let Endpoint::Notifier(_) = endpoint {
            // A service has one notifier, and each protocol has its own failures.
            return self.n_carried(host, |came| !came.is_accepted());
        }
        self.n_posts(
            |it| {
                it.authority().is_none_or(|it| it == *host)
                    && it.endpoint().is_none_or(|it| it == *endpoint)
            },
            |came| match came {
                Came::Status(status) => status == 429 || status >= 500,
                Came::Nothing(kind) => {
                    matches!(kind, FailureKind::Protocol | FailureKind::TooLarge)
                }
            },
        )
    }

    /// Number of posts of these deliveries that ended like this. An erased delivery no longer has its
    /// target.
    fn n_posts(&self, is_of: impl Fn(&Delivery) -> bool, ended: impl Fn(Came) -> bool) -> usize {
        let posts = self.seen.posts.iter();
        let is_of = |it: &&Sent| self.deliveries.get(&it.delivery).is_none_or(&is_of);
        posts.filter(is_of).filter_map(|it| it.heard).filter(|(_, came)| ended(*came)).count()
    }
}
