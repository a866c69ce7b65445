//! A worker starts an attempt, makes it, and finishes it.
//!
//! To start, a worker takes a lease with one conditional write, so only one worker attempts a
//! delivery at a time. If the worker dies, the lease expires and the sweep sends another one. A
//! worker that lost its lease can no longer finish.

use std::time::Duration;

use jiff::Timestamp;

use super::{Delivery, DeliveryState, HINT_DELAY_MAX, SWEEP_GRACE, Target};
use crate::domain::{NotifierKind, OpId};

/// Lease of a worker. It is longer than a worker's function runs. Only a local stack may use a
/// shorter one.
pub const LEASE: Duration = Duration::from_secs(45);
/// Time between the end of a lease and the takeover by another worker, because clocks differ.
pub const LEASE_GUARD: Duration = Duration::from_secs(2);

/// Time from the failure of a message to the sweep that reports it to its request, if its worker has not.
pub const REPORT_INTERVAL: Duration = Duration::from_mins(1);

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
    /// It is a message that was never to be sent.
    Skipped(SkipReason),
    /// It is a mail, and the recipient's mail server accepted it.
    Arrived,
    /// It is a mail that was accepted, and came back.
    Bounced,
}

/// A mail that came back, or that its recipient reported as spam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// The index of the way by which it went.
    pub way: usize,
    /// The recipient can still answer, and has not.
    pub is_wanted: bool,
}

/// The reason why a message was never to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Its request is a test.
    TestMode,
    /// The recipient got as many messages about the request as one may get.
    MessageLimit,
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
    /// Its webhook or notifier is disabled or deleted.
    Disabled,
    /// The service of its notifier refused the message or the credentials.
    Refused,
    /// Mail to the recipient's address came back recently.
    Bounced,
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
    /// The receiver takes no more for now. That is no failure, and uses up no retries.
    Throttled {
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
            next.fail(DeliveryEnd::DeadLettered(FailureReason::CrashLoop), now, op);
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
            AttemptVerdict::Unsent(end) => next.fail(end, now, op),
            AttemptVerdict::Permanent(reason) => {
                next.failures += 1;
                next.fail(DeliveryEnd::Failed(reason), now, op);
            }
            AttemptVerdict::Throttled { retry_after } => match next.throttle(chance, retry_after) {
                Some(delay) => next.retry_after(delay, now),
                None => next.retry_or_fail(chance, retry_after, now, op),
            },
            AttemptVerdict::Retry { retry_after } => {
                next.retry_or_fail(chance, retry_after, now, op);
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

    /// Waits for its next retry, or fails without one.
    fn retry_or_fail(
        &mut self,
        chance: f64,
        retry_after: Option<Duration>,
        now: Timestamp,
        op: OpId,
    ) {
        self.failures += 1;
        match self.retry().delay(self.failures, chance, retry_after) {
            Some(delay) => self.retry_after(delay, now),
            None => self.fail(DeliveryEnd::DeadLettered(FailureReason::RetriesSpent), now, op),
        }
    }

    fn retry_after(&mut self, delay: Duration, now: Timestamp) {
        let not_before = now + delay;
        self.state = DeliveryState::Waiting { not_before, reason: None };
        // A hint comes at that time. The sweep follows in case the hint is lost.
        let is_hinted = delay <= HINT_DELAY_MAX;
        self.due_at = Some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });
    }

    /// Ends without success on this way. A message goes on with the next one, and after the last its
    /// request learns that the recipient was not reached.
    fn fail(&mut self, end: DeliveryEnd, now: Timestamp, op: OpId) {
        let is_failure = match end {
            DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_) | DeliveryEnd::Bounced => true,
            DeliveryEnd::Delivered
            | DeliveryEnd::Arrived
            | DeliveryEnd::Cancelled
            | DeliveryEnd::Skipped(_) => false,
        };
        let n_ways = match &self.target {
            Target::Message(message) if is_failure => message.ways.len(),
            Target::Message(_)
            | Target::Test(_)
            | Target::Update(_)
            | Target::Https(_)
            | Target::Bus
            | Target::Erased => {
                return self.done(end, now, op);
            }
        };
        if self.way + 1 < n_ways {
            self.way += 1;
            (self.starts, self.failures, self.breaker_wait) = (0, 0, Duration::ZERO);
            self.retry_after(Duration::ZERO, now);
            return;
        }
        self.done(end, now, op);
        self.has_report = true;
        self.due_at = Some(now + REPORT_INTERVAL);
    }

    /// The message after `bounce`, or `None` if that changes nothing: it went on with another way, ended
    /// otherwise, is erased, or is being attempted at this moment.
    pub fn bounce(&self, bounce: Bounce, now: Timestamp, op: OpId) -> Option<Self> {
        let has_arrived = self.has_arrived() && self.way == bounce.way;
        if !has_arrived && !self.is_mail_sent_by(bounce.way) {
            return None;
        }
        let mut next = self.next();
        if bounce.is_wanted {
            next.fail(DeliveryEnd::Bounced, now, op);
        } else {
            next.done(DeliveryEnd::Bounced, now, op);
        }
        Some(next)
    }

    /// The test message after its mail came back, or `None` if it was not sent.
    pub fn bounce_test(&self, now: Timestamp, op: OpId) -> Option<Self> {
        let is_sent = matches!(self.state, DeliveryState::Done { end: DeliveryEnd::Delivered, .. });
        let mut next = self.next();
        next.done(DeliveryEnd::Failed(FailureReason::Bounced), now, op);
        (is_sent && matches!(self.target, Target::Test(_))).then_some(next)
    }

    /// The message after its mail by this way has arrived, or `None` if that changes nothing, as for
    /// [`Self::bounce`].
    pub fn arrive(&self, way: usize, now: Timestamp, op: OpId) -> Option<Self> {
        let mut next = self.next();
        next.done(DeliveryEnd::Arrived, now, op);
        self.is_mail_sent_by(way).then_some(next)
    }

    /// It is a message whose mail by this way was sent, or may have been.
    fn is_mail_sent_by(&self, way: usize) -> bool {
        let was_sent = match self.state {
            DeliveryState::Done { end, .. } => end == DeliveryEnd::Delivered,
            // An attempt whose outcome was unknown, so it was to be repeated.
            DeliveryState::Waiting { .. } => self.starts > 0,
            DeliveryState::Leased { .. } => false,
        };
        let is_mail = self.way().is_some_and(|it| it.kind == NotifierKind::Email);
        was_sent && is_mail && self.way == way && matches!(self.target, Target::Message(_))
    }

    fn has_arrived(&self) -> bool {
        matches!(self.state, DeliveryState::Done { end: DeliveryEnd::Arrived, .. })
    }

    /// The delivery after its request has learned that its recipient was not reached, or `None` if that
    /// was noted before.
    pub fn reported(&self) -> Option<Self> {
        let next = Self { has_report: false, due_at: None, ..self.next() };
        self.has_report.then_some(next)
    }

    pub(super) fn done(&mut self, end: DeliveryEnd, at: Timestamp, op: OpId) {
        self.state = DeliveryState::Done { end, at, op };
        self.due_at = None;
    }
}
