//! Accounts, their secrets, and the keys that open their API.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    AccountId, BodyHash, KeyId, OpId,
    secret::{Secret, Secrets, TooManySecrets},
};

/// Most calls a minute that a key can be limited to. One item counts them, and `DynamoDB` takes a
/// thousand writes a second of one.
pub const CALLS_PER_MINUTE_MAX: u32 = 60_000;
/// Most requests that a cap can let be pending: all are counted for each new one.
pub const PENDING_REQUESTS_MAX: u32 = 10_000;

/// The mode of a key, and of everything made with it. The two never see each other's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// People are really asked.
    Live,
    /// For tests: `livemode` is false.
    Test,
}

/// An account in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The account.
    pub account: AccountId,
    /// The mode.
    pub mode: Mode,
}

/// Somebody who uses Answerback, apart from everybody else.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who this is.
    pub id: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Identifiers are made from idempotency keys with this, so that nobody can foresee them.
    pub id_key: IdKey,
    /// What callbacks are signed with.
    pub secrets: Secrets,
    /// How many of its requests may be pending at once, live and test together, if there is a cap.
    pub max_pending_requests: Option<u32>,
    /// Counts the writes; the store refuses a write based on an older one.
    pub revision: u64,
}

/// A random key of an account's own.
#[derive(Clone)]
pub struct IdKey(pub [u8; 32]);

/// What a holder of an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read requests, results and their deliveries.
    RequestsRead,
    /// Make, answer, cancel and erase requests, and see answer links.
    RequestsWrite,
    /// Post events.
    EventsWrite,
    /// Read webhooks and deliveries.
    WebhooksRead,
    /// Change webhooks, redeliver.
    WebhooksWrite,
    /// See secrets in full.
    SecretsRead,
    /// Make and revoke keys.
    KeysWrite,
    /// All of these.
    Admin,
}

/// A key to the API, without its secret: only a hash of the whole key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Which key this is; part of its text.
    pub id: KeyId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the key's text.
    pub hash: [u8; 32],
    /// What its owner calls it.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The operation that made it.
    pub created_by: OpId,
    /// What it was made from, if under an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// How many calls it opens in a minute, if that is limited.
    pub rate_limit_per_minute: Option<u32>,
    /// Since when it opens nothing any more.
    pub revoked_at: Option<Timestamp>,
    /// Counts the writes; the store refuses a write based on an older one.
    pub revision: u64,
}

impl Owner {
    /// The account in live mode.
    pub fn live(account: AccountId) -> Self {
        Self { account, mode: Mode::Live }
    }

    /// The account in test mode.
    pub fn test(account: AccountId) -> Self {
        Self { account, mode: Mode::Test }
    }
}

impl Mode {
    /// The mode whose `livemode` is this.
    pub fn of_livemode(livemode: bool) -> Self {
        if livemode { Self::Live } else { Self::Test }
    }

    /// The value of `livemode` in the API.
    pub fn is_live(self) -> bool {
        self == Self::Live
    }

    /// The mode in keys: `live` or `test`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

impl Account {
    /// The account with `new` as its current secret; see [`Secrets::rotate`].
    pub fn rotate(&self, new: &Secret, overlap: Duration) -> Result<Option<Self>, TooManySecrets> {
        let secrets = self.secrets.rotate(new, overlap)?;
        Ok(secrets.map(|secrets| Self { secrets, revision: self.revision + 1, ..self.clone() }))
    }

    /// The account with another cap, or without one; nothing if it has that already.
    pub fn cap(&self, max_pending_requests: Option<u32>) -> Option<Self> {
        let next = Self { max_pending_requests, revision: self.revision + 1, ..self.clone() };
        (max_pending_requests != self.max_pending_requests).then_some(next)
    }
}

impl std::fmt::Debug for IdKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdKey(…)")
    }
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::RequestsRead,
        Self::RequestsWrite,
        Self::EventsWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::SecretsRead,
        Self::KeysWrite,
        Self::Admin,
    ];

    /// As it is written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestsRead => "requests:read",
            Self::RequestsWrite => "requests:write",
            Self::EventsWrite => "events:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::SecretsRead => "secrets:read",
            Self::KeysWrite => "keys:write",
            Self::Admin => "admin",
        }
    }

    /// The scope that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

impl ApiKey {
    /// Whether this key opens what needs `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|it| *it == scope || *it == Scope::Admin)
    }

    /// The key, opening nothing any more; nothing if it was revoked before.
    pub fn revoke(&self, now: Timestamp) -> Option<Self> {
        let next = Self { revoked_at: Some(now), revision: self.revision + 1, ..self.clone() };
        self.revoked_at.is_none().then_some(next)
    }
}
