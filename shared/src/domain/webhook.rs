//! Webhooks: registered receivers of all events of some types.
//!
//! ```text
//!   Enabled ── by hand, 410, or failing for five days ──▶ Disabled
//!      ▲                                                     │
//!      └──────────────────── by hand ────────────────────────┘
//! ```
//!
//! A deleted webhook remains for a day, without its secrets, so that deleting it twice is the same
//! as once, and that the call which created it creates nothing when it is repeated. Its name can be
//! used again at once. Deliveries refer to a webhook by a [`WebhookRef`], so the next one of that name
//! gets none of them.

use super::{
    EventId, Filter, IdempotentCall, OpId, Owner, PastCalls, Source, WebhookId, WebhookRef,
    delivery::Receiver,
    secret::{Rotation, Secret, Secrets},
};
use std::time::Duration;

use jiff::Timestamp;

/// Most webhooks of an account, in each mode.
pub const WEBHOOKS_MAX: usize = 50;
/// Default limit of a callback's body.
pub const PAYLOAD_BYTES: u32 = 65_536;
/// Smallest limit of a callback's body. The largest single answer fits.
pub const PAYLOAD_BYTES_MIN: u32 = 8_192;
/// Largest limit of a callback's body. A delivery with such a body fits into an item of 400 KB.
pub const PAYLOAD_BYTES_MAX: u32 = 262_144;
/// Time of failures, without a success in between, after which a webhook is disabled.
pub const FAILING_MAX: Duration = Duration::from_hours(5 * 24);

/// A registered receiver of events.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its name.
    pub id: WebhookId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that created it.
    pub created_by: OpId,
    /// The calls with an idempotency key that created or changed it, or one of its name before it.
    pub(crate) calls: PastCalls,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The latest operation that changed its settings.
    pub updated_by: OpId,
    /// The time of that change.
    pub updated_at: Timestamp,
    /// Its settings.
    pub settings: Settings,
    /// Set while it is disabled. Then it gets no events.
    pub(crate) disabled: Option<Disabled>,
    /// The start of the first failed attempt since the last success.
    pub(crate) failing_since: Option<Timestamp>,
    /// The start of the failures for which it was last disabled. It stays when the webhook is enabled
    /// again, so that the event about it is sent in any case.
    pub(crate) disabled_for: Option<Timestamp>,
    /// The secrets that its deliveries are signed with.
    pub(crate) secrets: Secrets,
    /// The time of its deletion.
    pub(crate) deleted_at: Option<Timestamp>,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub(crate) revision: u64,
}

/// Everything that a new webhook is made from.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Its name.
    pub id: WebhookId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that creates it.
    pub created_by: OpId,
    /// The call, if it has an idempotency key.
    pub call: Option<IdempotentCall>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// Its settings.
    pub settings: Settings,
    /// It gets events from the start.
    pub is_enabled: bool,
    /// The secret that its deliveries are signed with.
    pub secret: Secret,
}

/// The settings of a webhook, which its owner decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Its purpose, in the owner's words.
    pub description: Option<String>,
    /// Its URL, and what it expects.
    pub receiver: Receiver,
    /// The event types that it subscribes to.
    pub event_types: Vec<Filter>,
    /// The limit of a body. Instead of a larger body it gets the URL of the whole event.
    pub max_payload_bytes: u32,
}

/// The time and reason for which a webhook was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// The reason.
    pub reason: DisableReason,
    /// The time.
    pub at: Timestamp,
}

/// The reason for which a webhook was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisableReason {
    /// Its owner disabled it.
    ByHand,
    /// It responded with 410.
    Gone,
    /// It has failed for [`FAILING_MAX`].
    Failing,
}

/// A change of a webhook by its owner.
#[derive(Clone, Debug)]
pub struct WebhookUpdate {
    /// The new settings.
    pub settings: Settings,
    /// It gets events from now on.
    pub is_enabled: bool,
}

impl Webhook {
    /// A webhook that has received nothing yet.
    pub fn new(new: NewWebhook) -> Self {
        let at = new.created_at;
        let by_hand = Disabled { reason: DisableReason::ByHand, at };
        Self {
            id: new.id,
            owner: new.owner,
            created_by: new.created_by,
            calls: PastCalls::default().with(new.call, at),
            created_at: at,
            updated_by: new.created_by,
            updated_at: at,
            settings: new.settings,
            disabled: (!new.is_enabled).then_some(by_hand),
            failing_since: None,
            disabled_for: None,
            secrets: Secrets(vec![new.secret]),
            deleted_at: None,
            revision: 0,
        }
    }

    /// The time and reason for which it was disabled, while it is disabled.
    pub fn disabled(&self) -> Option<Disabled> {
        self.disabled
    }

    /// The start of the first failed attempt since the last success.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// The secrets that its deliveries are signed with.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// It was deleted, and its item remains for a while.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// No webhook of this name was stored before.
    pub fn is_first(&self) -> bool {
        self.revision == 0
    }

    /// It gets events of this type from this source.
    pub fn gets(&self, event_type: &str, source: Source) -> bool {
        self.wants(event_type) && self.settings.receiver.spec().serves(source)
    }

    /// It gets events of this type.
    pub fn wants(&self, event_type: &str) -> bool {
        self.is_enabled() && self.subscribes_to(event_type)
    }

    /// Its event types include this one, even if it is disabled.
    pub fn subscribes_to(&self, event_type: &str) -> bool {
        self.settings.event_types.iter().any(|it| it.matches(event_type))
    }

    /// It gets events: it is neither deleted nor disabled.
    pub fn is_enabled(&self) -> bool {
        self.deleted_at.is_none() && self.disabled.is_none()
    }

    /// The calls with an idempotency key that created or changed it, or one of its name before it.
    pub fn calls(&self) -> &PastCalls {
        &self.calls
    }

    /// This webhook, and not another one of its name.
    pub fn reference(&self) -> WebhookRef {
        WebhookRef { id: self.id.clone(), created_by: self.created_by }
    }

    /// The item of `first`, written over this deleted webhook of the same name. It remembers the
    /// calls that made this one, so that a repeated call creates nothing.
    #[must_use]
    pub fn replaced_by(&self, first: &Self) -> Self {
        let calls = first.calls.replacing(&self.calls, first.created_at);
        Self { calls, revision: self.revision + 1, ..first.clone() }
    }

    /// The deleted webhook, or `None` if it was deleted before.
    pub fn delete(&self, now: Timestamp) -> Option<Self> {
        let secrets = Secrets(Vec::new());
        let next = Self { deleted_at: Some(now), secrets, ..self.next() };
        self.deleted_at.is_none().then_some(next)
    }

    /// The webhook after its owner has changed it, or `None` if `op` has changed it already.
    pub fn change(&self, update: WebhookUpdate, now: Timestamp, op: OpId) -> Option<Self> {
        if self.updated_by == op {
            return None;
        }
        let mut next = self.next();
        next.settings = update.settings;
        next.disabled = match self.disabled {
            _ if update.is_enabled => None,
            None => Some(Disabled { reason: DisableReason::ByHand, at: now }),
            before => before,
        };
        // The five days start again with a new URL, and when the webhook is enabled again.
        let is_new = self.disabled.is_some() != next.disabled.is_some()
            || self.settings.receiver.url != next.settings.receiver.url;
        if is_new {
            next.failing_since = None;
        }
        (next.updated_by, next.updated_at) = (op, now);
        Some(next)
    }

    /// The webhook after a rotation of its secret, or `None` if the call rotated it before.
    pub fn rotate(&self, rotation: &Rotation) -> Option<Self> {
        let secrets = rotation.of(&self.secrets, &self.calls)?;
        Some(Self { secrets, calls: rotation.remember(&self.calls), ..self.next() })
    }

    /// The webhook whose previous secrets no longer sign, or `None` if there are none.
    pub fn expire_previous(&self) -> Option<Self> {
        let secrets = self.secrets.expire_previous()?;
        Some(Self { secrets, ..self.next() })
    }

    /// The webhook after a failed attempt that began at `since`, or `None` if others failed before.
    pub fn failed(&self, since: Timestamp) -> Option<Self> {
        let next = Self { failing_since: Some(since), ..self.next() };
        self.failing_since.is_none().then_some(next)
    }

    /// The webhook after a successful attempt, or `None` if none had failed.
    pub fn succeeded(&self) -> Option<Self> {
        let next = Self { failing_since: None, ..self.next() };
        self.failing_since.is_some().then_some(next)
    }

    /// It has failed for [`FAILING_MAX`] and has to be disabled.
    pub fn has_failed_too_long(&self, now: Timestamp) -> bool {
        self.is_enabled() && self.failing_since.is_some_and(|it| it + FAILING_MAX <= now)
    }

    /// The disabled webhook, or `None` if it is disabled already or has recovered: then its failures
    /// no longer began at `failing_since`.
    pub fn disable(
        &self,
        reason: DisableReason,
        failing_since: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        let disabled = Some(Disabled { reason, at: now });
        let next = Self { disabled, disabled_for: Some(failing_since), ..self.next() };
        (self.is_enabled() && self.failing_since == Some(failing_since)).then_some(next)
    }

    /// It was disabled for the failures since `failing_since`, even if it is enabled again.
    pub fn was_disabled_for(&self, failing_since: Timestamp) -> bool {
        self.disabled_for == Some(failing_since)
    }

    /// The identifier of the event that disables it for failures since `failing_since`. All workers
    /// that notice the failures derive the same identifier.
    pub fn disabled_event_id(&self, failing_since: Timestamp) -> EventId {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        hash.update(self.created_by.0.to_be_bytes());
        hash.update(failing_since.as_millisecond().to_be_bytes());
        hash.update(self.id.as_str());
        let hash: [u8; 32] = hash.finalize().into();
        let bits = hash[..16].try_into().expect("16 of 32 bytes");
        EventId::from_bits(u128::from_be_bytes(bits))
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }
}
