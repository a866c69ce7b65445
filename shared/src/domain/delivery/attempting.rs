//! A worker starts an attempt, makes it, and finishes it.
//!
//! To start, a worker takes a lease with one conditional write, so only one worker attempts a
//! delivery at a time. If the worker dies, the lease expires and the sweep sends another one. A
//! worker that lost its lease can no longer finish.

use std::time::Duration;

use jiff::Timestamp;

use super::{Delivery, DeliveryState, HINT_DELAY_MAX, SWEEP_GRACE};
use crate::domain::OpId;

/// Lease of a worker. It is longer than a worker's function runs. Only a local stack may use a
/// shorter one.
pub const LEASE: Duration = Duration::from_secs(45);
/// Time between the end of a lease and the takeover by another worker, because clocks differ.
pub const LEASE_GUARD: Duration = Duration::from_secs(2);

/// The end of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The receiver accepted it.
    Delivered,
    /// The receiver can never accept it.
    Failed(FailureReason),
    /// The receiver did not accept it in any attempt.
    DeadLettered(FailureReason),
    /// It is no longer wanted.
    Cancelled,
}

/// The reason why a delivery ended without being delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The receiver redirected. Redirects are never followed.
    Redirect,
    /// The receiver responded with 410.
    Gone,
    /// The URL leads to an address that must not be called.
    BlockedAddress,
    /// All retries failed.
    RetriesSpent,
    /// Its workers died too often.
    CrashLoop,
    /// The receiver did not accept it, and its profile has no retries.
    NotAccepted,
    /// Its webhook is disabled.
    Disabled,
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// The receiver accepted it.
    Accepted,
    /// It failed, and may succeed later.
    Retry {
        /// The delay that the receiver asked for.
        retry_after: Option<Duration>,
    },
    /// It can never succeed.
    Permanent(FailureReason),
    /// Nothing was sent, because the delivery has no receiver any more.
    Unsent(DeliveryEnd),
}

/// The decision of a worker that wants to start an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum StartDecision {
    /// Write this, then attempt it.
    Attempt(Box<Delivery>),
    /// Write this: too many attempts were started.
    GiveUp(Box<Delivery>),
    /// Attempt it: this operation has written its start already.
    AlreadyMine,
    /// Come back at this time.
    TooEarly(Timestamp),
    /// Do nothing: another worker attempts it, or has attempted it.
    Skip,
}

impl Delivery {
    /// The new delivery, leased to `op` for `lease`, so that its creator attempts it at once.
    #[must_use]
    pub fn begin_leased(mut self, now: Timestamp, op: OpId, lease: Duration) -> Self {
        self.lease(now, op, lease);
        self
    }

    /// The new delivery, whose first attempt may have begun: the worker that had claimed its event died.
    #[must_use]
    pub fn after_lost_attempt(self) -> Self {
        Self { attempt: 1, starts: 1, ..self }
    }

    /// The decision of `op`, whose hint is for the attempt after number `expected`. An attempt is
    /// leased for `lease`.
    pub fn start(&self, expected: u32, now: Timestamp, op: OpId, lease: Duration) -> StartDecision {
        match self.state {
            DeliveryState::Done { .. } => return StartDecision::Skip,
            DeliveryState::Leased { owner, .. } if owner == op => {
                return StartDecision::AlreadyMine;
            }
            _ if self.attempt != expected => return StartDecision::Skip,
            // Only a sweep with a fast clock sends a hint for a lease that has not expired.
            DeliveryState::Leased { until, .. } if now < until + LEASE_GUARD => {
                return StartDecision::TooEarly(until + LEASE_GUARD);
            }
            DeliveryState::Waiting { not_before, .. } if now < not_before => {
                return StartDecision::TooEarly(not_before);
            }
            DeliveryState::Waiting { .. } | DeliveryState::Leased { .. } => (),
        }
        let mut next = self.next();
        if self.starts >= self.retry().starts_max() {
            next.done(DeliveryEnd::DeadLettered(FailureReason::CrashLoop), now, op);
            return StartDecision::GiveUp(Box::new(next));
        }
        next.lease(now, op, lease);
        StartDecision::Attempt(Box::new(next))
    }

    /// The delivery after the attempt of `op`, or `None` if `op` has lost its lease.
    ///
    /// `chance` is uniform from 0 to 1.
    pub fn finish(
        &self,
        verdict: AttemptVerdict,
        now: Timestamp,
        chance: f64,
        op: OpId,
    ) -> Option<Self> {
        let DeliveryState::Leased { owner, .. } = self.state else { return None };
        if owner != op {
            return None;
        }
        let mut next = self.next();
        match verdict {
            AttemptVerdict::Accepted => next.done(DeliveryEnd::Delivered, now, op),
            AttemptVerdict::Unsent(end) => next.done(end, now, op),
            AttemptVerdict::Permanent(reason) => {
                next.failures += 1;
                next.done(DeliveryEnd::Failed(reason), now, op);
            }
            AttemptVerdict::Retry { retry_after } => {
                next.failures += 1;
                match self.retry().delay(next.failures, chance, retry_after) {
                    None => {
                        next.done(DeliveryEnd::DeadLettered(FailureReason::RetriesSpent), now, op);
                    }
                    Some(delay) => {
                        let not_before = now + delay;
                        next.state = DeliveryState::Waiting { not_before, reason: None };
                        // A hint comes at that time. The sweep follows in case the hint is lost.
                        let is_hinted = delay <= HINT_DELAY_MAX;
                        next.due_at =
                            Some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });
                    }
                }
            }
        }
        Some(next)
    }

    fn lease(&mut self, now: Timestamp, op: OpId, lease: Duration) {
        let until = now + lease;
        self.state = DeliveryState::Leased { owner: op, until };
        self.attempt += 1;
        self.starts += 1;
        self.due_at = Some(until + LEASE_GUARD);
    }

    pub(super) fn done(&mut self, end: DeliveryEnd, at: Timestamp, op: OpId) {
        self.state = DeliveryState::Done { end, at, op };
        self.due_at = None;
    }
}
