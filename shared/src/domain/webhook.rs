//! Webhooks: receivers that are told of every event of the types that they want.
//!
//! ```text
//!   Enabled ── by hand, 410, or failing for five days ──▶ Disabled
//!      ▲                                                     │
//!      └──────────────────── by hand ────────────────────────┘
//! ```
//!
//! One that was deleted is kept for a while without its secrets, so that deleting it twice is the
//! same as once; its name may be taken again at once.

use super::{
    BodyHash, EventId, Filter, OpId, Owner, WebhookId,
    delivery::Receiver,
    secret::{Secret, Secrets, TooManySecrets},
};
use std::time::Duration;

use jiff::Timestamp;

/// Most webhooks of an account, in each mode.
pub const WEBHOOKS_MAX: usize = 50;
/// Most bytes of a body, unless another number is asked for.
pub const PAYLOAD_BYTES: u32 = 65_536;
/// The least that may be asked for: what tells of one answer fits, with all that it may hold.
pub const PAYLOAD_BYTES_MIN: u32 = 8_192;
/// The most that may be asked for: body and all else of a delivery fit an item of 400 KB.
pub const PAYLOAD_BYTES_MAX: u32 = 262_144;
/// A webhook that has failed for so long, without a success in between, is disabled.
pub const FAILING_MAX: Duration = Duration::from_hours(5 * 24);

/// A receiver that is told of events.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Who this is.
    pub id: WebhookId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that made it.
    pub created_by: OpId,
    /// What it was made from, if under an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The operation that changed its settings last.
    pub updated_by: OpId,
    /// When they were changed last.
    pub updated_at: Timestamp,
    /// What its owner decides.
    pub settings: Settings,
    /// Set while the webhook is disabled: nothing is sent to it.
    pub(crate) disabled: Option<Disabled>,
    /// The start of the first failed attempt since the last success.
    pub(crate) failing_since: Option<Timestamp>,
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
    /// The hash of the body, if the call has an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// Its settings.
    pub settings: Settings,
    /// Receives events from the start.
    pub is_enabled: bool,
    /// The secret that its deliveries are signed with.
    pub secret: Secret,
}

/// What the owner of a webhook decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What it is for.
    pub description: Option<String>,
    /// Where it is, and how it wants to be told.
    pub receiver: Receiver,
    /// Of what it is told.
    pub event_types: Vec<Filter>,
    /// Of a body that is larger, it gets the address of the whole.
    pub max_payload_bytes: u32,
}

/// The reason and time of a webhook's disabling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// The reason.
    pub why: DisableReason,
    /// Since when.
    pub at: Timestamp,
}

/// The reason that a webhook is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisableReason {
    /// Its owner wants it so.
    ByHand,
    /// It answered 410.
    Gone,
    /// It has failed for [`FAILING_MAX`].
    Failing,
}

/// The settings that an owner gives to an existing webhook.
#[derive(Clone, Debug)]
pub struct WebhookUpdate {
    /// Its settings.
    pub settings: Settings,
    /// Receives events from now on.
    pub is_enabled: bool,
}

impl Webhook {
    /// A webhook that has received nothing yet.
    pub fn new(new: NewWebhook) -> Self {
        let at = new.created_at;
        let by_hand = Disabled { why: DisableReason::ByHand, at };
        Self {
            id: new.id,
            owner: new.owner,
            created_by: new.created_by,
            body_hash: new.body_hash,
            created_at: at,
            updated_by: new.created_by,
            updated_at: at,
            settings: new.settings,
            disabled: (!new.is_enabled).then_some(by_hand),
            failing_since: None,
            secrets: Secrets(vec![new.secret]),
            deleted_at: None,
            revision: 0,
        }
    }

    /// The reason and time of its disabling, while it is disabled.
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

    /// A deleted webhook stays for a while, so that its name is known.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// No webhook of this name was stored before.
    pub fn is_first(&self) -> bool {
        self.revision == 0
    }

    /// Whether it is to be told of an event of this type.
    pub fn wants(&self, event_type: &str) -> bool {
        self.is_enabled() && self.settings.event_types.iter().any(|it| it.matches(event_type))
    }

    /// Whether it is there, and told of events.
    pub fn is_enabled(&self) -> bool {
        self.deleted_at.is_none() && self.disabled.is_none()
    }

    /// `first`, in the place of this, which was deleted.
    #[must_use]
    pub fn replaced(&self, first: &Self) -> Self {
        Self { revision: self.revision + 1, ..first.clone() }
    }

    /// The webhook, deleted; nothing if it was before.
    pub fn delete(&self, now: Timestamp) -> Option<Self> {
        let secrets = Secrets(Vec::new());
        let next = Self { deleted_at: Some(now), secrets, ..self.next() };
        self.deleted_at.is_none().then_some(next)
    }

    /// The webhook after `update`; nothing if `op` has changed it already.
    pub fn change(&self, update: WebhookUpdate, now: Timestamp, op: OpId) -> Option<Self> {
        if self.updated_by == op {
            return None;
        }
        let mut next = self.next();
        next.settings = update.settings;
        next.disabled = match self.disabled {
            _ if update.is_enabled => None,
            None => Some(Disabled { why: DisableReason::ByHand, at: now }),
            before => before,
        };
        // Who enables it again wants five days anew, and so does a new address.
        let is_new = self.disabled.is_some() != next.disabled.is_some()
            || self.settings.receiver.url != next.settings.receiver.url;
        if is_new {
            next.failing_since = None;
        }
        (next.updated_by, next.updated_at) = (op, now);
        Some(next)
    }

    /// The webhook with `new` as its current secret; see [`Secrets::rotate`].
    pub fn rotate(&self, new: &Secret, overlap: Duration) -> Result<Option<Self>, TooManySecrets> {
        let secrets = self.secrets.rotate(new, overlap)?;
        Ok(secrets.map(|secrets| Self { secrets, ..self.next() }))
    }

    /// The webhook once an attempt that began at `since` has failed; nothing if others had before.
    pub fn failed(&self, since: Timestamp) -> Option<Self> {
        let next = Self { failing_since: Some(since), ..self.next() };
        self.failing_since.is_none().then_some(next)
    }

    /// The webhook once an attempt has succeeded; nothing if nothing had failed.
    pub fn succeeded(&self) -> Option<Self> {
        let next = Self { failing_since: None, ..self.next() };
        self.failing_since.is_some().then_some(next)
    }

    /// Whether it has failed for so long that it is to be disabled.
    pub fn is_hopeless(&self, now: Timestamp) -> bool {
        self.is_enabled() && self.failing_since.is_some_and(|it| it + FAILING_MAX <= now)
    }

    /// The webhook, disabled because of how it has failed since `failing_since`; nothing if that
    /// is over, or it is disabled already.
    pub fn disable(
        &self,
        why: DisableReason,
        failing_since: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        let next = Self { disabled: Some(Disabled { why, at: now }), ..self.next() };
        (self.is_enabled() && self.failing_since == Some(failing_since)).then_some(next)
    }

    /// The identifier of the event that says that it was disabled for failing since then: the same
    /// whoever finds that out.
    pub fn disabling(&self, failing_since: Timestamp) -> EventId {
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
