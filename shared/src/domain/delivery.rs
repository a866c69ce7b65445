//! The duty to tell one receiver of one event, and the attempts at it.
//!
//! ```text
//!   Waiting ── start ──▶ Leased ── finish ──▶ Delivered | Failed | DeadLettered
//!      ▲                   │ └──── finish ──▶ Waiting (a retry, later)
//!      │                   └ its worker died: taken over when the lease is up
//!      └─ redeliver ── any of the ends         Cancelled: its request was erased
//! ```
//!
//! `attempt` counts starts and is capped, so that a payload that kills its worker comes to an end;
//! `failures` counts what receivers answered, and alone spends the retries. What waits for a receiver
//! that is slow or down ([`waiting`]) spends neither.

use super::{
    ChannelId, DeliveryId, EventId, EventType, OpId, Owner, Profile, RequestId, Trace, WebhookId,
    profile::Spec,
    retry::{RetryPolicy, TIMEOUT_SECONDS_MAX},
};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

pub mod waiting;

use waiting::WaitReason;

/// Time for which a worker leases a delivery: longer than its function runs. Only a local stack may use
/// a shorter one.
pub const LEASE: Duration = Duration::from_secs(45);
/// How long after a lease's end others take over, for clocks that differ.
const LEASE_GUARD: Duration = Duration::from_secs(2);
/// How long after a time that was hinted the sweep looks whether the hint was lost.
pub const SWEEP_GRACE: Duration = Duration::from_secs(10);
/// The longest time that a queue delays a message.
pub const HINT_DELAY_MAX: Duration = Duration::from_mins(15);

/// The name of the target that is a request's own callback.
pub const CALLBACK: &str = "callback";
/// The name of the target that is the event bus.
pub const BUS: &str = "bus";

/// The duty to tell one receiver of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Who this is: made from the event and the target, and the same on every attempt.
    pub id: DeliveryId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The channel whose secret signs it; of none, its account's does.
    pub channel: Option<ChannelId>,
    /// What is told.
    pub event: EventId,
    /// What kind of event that is.
    pub event_type: EventType,
    /// When that happened.
    pub happened_at: Timestamp,
    /// The trace of the call that asked, if it named one.
    pub trace: Option<Trace>,
    /// Whom to tell.
    pub target: Target,
    /// The webhook that the target is.
    pub webhook: Option<WebhookId>,
    /// The bytes that are sent, frozen. `None`: erased.
    pub body: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where it is in its life.
    pub state: DeliveryState,
    /// How often it was started, over its whole life.
    pub attempt: u32,
    /// How often it was started since it was made or redelivered.
    pub starts: u32,
    /// How often it failed since it was made or redelivered.
    pub failures: u32,
    /// How long it has waited, or is to wait by now, for a receiver that is down; counted as
    /// `starts` are.
    pub held: Duration,
    /// The operation that redelivered it last.
    pub redelivered_by: Option<OpId>,
    /// When somebody must look after it.
    pub due_at: Option<Timestamp>,
    /// Counts the writes; the store refuses a write based on an older one.
    pub revision: u64,
}

/// What a delivery is to tell of.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The event.
    pub event: EventId,
    /// What kind of event that is.
    pub event_type: EventType,
    /// When it happened.
    pub happened_at: Timestamp,
    /// The trace of the call that asked, if it named one.
    pub trace: Option<Trace>,
    /// The operation that made the event, or its request.
    pub made_by: OpId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The channel that its request was sent to, if it was.
    pub channel: Option<ChannelId>,
}

/// Whom to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A receiver of the sender's.
    Https(Receiver),
    /// The operator's event bus.
    Bus,
    /// Nobody knows any more: it was erased.
    Erased,
}

/// A receiver of the sender's, and how it wants to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Checked when it was given, and to be checked again at every attempt.
    pub url: String,
    /// What it expects.
    pub profile: Profile,
    /// The whole time for one attempt.
    pub timeout_seconds: u32,
    /// When failed attempts are repeated.
    pub retry: RetryPolicy,
    /// Sent as `Authorization: Bearer …`.
    pub bearer_token: Option<BearerToken>,
    /// The profile whose bodies it expects, if not its own profile's.
    pub body: Option<Profile>,
    /// The profile whose signatures it expects, if not its own profile's.
    pub signature: Option<Profile>,
    /// Sent beside ours.
    pub headers: Headers,
}

/// Headers beside ours, by name. Nobody knows what they are for, and some are passwords: what they
/// say cannot be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

/// A receiver's token. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(pub String);

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be attempted from then on.
    Waiting {
        /// Not earlier.
        not_before: Timestamp,
        /// For what, if not for that alone.
        because: Option<WaitReason>,
    },
    /// Being attempted.
    Leased {
        /// By whom.
        owner: OpId,
        /// Until then by nobody else.
        until: Timestamp,
    },
    /// Over.
    Done {
        /// How.
        end: DeliveryEnd,
        /// When.
        at: Timestamp,
        /// The operation that ended it.
        op: OpId,
    },
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The receiver has it.
    Delivered,
    /// The receiver will never have it.
    Failed(FailureReason),
    /// The receiver did not take it in all the time it had.
    DeadLettered(FailureReason),
    /// Nobody is to have it any more.
    Cancelled,
}

/// Why a delivery ended without being delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The receiver redirected; that is never followed.
    Redirect,
    /// The receiver answered 410.
    Gone,
    /// The URL is one that may not be called.
    BlockedAddress,
    /// Every retry failed.
    RetriesSpent,
    /// Its worker died again and again.
    CrashLoop,
    /// The receiver did not accept it, and its profile asks once only.
    NotAccepted,
    /// Its webhook is disabled.
    Disabled,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// The receiver has it.
    Accepted,
    /// It may work another time; the receiver may have said when.
    Retry {
        /// How long to wait at least.
        retry_after: Option<Duration>,
    },
    /// It never will.
    Permanent(FailureReason),
    /// It was not sent, for there is nobody to have it: it ends so.
    Unsent(DeliveryEnd),
}

/// What to do with a delivery that a hint or a timer named.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// Write this, then attempt it.
    Attempt(Box<Delivery>),
    /// Write this: it has been started too often.
    GiveUp(Box<Delivery>),
    /// It is mine already: this very operation started it.
    Mine,
    /// Come back then.
    Early(Timestamp),
    /// Nothing: somebody else is at it, or has been.
    Nothing,
}

impl Receiver {
    /// The receiver at `url`, as its profile has it.
    pub fn of(url: impl Into<String>, profile: Profile) -> Self {
        let spec = profile.spec();
        Self {
            url: url.into(),
            profile,
            timeout_seconds: spec.timeout_seconds,
            retry: spec.retry(),
            bearer_token: None,
            body: None,
            signature: None,
            headers: Headers::default(),
        }
    }

    /// The receiver without what is asked for at each attempt, so that it is kept in one place.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        Self { bearer_token: None, headers: Headers::default(), ..self.clone() }
    }

    /// What it expects: as its profile has it, but for what it wants otherwise.
    pub fn spec(&self) -> Spec {
        let usual = *self.profile.spec();
        let body = self.body.map_or(usual, |it| *it.spec());
        let signature = self.signature.map_or(usual, |it| *it.spec());
        Spec {
            body: body.body,
            event_names: body.event_names,
            signature: signature.signature,
            ..usual
        }
    }
}

impl Delivery {
    /// The identifier of the delivery of `event` to the target with this name.
    ///
    /// `made_by` is the operation that made the event's request. A request's identifier may come
    /// back, from the same idempotency key after its time; its deliveries must not.
    pub fn id_of(event: EventId, made_by: OpId, target: &str) -> DeliveryId {
        let mut hash = Sha256::new();
        hash.update(event.bits().to_be_bytes());
        hash.update(made_by.0.to_be_bytes());
        hash.update(target);
        let hash: [u8; 32] = hash.finalize().into();
        let bits = hash[..16].try_into().expect("16 of 32 bytes");
        DeliveryId::from_bits(u128::from_be_bytes(bits))
    }

    /// The delivery of `of` to the target with this name, as it begins.
    pub fn begin(of: Origin, name: &str, target: Target, body: Vec<u8>, now: Timestamp) -> Self {
        Self {
            id: Self::id_of(of.event, of.made_by, name),
            owner: of.owner,
            channel: of.channel,
            event: of.event,
            event_type: of.event_type,
            happened_at: of.happened_at,
            trace: of.trace,
            target,
            webhook: None,
            body: Some(body),
            created_at: now,
            state: DeliveryState::Waiting { not_before: now, because: None },
            attempt: 0,
            starts: 0,
            failures: 0,
            held: Duration::ZERO,
            redelivered_by: None,
            due_at: Some(now),
            revision: 0,
        }
    }

    /// The request that the event is of, if it is a request's.
    pub fn request(&self) -> Option<RequestId> {
        self.event.request()
    }

    /// The trace under which its attempts are logged: the one that the call named, or else one of its
    /// own, which receivers are not told.
    pub fn trace_or_own(&self) -> Trace {
        let own = || Trace::named_after(self.event);
        self.trace.unwrap_or_else(|| self.request().map_or_else(own, Trace::named_after))
    }

    /// The delivery, leased to `op` for `lease` from the beginning: its maker attempts it at once.
    #[must_use]
    pub fn begin_leased(mut self, now: Timestamp, op: OpId, lease: Duration) -> Self {
        self.lease(now, op, lease);
        self
    }

    /// The next step of `op` at `now`, when a hint sent it for the attempt after `expected` starts.
    /// An attempt is leased for `lease`.
    pub fn start(&self, expected: u32, now: Timestamp, op: OpId, lease: Duration) -> Start {
        match self.state {
            DeliveryState::Done { .. } => return Start::Nothing,
            DeliveryState::Leased { owner, .. } if owner == op => return Start::Mine,
            _ if self.attempt != expected => return Start::Nothing,
            // Only a sweep whose clock is ahead hints at a lease that is not over.
            DeliveryState::Leased { until, .. } if now < until + LEASE_GUARD => {
                return Start::Early(until + LEASE_GUARD);
            }
            DeliveryState::Waiting { not_before, .. } if now < not_before => {
                return Start::Early(not_before);
            }
            DeliveryState::Waiting { .. } | DeliveryState::Leased { .. } => (),
        }
        let mut next = self.next();
        if self.starts >= self.retry().starts_max() {
            next.done(DeliveryEnd::DeadLettered(FailureReason::CrashLoop), now, op);
            return Start::GiveUp(Box::new(next));
        }
        next.lease(now, op, lease);
        Start::Attempt(Box::new(next))
    }

    /// The delivery once `op`'s attempt came to `verdict`; nothing if it is no longer `op`'s.
    ///
    /// `chance` is uniform in 0 to 1.
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
                        next.state = DeliveryState::Waiting { not_before, because: None };
                        // The net is a little later than the hint, where there can be one.
                        let is_hinted = delay <= HINT_DELAY_MAX;
                        next.due_at =
                            Some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });
                    }
                }
            }
        }
        Some(next)
    }

    /// The delivery, to be attempted anew from `now` on; nothing while it is being attempted.
    pub fn redeliver(&self, now: Timestamp, op: OpId) -> Option<Self> {
        if matches!(self.state, DeliveryState::Leased { .. }) || self.body.is_none() {
            return None;
        }
        let mut next = self.next();
        next.state = DeliveryState::Waiting { not_before: now, because: None };
        (next.starts, next.failures, next.held) = (0, 0, Duration::ZERO);
        next.redelivered_by = Some(op);
        next.due_at = Some(now);
        Some(next)
    }

    /// The delivery without its content, and cancelled unless it is done.
    pub fn erase(&self, now: Timestamp, op: OpId) -> Option<Self> {
        self.body.as_ref()?;
        let mut next = self.next();
        if !matches!(self.state, DeliveryState::Done { .. }) {
            next.done(DeliveryEnd::Cancelled, now, op);
        }
        next.body = None;
        next.target = Target::Erased;
        Some(next)
    }

    /// The delivery once somebody was sent to attempt it, and need not be again until `until`.
    #[must_use]
    pub fn hinted(&self, until: Timestamp) -> Self {
        let mut next = self.next();
        next.due_at = Some(until);
        next
    }

    /// The whole time for one attempt.
    pub fn timeout(&self) -> Duration {
        let seconds = match &self.target {
            Target::Https(receiver) => receiver.timeout_seconds.min(TIMEOUT_SECONDS_MAX),
            Target::Bus | Target::Erased => BUS_TIMEOUT_SECONDS,
        };
        Duration::from_secs(seconds.into())
    }

    /// The delay until the next attempt, if there is one to be hinted at.
    pub fn hint_delay(&self, now: Timestamp) -> Option<Duration> {
        let DeliveryState::Waiting { not_before, .. } = self.state else { return None };
        let delay = Duration::try_from(not_before.duration_since(now)).unwrap_or_default();
        (delay <= HINT_DELAY_MAX).then_some(delay)
    }

    fn retry(&self) -> RetryPolicy {
        match &self.target {
            Target::Https(receiver) => receiver.retry.clone(),
            Target::Bus | Target::Erased => Profile::Standard.spec().retry(),
        }
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }

    fn lease(&mut self, now: Timestamp, op: OpId, lease: Duration) {
        let until = now + lease;
        self.state = DeliveryState::Leased { owner: op, until };
        self.attempt += 1;
        self.starts += 1;
        self.due_at = Some(until + LEASE_GUARD);
    }

    fn done(&mut self, end: DeliveryEnd, at: Timestamp, op: OpId) {
        self.state = DeliveryState::Done { end, at, op };
        self.due_at = None;
    }
}

/// The whole time for one attempt to publish: the SDK's own limit, and a little.
const BUS_TIMEOUT_SECONDS: u32 = 5;

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl std::fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

#[cfg(test)]
mod tests;
