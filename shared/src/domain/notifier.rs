//! Notifiers: ways to reach people, such as a mail server.
//!
//! ```text
//!   Enabled ── by hand, or its credentials died ──▶ Disabled
//!      ▲                                               │
//!      └─────────────── by hand ───────────────────────┘
//! ```
//!
//! A deleted notifier remains for a day, without its secrets, so that deleting it twice is the same as
//! once, and that the call which created it creates nothing when it is repeated.
//!
//! Whatever lets its holder write to people in an account's name, or read what it writes, is sealed: a
//! password, a token, the URL of an incoming webhook, a topic.

mod settings;

pub use settings::{
    ChatFormat, EmailSettings, EmailTransport, IncomingWebhookSettings, NotifierSettings,
    NtfySettings, OwnSystemSettings, SLACK_API, SMTP_PORTS, SlackSettings, SmtpLogin, SmtpServer,
    SmtpTls,
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{
    EventId, IdempotentCall, NotifierId, NotifierKind, OpId, Owner, PastCalls, breaker::Authority,
};

/// Most notifiers of an account, in each mode.
pub const NOTIFIERS_MAX: usize = 20;
/// Longest name of a notifier, in characters.
pub const NOTIFIER_NAME_CHARS_MAX: usize = 100;

/// A way to reach people.
#[derive(Clone, Debug, PartialEq)]
pub struct Notifier {
    /// Its identifier.
    pub id: NotifierId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that created it.
    pub created_by: OpId,
    /// The calls with an idempotency key that created or changed it.
    pub(crate) calls: PastCalls,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The latest operation that changed its settings.
    pub updated_by: OpId,
    /// The time of that change.
    pub updated_at: Timestamp,
    /// Its name, in the owner's words.
    pub name: Option<String>,
    /// Its settings.
    pub settings: NotifierSettings,
    /// Requests that name no notifier use it.
    pub is_default: bool,
    /// Set while it is disabled. Then it sends nothing.
    pub(crate) disabled: Option<NotifierDisabled>,
    /// The operation that had made its settings when its service refused them last. It stays when the
    /// notifier is enabled again, so that the event about it is sent in any case.
    pub(crate) refused_settings: Option<OpId>,
    /// The time of its deletion.
    pub(crate) deleted_at: Option<Timestamp>,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub(crate) revision: u64,
}

/// Everything that a new notifier is made from.
#[derive(Clone, Debug)]
pub struct NewNotifier {
    /// Its identifier.
    pub id: NotifierId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that creates it.
    pub created_by: OpId,
    /// The call, if it has an idempotency key.
    pub call: Option<IdempotentCall>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// Its name, settings and switches.
    pub update: NotifierUpdate,
}

/// What the owner of a notifier decides.
#[derive(Clone, Debug)]
pub struct NotifierUpdate {
    /// Its name.
    pub name: Option<String>,
    /// Its settings.
    pub settings: NotifierSettings,
    /// Requests that name no notifier use it.
    pub is_default: bool,
    /// It sends messages from now on.
    pub is_enabled: bool,
}

/// The time and reason for which a notifier was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifierDisabled {
    /// The reason.
    pub reason: NotifierDisableReason,
    /// The time.
    pub at: Timestamp,
}

/// The reason for which a notifier was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifierDisableReason {
    /// Its owner disabled it.
    ByHand,
    /// Its service refused its credentials, or no longer knows its address.
    Refused,
}

/// A notifier that a request may use. Its kind decides whom it reaches, and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifierChoice {
    /// The notifier.
    pub id: NotifierId,
    /// Its kind.
    pub kind: NotifierKind,
}

/// The parts of a notifier that decide who is notified by it. Creating a request needs no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifierSummary {
    /// Its identifier.
    pub id: NotifierId,
    /// Its kind.
    pub kind: NotifierKind,
    /// Requests that name no notifier use it.
    pub is_default: bool,
    /// It sends messages.
    pub is_enabled: bool,
    /// The host and port that messages go to. `None`: Amazon SES.
    pub authority: Option<Authority>,
}

impl Notifier {
    /// A new notifier.
    pub fn new(new: NewNotifier) -> Self {
        let NotifierUpdate { name, settings, is_default, is_enabled } = new.update;
        let by_hand =
            NotifierDisabled { reason: NotifierDisableReason::ByHand, at: new.created_at };
        Self {
            id: new.id,
            owner: new.owner,
            created_by: new.created_by,
            calls: PastCalls::default().with(new.call, new.created_at),
            created_at: new.created_at,
            updated_by: new.created_by,
            updated_at: new.created_at,
            name,
            settings,
            is_default,
            disabled: (!is_enabled).then_some(by_hand),
            refused_settings: None,
            deleted_at: None,
            revision: 0,
        }
    }

    /// The kind.
    pub fn kind(&self) -> NotifierKind {
        self.settings.kind()
    }

    /// Its summary.
    pub fn summary(&self) -> NotifierSummary {
        NotifierSummary {
            id: self.id,
            kind: self.kind(),
            is_default: self.is_default,
            is_enabled: self.is_enabled(),
            authority: self.settings.authority(),
        }
    }

    /// The time and reason for which it was disabled, while it is disabled.
    pub fn disabled(&self) -> Option<NotifierDisabled> {
        self.disabled
    }

    /// It was deleted, and its item remains for a while.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// It sends messages: it is neither deleted nor disabled.
    pub fn is_enabled(&self) -> bool {
        self.deleted_at.is_none() && self.disabled.is_none()
    }

    /// The calls with an idempotency key that created or changed it.
    pub fn calls(&self) -> &PastCalls {
        &self.calls
    }

    /// The deleted notifier, or `None` if it was deleted before.
    pub fn delete(&self, now: Timestamp) -> Option<Self> {
        let settings = self.settings.without_secrets();
        let next = Self { deleted_at: Some(now), settings, ..self.next() };
        self.deleted_at.is_none().then_some(next)
    }

    /// The notifier after its owner has changed it.
    #[must_use]
    pub fn change(&self, update: NotifierUpdate, now: Timestamp, op: OpId) -> Self {
        let NotifierUpdate { name, settings, is_default, is_enabled } = update;
        let by_hand = NotifierDisabled { reason: NotifierDisableReason::ByHand, at: now };
        let disabled = (!is_enabled).then(|| self.disabled.unwrap_or(by_hand));
        let (updated_by, updated_at) = (op, now);
        let next = self.next();
        Self { updated_by, updated_at, name, settings, is_default, disabled, ..next }
    }

    /// The notifier after its service refused it, or `None` if it is disabled or its owner has changed
    /// it since the operation `seen`.
    pub fn refuse(&self, seen: OpId, now: Timestamp) -> Option<Self> {
        let refused = NotifierDisabled { reason: NotifierDisableReason::Refused, at: now };
        let next = Self { disabled: Some(refused), refused_settings: Some(seen), ..self.next() };
        (self.is_enabled() && self.updated_by == seen).then_some(next)
    }

    /// It was disabled because its service refused the settings that `seen` had made, even if it is
    /// enabled again.
    pub fn was_refused_with(&self, seen: OpId) -> bool {
        self.refused_settings == Some(seen)
    }

    /// The identifier of the event that disables it for its current settings. All workers that notice
    /// the refusal derive the same identifier.
    pub fn refused_event_id(&self) -> EventId {
        let mut hash = Sha256::new();
        hash.update(self.created_by.0.to_be_bytes());
        hash.update(self.updated_by.0.to_be_bytes());
        hash.update(self.id.bits().to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let bits = hash[..16].try_into().expect("16 of 32 bytes");
        EventId::from_bits(u128::from_be_bytes(bits))
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }
}
