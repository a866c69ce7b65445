//! Webhooks: registered receivers of all events of some types.
//!
//! ```text
//!   Enabled ── by hand, 410, or failing for five days ──▶ Disabled
//!      ▲                                                     │
//!      └──────────────────── by hand ────────────────────────┘
//! ```
//!
//! A deleted webhook remains for a day, without its secrets, so that deleting it twice is the same
//! as once. Its name can be used again at once.

use super::{
    EventId, Filter, MintedWebhookId, OpId, Owner,
    delivery::Receiver,
    request::BodyHash,
    secret::{Secret, Secrets, TooManySecrets},
};
use std::{fmt, time::Duration};

use jiff::Timestamp;

/// Most webhooks of an account, in each mode.
pub const WEBHOOKS_MAX: usize = 50;
/// Longest identifier of a webhook, in characters.
pub const ID_CHARS_MAX: usize = 64;
/// Default limit of a callback's body.
pub const PAYLOAD_BYTES: u32 = 65_536;
/// Smallest limit of a callback's body. The largest single answer fits.
pub const PAYLOAD_BYTES_MIN: u32 = 8_192;
/// Largest limit of a callback's body. A delivery with such a body fits into an item of 400 KB.
pub const PAYLOAD_BYTES_MAX: u32 = 262_144;
/// Time of failures, without a success in between, after which a webhook is disabled.
pub const FAILING_MAX: Duration = Duration::from_hours(5 * 24);

/// The name of a webhook, unique in its account and mode: `[a-z0-9][a-z0-9_-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookId(String);

/// A registered receiver of events.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its name.
    pub id: WebhookId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that created it.
    pub created_by: OpId,
    /// The hash of the body, if the call had an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The latest operation that changed its settings.
    pub updated_by: OpId,
    /// The time of that change.
    pub updated_at: Timestamp,
    /// Its settings.
    pub settings: Settings,
    /// Set while it is disabled. Then it gets no events.
    pub disabled: Option<Disabled>,
    /// The start of the first failed attempt since the last success.
    pub failing_since: Option<Timestamp>,
    /// The secrets that its deliveries are signed with.
    pub secrets: Secrets,
    /// The time of its deletion.
    pub deleted_at: Option<Timestamp>,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub revision: u64,
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

/// A change of a webhook by its owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The new settings.
    pub settings: Settings,
    /// The webhook gets events from now on.
    pub is_enabled: bool,
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

impl Webhook {
    /// It gets events of this type.
    pub fn wants(&self, event_type: &str) -> bool {
        self.is_enabled() && self.settings.event_types.iter().any(|it| it.matches(event_type))
    }

    /// It gets events: it is neither deleted nor disabled.
    pub fn is_enabled(&self) -> bool {
        self.deleted_at.is_none() && self.disabled.is_none()
    }

    /// The item of `first`, written over this deleted webhook of the same name.
    #[must_use]
    pub fn replaced_by(&self, first: &Self) -> Self {
        Self { revision: self.revision + 1, ..first.clone() }
    }

    /// The deleted webhook, or `None` if it was deleted before.
    pub fn delete(&self, now: Timestamp) -> Option<Self> {
        let secrets = Secrets(Vec::new());
        let next = Self { deleted_at: Some(now), secrets, ..self.next() };
        self.deleted_at.is_none().then_some(next)
    }

    /// The webhook after its owner has changed it, or `None` if `op` has changed it already.
    pub fn change(&self, change: Change, now: Timestamp, op: OpId) -> Option<Self> {
        if self.updated_by == op {
            return None;
        }
        let mut next = self.next();
        next.settings = change.settings;
        next.disabled = match self.disabled {
            _ if change.is_enabled => None,
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

    /// The webhook with `new` as its current secret; see [`Secrets::rotate`].
    pub fn rotate(&self, new: &Secret, overlap: Duration) -> Result<Option<Self>, TooManySecrets> {
        let secrets = self.secrets.rotate(new, overlap)?;
        Ok(secrets.map(|secrets| Self { secrets, ..self.next() }))
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
        let next = Self { disabled: Some(Disabled { reason, at: now }), ..self.next() };
        (self.is_enabled() && self.failing_since == Some(failing_since)).then_some(next)
    }

    /// The identifier of the event that disables it for failures since `failing_since`. All workers
    /// that notice the failures derive the same identifier.
    pub fn disabled_event_id(&self, failing_since: Timestamp) -> EventId {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        hash.update(self.created_by.0.to_be_bytes());
        hash.update(failing_since.as_millisecond().to_be_bytes());
        hash.update(&self.id.0);
        let hash: [u8; 32] = hash.finalize().into();
        let bits = hash[..16].try_into().expect("16 of 32 bytes");
        EventId::from_bits(u128::from_be_bytes(bits))
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }
}

impl WebhookId {
    /// The name with this text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_first = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
        let is_letter = |it: u8| is_first(it) || it == b'-' || it == b'_';
        let is_id = text.len() <= ID_CHARS_MAX
            && text.bytes().next().is_some_and(is_first)
            && text.bytes().all(is_letter);
        is_id.then(|| Self(text.to_owned()))
    }

    /// A name for a webhook whose owner has chosen none.
    pub fn minted(id: MintedWebhookId) -> Self {
        Self(id.to_string())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The target name of its deliveries.
    pub fn target(&self) -> String {
        format!("webhook:{}", self.0)
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
