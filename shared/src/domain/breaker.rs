//! What is known of a receiver: whether it is down, and whether it is slow.
//!
//! ```text
//!            5 failures in a row            its time is over: one delivery tries
//!   Closed ──────────────────────▶ Open ──────────────────────────────────────▶ Trial
//!      ▲                            ▲  │                                          │
//!      │                            └──┼──── in vain: open for twice as long ─────┤
//!      └───────────────────────────────┴──── anybody gets through ────────────────┘
//! ```
//!
//! There is one for each account and host with its port, so that what one account's receiver does
//! holds up no other account. While it is open, deliveries whose delays grow wait, and spend
//! nothing of their budget; who has times of its own is attempted as planned, and what comes of
//! that counts here like everything else. A trial whose worker died ends by itself.
//!
//! What was never heard to fail is known to nobody: an item is made by the first failure, or where
//! a receiver is found to be slow.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use url::Url;

use super::{
    AccountId, Attempt, OpId,
    attempt::{ErrorKind, Exchange},
};

/// So many failures in a row, and a receiver is taken to be down.
pub const FAILURES_MAX: usize = 5;
/// How long it is left alone the first time; twice as long every time that a trial fails.
const OPEN: Duration = Duration::from_mins(1);
/// The longest that it is left alone.
const OPEN_MAX: Duration = Duration::from_hours(1);
/// How long a trial may take: whoever tries is a function that lives no longer.
const TRIAL: Duration = Duration::from_secs(30);
/// A receiver is slow that takes longer than this. It is what a worker who waits for it keeps
/// others waiting.
pub const SLOW: Duration = Duration::from_secs(3);

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority(String);

/// What is known of one account's receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// Whose receiver it is.
    pub account: AccountId,
    /// Where it is.
    pub host: Authority,
    /// Whether it is called.
    pub state: BreakerState,
    /// Whether the last attempt took long.
    pub is_slow: bool,
    /// The operation that got through last when that was news.
    pub recovered_by: Option<OpId>,
    /// When this was written last.
    pub changed_at: Timestamp,
    /// Counts the writes; the store refuses a write based on an older one. 0: not written yet.
    pub revision: u64,
}

/// Whether a receiver is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// It is.
    Closed {
        /// The operations that failed since one got through; fewer than [`FAILURES_MAX`].
        failed: Vec<OpId>,
    },
    /// It is not, until then; from then on somebody may try.
    Open {
        /// Until then.
        until: Timestamp,
        /// How often it was left alone since it was last heard.
        n_times: u32,
    },
    /// Somebody tries.
    Trial {
        /// Who.
        by: OpId,
        /// Until then by nobody else.
        until: Timestamp,
        /// How often it was left alone since it was last heard.
        n_times: u32,
    },
}

/// What an attempt showed about the receiver, whatever it meant for the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Whether it is there.
    pub health: Health,
    /// How long the attempt took.
    pub took: Duration,
}

/// Whether a receiver is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answered. A refusal is an answer, too: that is about one delivery, and not about it.
    Up,
    /// It, or the way to it, failed: 5xx, 429, or no whole answer.
    Down,
    /// Its time ran out, which is to be slow as well.
    TimedOut,
    /// Nobody asked it: its name leads where nobody may call.
    Unknown,
}

/// What somebody who wants to call a receiver is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// Call it.
    Clear,
    /// Write this, then call it: everybody else waits for what comes of it.
    Trial(Box<Breaker>),
    /// Wait until then.
    Barred(Timestamp),
}

impl Authority {
    /// The host and port that a URL leads to.
    pub fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let port = url.port_or_known_default()?;
        Some(Self(format!("{}:{port}", url.host_str()?)))
    }

    /// `host:port` as it was written down.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without the port.
    pub fn name(&self) -> &str {
        self.0.rsplit_once(':').map_or(&self.0, |(name, _)| name)
    }
}

impl Heard {
    /// What an attempt showed.
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
        Self { health, took: Duration::from_millis(attempt.duration_ms.into()) }
    }
}

impl Breaker {
    /// What is known of a receiver of which nothing is known.
    pub fn unknown(account: AccountId, host: Authority) -> Self {
        Self {
            account,
            host,
            state: BreakerState::Closed { failed: Vec::new() },
            is_slow: false,
            recovered_by: None,
            changed_at: Timestamp::UNIX_EPOCH,
            revision: 0,
        }
    }

    /// Whether those who wait for it would keep others waiting: it is slow, or down.
    pub fn needs_slow_lane(&self) -> bool {
        self.is_slow || !matches!(self.state, BreakerState::Closed { .. })
    }

    /// What `op` is to do that wants to call the receiver.
    pub fn way(&self, now: Timestamp, op: OpId) -> Route {
        let n_times = match self.state {
            BreakerState::Closed { .. } => return Route::Clear,
            // This operation's own write, whose answer was lost.
            BreakerState::Trial { by, .. } if by == op => return Route::Clear,
            BreakerState::Open { until, .. } | BreakerState::Trial { until, .. } if now < until => {
                return Route::Barred(until);
            }
            BreakerState::Open { n_times, .. } | BreakerState::Trial { n_times, .. } => n_times,
        };
        let state = BreakerState::Trial { by: op, until: now + TRIAL, n_times };
        Route::Trial(Box::new(Self { state, ..self.next(now) }))
    }

    /// What is known once `op` heard this; nothing if that is no news.
    pub fn heard(&self, heard: Heard, now: Timestamp, op: OpId) -> Option<Self> {
        if self.recovered_by == Some(op) {
            return None;
        }
        let is_slow = match heard.health {
            Health::Up | Health::Down => heard.took > SLOW,
            Health::TimedOut => true,
            Health::Unknown => self.is_slow,
        };
        let state = match heard.health {
            Health::Up => BreakerState::Closed { failed: Vec::new() },
            Health::Down | Health::TimedOut => self.after_failure(now, op),
            Health::Unknown => self.after_nothing(now, op),
        };
        if state == self.state && is_slow == self.is_slow {
            return None;
        }
        let recovers = heard.health == Health::Up && state != self.state;
        let recovered_by = if recovers { Some(op) } else { self.recovered_by };
        Some(Self { state, is_slow, recovered_by, ..self.next(now) })
    }

    /// What is known while an attempt has been taking longer than [`SLOW`].
    pub fn keeps_waiting(&self, now: Timestamp) -> Option<Self> {
        (!self.is_slow).then(|| Self { is_slow: true, ..self.next(now) })
    }

    /// Whether it was opened, once more or for the first time, when it was written last.
    pub fn has_just_opened(&self) -> bool {
        match self.state {
            BreakerState::Open { n_times, .. } => self.state == open(n_times, self.changed_at),
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
            // Somebody tried who had to, at a time of their own.
            BreakerState::Open { until, n_times } if *until <= now => open(n_times + 1, now),
            BreakerState::Open { .. } | BreakerState::Trial { .. } => self.after_nothing(now, op),
        }
    }

    /// A trial that shows nothing has not shown that the receiver is there.
    fn after_nothing(&self, now: Timestamp, op: OpId) -> BreakerState {
        match self.state {
            BreakerState::Trial { by, n_times, .. } if by == op => open(n_times + 1, now),
            BreakerState::Closed { .. }
            | BreakerState::Open { .. }
            | BreakerState::Trial { .. } => self.state.clone(),
        }
    }

    fn next(&self, now: Timestamp) -> Self {
        Self { revision: self.revision + 1, changed_at: now, ..self.clone() }
    }
}

fn open(n_times: u32, now: Timestamp) -> BreakerState {
    let doubled = OPEN * 2_u32.saturating_pow(n_times.saturating_sub(1).min(16));
    BreakerState::Open { until: now + doubled.min(OPEN_MAX), n_times }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
