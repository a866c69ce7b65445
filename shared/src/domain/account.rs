//! Accounts, their secrets, and the keys that open their API.

use jiff::Timestamp;
use secrecy::SecretString;

use super::{AccountId, KeyId};

/// Somebody who uses Answerback, apart from everybody else.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who this is.
    pub id: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Identifiers are made from idempotency keys with this, so that nobody can foresee them.
    pub id_key: IdKey,
    /// What callbacks are signed with, the current secret first.
    pub secrets: Vec<Secret>,
}

/// A random key of an account's own.
#[derive(Clone)]
pub struct IdKey(pub [u8; 32]);

/// A signing secret and its life.
#[derive(Clone, Debug)]
pub struct Secret {
    /// The secret as shown to its owner: `whsec_` and base64.
    pub text: SecretString,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops signing; the current one has no end.
    pub expires_at: Option<Timestamp>,
}

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
    /// Whose it is.
    pub account: AccountId,
    /// Whether people are really asked, or this is a test.
    pub livemode: bool,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the key's text.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
}

impl Account {
    /// The secrets that sign at `now`, the current one first.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().filter(move |it| it.expires_at.is_none_or(|end| now < end))
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
}
