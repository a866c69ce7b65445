//! A circuit: one thing that calls depend on, and that can be down.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::OpId;

/// Consecutive failures after which a circuit opens.
pub const FAILURES_MAX: usize = 5;
/// First wait of an open circuit. Every failed trial doubles it.
const OPEN_DURATION: Duration = Duration::from_mins(1);
/// Longest wait of an open circuit.
pub(super) const OPEN_DURATION_MAX: Duration = Duration::from_hours(1);
/// Time limit of a trial: the function that makes it runs no longer.
const TRIAL_DURATION: Duration = Duration::from_secs(30);

/// The state of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// Calls are made.
    Closed {
        /// The operations that failed since the last success, fewer than [`FAILURES_MAX`].
        failed: Vec<OpId>,
    },
    /// No call is made until `until`. After that, one delivery tries.
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

/// The meaning of one attempt for a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It works.
    Success,
    /// It does not work.
    Failure,
    /// The attempt timed out. A time-out never holds other deliveries, so it ends a trial without
    /// another wait.
    Silence,
    /// The attempt says nothing about it. A trial without a result has failed.
    Nothing,
}

/// The way for an operation through one circuit.
pub(super) enum Passage {
    /// Make the call.
    Clear,
    /// Write this state, then make the call.
    Trial(Circuit),
    /// Wait until this time.
    Wait(Timestamp),
}

impl Circuit {
    /// Closed, without any failure.
    pub const HEALTHY: Self = Self::Closed { failed: Vec::new() };

    /// Calls are made.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// The way for `op`.
    pub(super) fn passage(&self, now: Timestamp, op: OpId) -> Passage {
        let n_openings = match *self {
            Self::Closed { .. } => return Passage::Clear,
            // The operation's own write, whose response was lost.
            Self::Trial { by, .. } if by == op => return Passage::Clear,
            Self::Open { until, .. } | Self::Trial { until, .. } if now < until => {
                return Passage::Wait(until);
            }
            Self::Open { n_openings, .. } | Self::Trial { n_openings, .. } => n_openings,
        };
        Passage::Trial(Self::Trial { by: op, until: now + TRIAL_DURATION, n_openings })
    }

    /// The state after an attempt of `op`.
    pub(super) fn after(&self, evidence: Evidence, now: Timestamp, op: OpId) -> Self {
        match (evidence, self) {
            (Evidence::Success, _) => Self::HEALTHY,
            (Evidence::Failure, Self::Closed { failed }) => closed_or_open(failed, now, op),
            // A delivery with fixed delays made the call, and that counts as a failed trial.
            (Evidence::Failure, Self::Open { until, n_openings }) if *until <= now => {
                open(n_openings + 1, now)
            }
            (Evidence::Silence, Self::Trial { by, .. }) if *by == op => Self::HEALTHY,
            (Evidence::Failure | Evidence::Nothing, Self::Trial { by, n_openings, .. })
                if *by == op =>
            {
                open(n_openings + 1, now)
            }
            (Evidence::Failure | Evidence::Silence | Evidence::Nothing, _) => self.clone(),
        }
    }

    /// It opened at `at`, for the first time or again.
    pub(super) fn opened_at(&self, at: Timestamp) -> bool {
        matches!(*self, Self::Open { n_openings, .. } if *self == open(n_openings, at))
    }
}

fn closed_or_open(failed: &[OpId], now: Timestamp, op: OpId) -> Circuit {
    let mut failed = failed.to_vec();
    if !failed.contains(&op) {
        failed.push(op);
    }
    if failed.len() < FAILURES_MAX {
        return Circuit::Closed { failed };
    }
    open(1, now)
}

fn open(n_openings: u32, now: Timestamp) -> Circuit {
    let doubled = OPEN_DURATION * 2_u32.saturating_pow(n_openings.saturating_sub(1).min(16));
    Circuit::Open { until: now + doubled.min(OPEN_DURATION_MAX), n_openings }
}
