//! A breaker: the recorded health of one account's receiver.
//!
//! ```text
//!            5 failures in a row            the wait is over: one delivery tries
//!   Closed ──────────────────────▶ Open ──────────────────────────────────────▶ Trial
//!      ▲                            ▲  │                                          │
//!      │                            └──┼──── failure: open for twice as long ─────┤
//!      └───────────────────────────────┴──── any success ─────────────────────────┘
//! ```
//!
//! There is one breaker per account and authority (host and port), so one account's receiver
//! delays no other account. While it is open, deliveries with growing delays wait, which uses up
//! none of their retries. Deliveries with fixed delays are attempted as planned, and their results
//! count here too. A trial ends by itself if its worker dies.
//!
//! A receiver that is healthy and fast has no item. The first failure or slow attempt creates one.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use url::Url;

use super::{
    AccountId, Attempt, OpId,
    attempt::{ErrorKind, Exchange},
};

/// Consecutive failures after which a receiver counts as down.
pub const FAILURES_MAX: usize = 5;
/// First wait of an open breaker. Every failed trial doubles it.
const OPEN_DURATION: Duration = Duration::from_mins(1);
/// Longest wait of an open breaker.
const OPEN_DURATION_MAX: Duration = Duration::from_hours(1);
/// Time limit of a trial: the function that makes it runs no longer.
const TRIAL_DURATION: Duration = Duration::from_secs(30);
/// Duration of an attempt after which its receiver counts as slow, because the worker that waits
/// for it delays other deliveries.
pub const SLOW_AFTER: Duration = Duration::from_secs(3);

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority(String);

/// The health of one account's receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// The account.
    pub account: AccountId,
    /// The receiver's host and port.
    pub authority: Authority,
    /// Closed, open, or in a trial.
    pub state: BreakerState,
    /// The latest attempt was slow.
    pub is_slow: bool,
    /// The latest operation whose success changed the state.
    pub recovered_by: Option<OpId>,
    /// The time of the latest write.
    pub changed_at: Timestamp,
    /// Counts the writes. The store refuses a write based on an older revision. 0: never written.
    pub revision: u64,
}

/// The state of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// The receiver is called.
    Closed {
        /// The operations that failed since the last success, fewer than [`FAILURES_MAX`].
        failed: Vec<OpId>,
    },
    /// The receiver is not called until `until`. After that, one delivery tries.
    Open {
        /// The end of the wait.
        until: Timestamp,
        /// The consecutive times that it opened without a success in between.
        n_openings: u32,
    },
    /// One delivery tries.
    Trial {
        /// The operation that tries.
        by: OpId,
        /// The end of the trial. After that, another delivery tries.
        until: Timestamp,
        /// The consecutive times that it opened without a success in between.
        n_openings: u32,
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
    /// The receiver or the connection failed: 5xx, 429, or an incomplete response.
    Down,
    /// The attempt timed out. The receiver also counts as slow.
    TimedOut,
    /// It was not called, because its name leads to a blocked address.
    Unknown,
}

/// The way for an operation that wants to call a receiver.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// Call it.
    Clear,
    /// Write this, then call it. All others wait for the result.
    Trial(Box<Breaker>),
    /// Wait until this time.
    Wait(Timestamp),
}

impl Authority {
    /// The host and port of a URL.
    pub fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let port = url.port_or_known_default()?;
        Some(Self(format!("{}:{port}", url.host_str()?)))
    }

    /// The authority with this text, as [`Self::as_str`] returned it.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without the port.
    pub fn host(&self) -> &str {
        self.0.rsplit_once(':').map_or(&self.0, |(host, _)| host)
    }
}

impl HealthSample {
    /// The sample of this attempt.
    pub fn of(attempt: &Attempt) -> Self {
        let response = |it: &Exchange| it.response.as_ref().map(|it| it.status);
        let status = attempt.exchange.as_ref().and_then(response);
        let health = match attempt.error.as_ref().map(|it| it.kind) {
            None | Some(ErrorKind::TooLarge | ErrorKind::Redirect) => Health::Up,
            Some(ErrorKind::Status) => match status {
                Some(429 | 500..) => Health::Down,
                Some(_) | None => Health::Up,
            },
            Some(ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Protocol) => {
                Health::Down
            }
            Some(ErrorKind::Timeout) => Health::TimedOut,
            Some(ErrorKind::BlockedAddress) => Health::Unknown,
        };
        Self { health, duration: Duration::from_millis(attempt.duration_ms.into()) }
    }
}

impl Breaker {
    /// The breaker of a receiver without an item.
    pub fn unknown(account: AccountId, authority: Authority) -> Self {
        Self {
            account,
            authority,
            state: BreakerState::Closed { failed: Vec::new() },
            is_slow: false,
            recovered_by: None,
            changed_at: Timestamp::UNIX_EPOCH,
            revision: 0,
        }
    }

    /// The receiver is slow or down, so a worker that waits for it would delay other deliveries.
    pub fn needs_slow_lane(&self) -> bool {
        self.is_slow || !matches!(self.state, BreakerState::Closed { .. })
    }

    /// The way for `op`, which wants to call the receiver.
    pub fn route(&self, now: Timestamp, op: OpId) -> Route {
        let n_openings = match self.state {
            BreakerState::Closed { .. } => return Route::Clear,
            // The operation's own write, whose response was lost.
            BreakerState::Trial { by, .. } if by == op => return Route::Clear,
            BreakerState::Open { until, .. } | BreakerState::Trial { until, .. } if now < until => {
                return Route::Wait(until);
            }
            BreakerState::Open { n_openings, .. } | BreakerState::Trial { n_openings, .. } => {
                n_openings
            }
        };
        let state = BreakerState::Trial { by: op, until: now + TRIAL_DURATION, n_openings };
        Route::Trial(Box::new(Self { state, ..self.next(now) }))
    }

    /// The breaker after an attempt of `op`, or `None` if the sample changes nothing.
    pub fn record(&self, sample: HealthSample, now: Timestamp, op: OpId) -> Option<Self> {
        if self.recovered_by == Some(op) {
            return None;
        }
        let is_slow = match sample.health {
            Health::Up | Health::Down => sample.duration > SLOW_AFTER,
            Health::TimedOut => true,
            Health::Unknown => self.is_slow,
        };
        let state = match sample.health {
            Health::Up => BreakerState::Closed { failed: Vec::new() },
            Health::Down | Health::TimedOut => self.after_failure(now, op),
            Health::Unknown => self.after_nothing(now, op),
        };
        if state == self.state && is_slow == self.is_slow {
            return None;
        }
        let recovers = sample.health == Health::Up && state != self.state;
        let recovered_by = if recovers { Some(op) } else { self.recovered_by };
        Some(Self { state, is_slow, recovered_by, ..self.next(now) })
    }

    /// The breaker while an attempt has been running for longer than [`SLOW_AFTER`].
    pub fn mark_slow(&self, now: Timestamp) -> Option<Self> {
        (!self.is_slow).then(|| Self { is_slow: true, ..self.next(now) })
    }

    /// The latest write opened it, for the first time or again.
    pub fn has_just_opened(&self) -> bool {
        match self.state {
            BreakerState::Open { n_openings, .. } => {
                self.state == open(n_openings, self.changed_at)
            }
            BreakerState::Closed { .. } | BreakerState::Trial { .. } => false,
        }
    }

    fn after_failure(&self, now: Timestamp, op: OpId) -> BreakerState {
        match &self.state {
            BreakerState::Closed { failed } => {
                let mut failed = failed.clone();
                if !failed.contains(&op) {
                    failed.push(op);
                }
                if failed.len() < FAILURES_MAX {
                    return BreakerState::Closed { failed };
                }
                open(1, now)
            }
            // A delivery with fixed delays called it, and that counts as a failed trial.
            BreakerState::Open { until, n_openings } if *until <= now => open(n_openings + 1, now),
            BreakerState::Open { .. } | BreakerState::Trial { .. } => self.after_nothing(now, op),
        }
    }

    /// A trial without a result has failed too.
    fn after_nothing(&self, now: Timestamp, op: OpId) -> BreakerState {
        match self.state {
            BreakerState::Trial { by, n_openings, .. } if by == op => open(n_openings + 1, now),
            BreakerState::Closed { .. }
            | BreakerState::Open { .. }
            | BreakerState::Trial { .. } => self.state.clone(),
        }
    }

    fn next(&self, now: Timestamp) -> Self {
        Self { revision: self.revision + 1, changed_at: now, ..self.clone() }
    }
}

fn open(n_openings: u32, now: Timestamp) -> BreakerState {
    let doubled = OPEN_DURATION * 2_u32.saturating_pow(n_openings.saturating_sub(1).min(16));
    BreakerState::Open { until: now + doubled.min(OPEN_DURATION_MAX), n_openings }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
