//! A breaker: the recorded health of one account's host and port, and of the endpoints there.
//!
//! ```text
//!            5 failures in a row            the wait is over: one delivery tries
//!   Closed ──────────────────────▶ Open ──────────────────────────────────────▶ Trial
//!      ▲                            ▲  │                                          │
//!      │                            └──┼──── failure: open for twice as long ─────┤
//!      └───────────────────────────────┴──── any success ─────────────────────────┘
//! ```
//!
//! A breaker has several such circuits, in one item, so that a delivery costs one read:
//!
//! | circuit | one per | failures |
//! |---------|---------|----------|
//! | connection | host and port | DNS, connect, TLS |
//! | endpoint | webhook, or callback URL without query | 5xx, 429, a response that is not HTTP |
//!
//! So a path that fails delays no other path of its host. While a circuit is open, deliveries with
//! growing delays wait, which uses up none of their retries. Deliveries with fixed delays are
//! attempted as planned, and their results count here too. A trial ends by itself if its worker dies.
//!
//! Slow answers and time-outs hold nothing. They choose the lane: by host and port, because callback
//! URLs are often used once; but a webhook is in the slow lane only if its own latest answer was slow.
//!
//! A host whose receivers are healthy and fast has no item. The first failure or slow attempt creates
//! one.

mod circuit;
mod subject;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

pub use circuit::{Circuit, FAILURES_MAX};
pub use subject::{Authority, Endpoint};

use super::{
    AccountId, Attempt, OpId,
    attempt::{ErrorKind, Exchange},
};
use circuit::{Evidence, Passage};

/// Duration of an attempt after which its receiver counts as slow, because the worker that waits
/// for it delays other deliveries.
pub const SLOW_AFTER: Duration = Duration::from_secs(3);
/// Most endpoints in a breaker. Those that changed longest ago are forgotten first, and called again.
pub const ENDPOINTS_MAX: usize = 50;
/// Time after which an endpoint that did not change is forgotten. It is far longer than the longest
/// wait of an open circuit.
const ENDPOINT_RETENTION: Duration = Duration::from_hours(24);

/// The health of one account's host and port.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// The account.
    pub account: AccountId,
    /// The host and port.
    pub authority: Authority,
    /// The circuit for DNS, connections and TLS.
    pub connection: Circuit,
    /// The latest attempt was slow.
    pub is_slow: bool,
    /// The endpoints that are not healthy.
    pub endpoints: BTreeMap<Endpoint, EndpointHealth>,
    /// The time of the latest write.
    pub changed_at: Timestamp,
    /// Counts the writes. The store refuses a write based on an older revision. 0: never written.
    pub revision: u64,
}

/// The health of one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointHealth {
    /// The circuit for its responses.
    pub circuit: Circuit,
    /// The latest answer of a webhook was slow.
    pub is_slow: bool,
    /// The time of the latest change.
    pub changed_at: Timestamp,
}

/// An observation about an endpoint and its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// An attempt ended.
    Ended {
        /// The endpoint that was called.
        endpoint: Endpoint,
        /// The result of the attempt.
        sample: HealthSample,
        /// The attempt's operation, which makes a repeated observation count once.
        op: OpId,
    },
    /// An attempt has taken longer than [`SLOW_AFTER`], and it is not over.
    StillWaiting {
        /// The endpoint that was called.
        endpoint: Endpoint,
    },
}

/// The result of one attempt, as far as it concerns the receiver and not the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSample {
    /// The receiver's health.
    pub health: Health,
    /// The duration of the attempt.
    pub duration: Duration,
}

/// The health of a receiver during one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It responded. A refusal is a response too: it concerns one delivery, not the receiver.
    Up,
    /// The endpoint failed: 5xx, 429, or a response that is not HTTP.
    Failing,
    /// The host failed: DNS, connect, or TLS.
    Unreachable,
    /// The attempt timed out.
    TimedOut,
    /// It was not called, because its name leads to a blocked address.
    Unknown,
}

/// The way for an operation that wants to call an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// Call it.
    Clear,
    /// Write this, then call it. All others wait for the result.
    Trial(Box<Breaker>),
    /// Wait until this time.
    Wait(Timestamp),
}

impl HealthSample {
    /// The sample of this attempt.
    pub fn of(attempt: &Attempt) -> Self {
        let response = |it: &Exchange| it.response.as_ref().map(|it| it.status);
        let status = attempt.exchange.as_ref().and_then(response);
        // Once there is a status, it decides, whatever became of the body.
        let health = match status {
            Some(429 | 500..) => Health::Failing,
            Some(_) => Health::Up,
            None => attempt.error.as_ref().map_or(Health::Up, |it| Health::of_error(it.kind)),
        };
        Self { health, duration: Duration::from_millis(attempt.duration_ms.into()) }
    }

    /// The attempt was slow. `None`: the receiver was not called.
    fn is_slow(self) -> Option<bool> {
        match self.health {
            Health::Up | Health::Failing | Health::Unreachable => Some(self.duration > SLOW_AFTER),
            Health::TimedOut => Some(true),
            Health::Unknown => None,
        }
    }
}

impl Health {
    /// The health of a receiver whose attempt failed without a status.
    fn of_error(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Tls => Self::Unreachable,
            ErrorKind::Timeout => Self::TimedOut,
            ErrorKind::BlockedAddress => Self::Unknown,
            ErrorKind::Protocol | ErrorKind::TooLarge | ErrorKind::Status | ErrorKind::Redirect => {
                Self::Failing
            }
        }
    }

    fn of_connection(self) -> Evidence {
        match self {
            Self::Up | Self::Failing => Evidence::Success,
            Self::Unreachable => Evidence::Failure,
            Self::TimedOut => Evidence::Silence,
            Self::Unknown => Evidence::Nothing,
        }
    }

    fn of_endpoint(self) -> Evidence {
        match self {
            Self::Up => Evidence::Success,
            Self::Failing => Evidence::Failure,
            Self::TimedOut => Evidence::Silence,
            Self::Unreachable | Self::Unknown => Evidence::Nothing,
        }
    }
}

impl Breaker {
    /// The breaker of a host without an item.
    pub fn unknown(account: AccountId, authority: Authority) -> Self {
        Self {
            account,
            authority,
            connection: Circuit::HEALTHY,
            is_slow: false,
            endpoints: BTreeMap::new(),
            changed_at: Timestamp::UNIX_EPOCH,
            revision: 0,
        }
    }

    /// The endpoint is slow or down, so a worker that waits for it would delay other deliveries.
    pub fn needs_slow_lane(&self, endpoint: &Endpoint) -> bool {
        let health = self.endpoints.get(endpoint);
        let is_slow = match endpoint.webhook() {
            Some(_) => health.is_some_and(|it| it.is_slow),
            None => self.is_slow,
        };
        is_slow || !self.is_closed_for(endpoint)
    }

    /// The circuits that a call to the endpoint depends on are closed.
    pub fn is_closed_for(&self, endpoint: &Endpoint) -> bool {
        let health = self.endpoints.get(endpoint);
        self.connection.is_closed() && health.is_none_or(|it| it.circuit.is_closed())
    }

    /// The way for `op`, which wants to call the endpoint.
    pub fn route(&self, endpoint: &Endpoint, now: Timestamp, op: OpId) -> Route {
        let mut next = self.clone();
        let health = next.endpoints.get_mut(endpoint).map(|it| &mut it.circuit);
        let mut waits_until = None;
        let mut tries = false;
        for circuit in [Some(&mut next.connection), health].into_iter().flatten() {
            match circuit.passage(now, op) {
                Passage::Clear => (),
                Passage::Trial(trial) => {
                    *circuit = trial;
                    tries = true;
                }
                Passage::Wait(until) => waits_until = waits_until.max(Some(until)),
            }
        }
        match waits_until {
            Some(until) => Route::Wait(until),
            None if tries => Route::Trial(Box::new(next.written(self.revision, now))),
            None => Route::Clear,
        }
    }

    /// The breaker after these observations, in one write, or `None` if they change nothing.
    pub fn after<'a>(
        &self,
        observations: impl IntoIterator<Item = &'a Observation>,
        now: Timestamp,
    ) -> Option<Self> {
        let mut next = self.clone();
        for observation in observations {
            match observation {
                Observation::Ended { endpoint, sample, op } => {
                    next.record(endpoint, *sample, now, *op);
                }
                Observation::StillWaiting { endpoint } => next.mark_slow(endpoint, now),
            }
        }
        (!next.is_as_healthy_as(self)).then(|| next.written(self.revision, now))
    }

    /// Number of circuits that the latest write opened, for the first time or again.
    pub fn n_just_opened(&self) -> usize {
        let circuits = self.endpoints.values().map(|it| &it.circuit);
        let circuits = circuits.chain([&self.connection]);
        circuits.filter(|it| it.opened_at(self.changed_at)).count()
    }

    fn record(&mut self, endpoint: &Endpoint, sample: HealthSample, now: Timestamp, op: OpId) {
        let HealthSample { health, .. } = sample;
        self.connection = self.connection.after(health.of_connection(), now, op);
        let before = self.health_of(endpoint, now);
        let is_slow = sample.is_slow();
        self.is_slow = match is_slow {
            Some(true) => true,
            // A webhook that is always fast says nothing about slow callbacks to its host.
            Some(false) if endpoint.webhook().is_none() || before.is_slow => false,
            Some(false) | None => self.is_slow,
        };
        let circuit = before.circuit.after(health.of_endpoint(), now, op);
        let is_slow = endpoint.webhook().is_some() && is_slow.unwrap_or(before.is_slow);
        self.set(endpoint, EndpointHealth { circuit, is_slow, changed_at: now });
    }

    fn mark_slow(&mut self, endpoint: &Endpoint, now: Timestamp) {
        self.is_slow = true;
        if endpoint.webhook().is_some() {
            let health = self.health_of(endpoint, now);
            self.set(endpoint, EndpointHealth { is_slow: true, changed_at: now, ..health });
        }
    }

    fn health_of(&self, endpoint: &Endpoint, now: Timestamp) -> EndpointHealth {
        let healthy =
            || EndpointHealth { circuit: Circuit::HEALTHY, is_slow: false, changed_at: now };
        self.endpoints.get(endpoint).cloned().unwrap_or_else(healthy)
    }

    fn set(&mut self, endpoint: &Endpoint, health: EndpointHealth) {
        if health.is_healthy() {
            self.endpoints.remove(endpoint);
        } else if self.endpoints.get(endpoint).is_none_or(|it| !it.is_same(&health)) {
            self.endpoints.insert(endpoint.clone(), health);
        }
        while self.endpoints.len() > ENDPOINTS_MAX {
            let oldest = self.endpoints.iter().min_by_key(|(_, it)| it.changed_at);
            let oldest = oldest.map(|(endpoint, _)| endpoint.clone()).expect("there are many");
            self.endpoints.remove(&oldest);
        }
    }

    /// True if the two differ only in times.
    fn is_as_healthy_as(&self, other: &Self) -> bool {
        let is_same = |(one, other): ((&Endpoint, &EndpointHealth), (_, &EndpointHealth))| {
            one.0 == other.0 && one.1.is_same(other.1)
        };
        self.connection == other.connection
            && self.is_slow == other.is_slow
            && self.endpoints.len() == other.endpoints.len()
            && self.endpoints.iter().zip(&other.endpoints).all(is_same)
    }

    /// This state as the write after `revision`.
    fn written(mut self, revision: u64, now: Timestamp) -> Self {
        self.endpoints.retain(|_, it| now < it.changed_at + ENDPOINT_RETENTION);
        Self { revision: revision + 1, changed_at: now, ..self }
    }
}

impl EndpointHealth {
    fn is_healthy(&self) -> bool {
        self.circuit == Circuit::HEALTHY && !self.is_slow
    }

    fn is_same(&self, other: &Self) -> bool {
        self.circuit == other.circuit && self.is_slow == other.is_slow
    }
}

#[cfg(test)]
mod tests;
