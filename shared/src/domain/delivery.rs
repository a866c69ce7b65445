//! A delivery: the duty to notify one target of one event, and its attempts.
//!
//! ```text
//!   Waiting ── start ──▶ Leased ── finish ──▶ Delivered | Failed | DeadLettered
//!      ▲                   │ └──── finish ──▶ Waiting (for a retry)
//!      │                   └ its worker died: another takes over when the lease has expired
//!      └─ redeliver ── any of the ends          Cancelled: its request was erased
//!                                              Arrived, Bounced: a mail that was delivered arrived, came back
//! ```
//!
//! A delivery is mostly stored after its first attempt, at its end or waiting for a retry.
//!
//! [`attempting`] has these steps. [`waiting`] has two more, for receivers that are slow or down.
//!
//! A delivery to a recipient is a [`message`]. It has several ways, and is over when one has accepted it.
//!
//! Two counters limit a delivery. `starts` counts attempts that began, so a payload that kills its
//! worker comes to an end. `failures` counts attempts that failed, and only these use up retries.
//! Waiting for a receiver that is slow or down uses up neither.

pub mod attempting;
pub mod message;
mod receiver;
mod target;
pub mod waiting;

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

pub use attempting::{
    AttemptVerdict, Bounce, DeliveryEnd, FailureReason, LEASE, LEASE_GUARD, REPORT_INTERVAL,
    SkipReason, StartDecision,
};
pub use message::{CopyUpdate, Message, Purpose, TestMessage, Way};
pub use receiver::{Auth, AuthKind, Credentials, Receiver, SealedHeader};
pub use target::Target;
pub use waiting::{Lane, WaitReason};

use super::{
    Attempt, ChannelId, DeliveryId, EventId, EventType, OpId, Owner, RequestId, Trace, WebhookRef,
    retry::{RetryPolicy, TIMEOUT_SECONDS_MAX},
    slack::SlackCopy,
};

/// Time from a hint to the sweep that repeats it, in case the hint was lost.
pub const SWEEP_GRACE: Duration = Duration::from_secs(10);
/// Longest time that SQS delays a message. Later retries are left to the sweep.
pub const HINT_DELAY_MAX: Duration = Duration::from_mins(15);

/// Most redeliveries of one delivery within [`REDELIVERY_WINDOW`]. Receivers that call each other's
/// redelivery could otherwise go on for ever.
pub const REDELIVERIES_MAX: u32 = 20;
/// Time after the first of some redeliveries in which they are counted.
pub const REDELIVERY_WINDOW: Duration = Duration::from_hours(1);

/// The target name of a request's callback.
pub const CALLBACK: &str = "callback";
/// The target name of the event bus.
pub const BUS: &str = "bus";

/// The duty to notify one target of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its identifier, derived from event and target. Every attempt sends the same one.
    pub id: DeliveryId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The channel whose secrets sign it. Without a channel, the account's secrets do.
    pub channel: Option<ChannelId>,
    /// The type of the event.
    pub event_type: EventType,
    /// The time of the event.
    pub happened_at: Timestamp,
    /// The trace of the call that led to the event, if it named one.
    pub trace: Option<Trace>,
    /// The target.
    pub target: Target,
    /// The webhook, if the target is one.
    pub webhook: Option<WebhookRef>,
    /// The index of the notifier by which a message goes. See [`message`].
    pub way: usize,
    /// It is a message that did not reach its recipient, and its request does not know yet.
    pub has_report: bool,
    /// The copy that the recipient of a message sees, where it can be changed.
    pub copy: Option<SlackCopy>,
    /// The bytes to send, which never change. Empty for a message. `None` after an erasure.
    pub body: Option<Vec<u8>>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// Its place in its life.
    pub state: DeliveryState,
    /// The number of its latest attempt, counted over its whole life.
    pub attempt: u32,
    /// The attempts that began since it was created or redelivered.
    pub starts: u32,
    /// The attempts that failed since it was created or redelivered.
    pub failures: u32,
    /// The time that it has waited, or is going to wait, for an open breaker. Counted since it was
    /// created or redelivered.
    pub breaker_wait: Duration,
    /// The operation of the latest call that asked for it at once: a redelivery, or the trigger of a
    /// test event.
    pub expedited_by: Option<OpId>,
    /// The recent redeliveries.
    pub redeliveries: Option<Redeliveries>,
    /// Its first attempt, if it was made before the delivery was stored and is short. All others are
    /// items.
    pub first_attempt: Option<Box<Attempt>>,
    /// Its bodies are shown to no caller: the result of its request has one reader.
    pub is_private: bool,
    /// The timer: when a sweep picks it up.
    pub due_at: Option<Timestamp>,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub revision: u64,
}

/// The redeliveries of a delivery within one [`REDELIVERY_WINDOW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redeliveries {
    /// The time of the first.
    pub since: Timestamp,
    /// Their number.
    pub count: u32,
}

/// The event that a delivery reports, and its circumstances.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The event.
    pub event: EventId,
    /// The type of the event.
    pub event_type: EventType,
    /// The time of the event.
    pub happened_at: Timestamp,
    /// The trace of the call that led to the event, if it named one.
    pub trace: Option<Trace>,
    /// The operation that created the event, or its request.
    pub made_by: OpId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The channel that its request was sent to, if it was.
    pub channel: Option<ChannelId>,
    /// Its bodies are for its receiver only, because its request lets nobody else read the result
    /// freely.
    pub is_private: bool,
}

/// A delivery's place in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits to be attempted.
    Waiting {
        /// The earliest time of the next attempt.
        not_before: Timestamp,
        /// The reason, if it waits for its receiver.
        reason: Option<WaitReason>,
    },
    /// A worker attempts it.
    Leased {
        /// The worker's operation.
        owner: OpId,
        /// The end of the lease.
        until: Timestamp,
    },
    /// It is over.
    Done {
        /// The end.
        end: DeliveryEnd,
        /// The time of the end.
        at: Timestamp,
        /// The operation that ended it.
        op: OpId,
    },
}

impl Delivery {
    /// The identifier of the delivery of `event` to the target with this name.
    ///
    /// `made_by` is the operation that created the event's request. The same idempotency key may
    /// create a request with the same identifier again, after it has expired. Deliveries of the new
    /// request must get other identifiers than those of the old one.
    pub fn id_of(event: EventId, made_by: OpId, target: &str) -> DeliveryId {
        let mut hash = Sha256::new();
        hash.update(event.bits().to_be_bytes());
        hash.update(made_by.0.to_be_bytes());
        hash.update(target);
        let hash: [u8; 32] = hash.finalize().into();
        let tag = hash[..8].try_into().expect("8 of 32 bytes");
        event.delivery(u64::from_be_bytes(tag))
    }

    /// A new delivery of `of` to the target with this name.
    pub fn begin(of: Origin, name: &str, target: Target, body: Vec<u8>, now: Timestamp) -> Self {
        Self {
            id: Self::id_of(of.event, of.made_by, name),
            owner: of.owner,
            channel: of.channel,
            event_type: of.event_type,
            happened_at: of.happened_at,
            trace: of.trace,
            target,
            webhook: None,
            way: 0,
            has_report: false,
            copy: None,
            body: Some(body),
            created_at: now,
            state: DeliveryState::Waiting { not_before: now, reason: None },
            attempt: 0,
            starts: 0,
            failures: 0,
            breaker_wait: Duration::ZERO,
            expedited_by: None,
            redeliveries: None,
            first_attempt: None,
            is_private: of.is_private,
            due_at: Some(now),
            revision: 0,
        }
    }

    /// The event.
    pub fn event(&self) -> EventId {
        self.id.event()
    }

    /// The request of the event, if the event comes from a request.
    pub fn request(&self) -> Option<RequestId> {
        self.event().request()
    }

    /// The trace that its attempts are logged under: the call's, or one of our own, which receivers
    /// do not get.
    pub fn trace_or_own(&self) -> Trace {
        let own = || Trace::named_after(self.event());
        self.trace.unwrap_or_else(|| self.request().map_or_else(own, Trace::named_after))
    }

    /// The time from which it may be redelivered again, if it was redelivered too often.
    pub fn redelivery_limit_ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ends_at = |it: Redeliveries| it.since + REDELIVERY_WINDOW;
        self.redeliveries
            .filter(|it| it.count >= REDELIVERIES_MAX && now < ends_at(*it))
            .map(ends_at)
    }

    /// The delivery after its sender asked for it again, or `None` while it is being attempted.
    pub fn redeliver(&self, now: Timestamp, op: OpId) -> Option<Self> {
        let is_message =
            matches!(self.target, Target::Message(_) | Target::Test(_) | Target::Update(_));
        if matches!(self.state, DeliveryState::Leased { .. }) || self.body.is_none() || is_message {
            return None;
        }
        let mut next = self.next();
        next.state = DeliveryState::Waiting { not_before: now, reason: None };
        (next.starts, next.failures, next.breaker_wait) = (0, 0, Duration::ZERO);
        next.expedited_by = Some(op);
        let recent = self.redeliveries.filter(|it| now < it.since + REDELIVERY_WINDOW);
        let recent = recent.unwrap_or(Redeliveries { since: now, count: 0 });
        next.redeliveries = Some(Redeliveries { count: recent.count + 1, ..recent });
        next.due_at = Some(now);
        Some(next)
    }

    /// The delivery without its content. It is also cancelled, unless it is over.
    pub fn erase(&self, now: Timestamp, op: OpId) -> Option<Self> {
        self.body.as_ref()?;
        let mut next = self.next();
        if !matches!(self.state, DeliveryState::Done { .. }) {
            next.done(DeliveryEnd::Cancelled, now, op);
        }
        (next.body, next.copy) = (None, None);
        (next.has_report, next.due_at) = (false, None);
        next.target = Target::Erased;
        if let Some(erased) = next.first_attempt.as_ref().and_then(|it| it.erase()) {
            next.first_attempt = Some(Box::new(erased));
        }
        Some(next)
    }

    /// The delivery after a hint to attempt it was sent. The sweep skips it until `until`.
    #[must_use]
    pub fn hinted(&self, until: Timestamp) -> Self {
        let mut next = self.next();
        next.due_at = Some(until);
        next
    }

    /// The notifier by which it goes, if it is a message.
    pub fn way(&self) -> Option<&Way> {
        match &self.target {
            Target::Message(message) => message.ways.get(self.way),
            Target::Test(test) => Some(&test.way),
            Target::Update(update) => Some(&update.way),
            Target::Https(_) | Target::Bus | Target::Erased => None,
        }
    }

    /// It is a message that can still go by another notifier.
    pub fn has_next_way(&self) -> bool {
        matches!(&self.target, Target::Message(message) if self.way + 1 < message.ways.len())
    }

    /// The time limit of one attempt.
    pub fn timeout(&self) -> Duration {
        self.target.timeout()
    }

    /// The delay of the hint for the next attempt, or `None` if the sweep has to send it.
    pub fn hint_delay(&self, now: Timestamp) -> Option<Duration> {
        let DeliveryState::Waiting { not_before, .. } = self.state else { return None };
        let delay = Duration::try_from(not_before.duration_since(now)).unwrap_or_default();
        (delay <= HINT_DELAY_MAX).then_some(delay)
    }

    fn retry(&self) -> RetryPolicy {
        self.target.retry()
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
