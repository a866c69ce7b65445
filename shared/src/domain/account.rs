//! Accounts, their secrets, and the keys that open their API.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{AccountId, KeyId, OpId, request::Fingerprint};

/// How long a secret goes on signing after it was replaced, unless another time is asked for.
pub const OVERLAP_SECONDS: u32 = 86_400;
/// The longest that it may: 30 days.
pub const OVERLAP_SECONDS_MAX: u32 = 2_592_000;
/// Most previous secrets that sign at once.
pub const PREVIOUS_SECRETS_MAX: usize = 2;

/// Somebody who uses Answerback, apart from everybody else.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who this is.
    pub id: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Identifiers are made from idempotency keys with this, so that nobody can foresee them.
    pub id_key: IdKey,
    /// What callbacks are signed with: the current secret, and then the previous ones, the latest
    /// first.
    pub secrets: Vec<Secret>,
    /// Counts the writes; the store refuses a write based on an older one.
    pub revision: u64,
}

/// Too many previous secrets sign already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{PREVIOUS_SECRETS_MAX} previous secrets sign already")]
pub struct TooManySecrets;

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
    /// What its owner calls it.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The operation that made it.
    pub created_by: OpId,
    /// What it was made from, if under an idempotency key.
    pub fingerprint: Option<Fingerprint>,
    /// Since when it opens nothing any more.
    pub revoked_at: Option<Timestamp>,
    /// Counts the writes; the store refuses a write based on an older one.
    pub revision: u64,
}

impl Account {
    /// The account with `new` as its current secret, while the one before goes on signing for
    /// `overlap`; nothing if it has this secret already.
    pub fn rotate(
        &self,
        new: &SecretString,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<Option<Self>, TooManySecrets> {
        if self.secrets.iter().any(|it| it.text.expose_secret() == new.expose_secret()) {
            return Ok(None);
        }
        let current = Secret { text: new.clone(), created_at: now, expires_at: None };
        let previous = self.live_secrets(now).map(|it| {
            let expires_at = it.expires_at.unwrap_or(now + overlap);
            Secret { expires_at: Some(expires_at), ..it.clone() }
        });
        let previous = previous.filter(|it| it.expires_at.is_some_and(|end| now < end));
        let secrets: Vec<Secret> = std::iter::once(current).chain(previous).collect();
        if secrets.len() > 1 + PREVIOUS_SECRETS_MAX {
            return Err(TooManySecrets);
        }
        Ok(Some(Self { secrets, revision: self.revision + 1, ..self.clone() }))
    }

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

    /// The key, opening nothing any more; nothing if it was revoked before.
    pub fn revoke(&self, now: Timestamp) -> Option<Self> {
        let next = Self { revoked_at: Some(now), revision: self.revision + 1, ..self.clone() };
        self.revoked_at.is_none().then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn signing(account: &Account, now: i64) -> Vec<&str> {
        account.live_secrets(at(now)).map(|it| it.text.expose_secret()).collect()
    }

    #[test]
    fn a_new_secret_signs_first_and_the_one_before_until_its_overlap_ends() {
        let first = Secret { text: "one".into(), created_at: at(0), expires_at: None };
        let account = Account {
            id: AccountId::from_bits(1 << 30),
            created_at: at(0),
            id_key: IdKey([0; 32]),
            secrets: vec![first],
            revision: 0,
        };
        let rotate = |account: &Account, new: &str, seconds, now| {
            account.rotate(&new.into(), Duration::from_secs(seconds), at(now))
        };
        let two = rotate(&account, "two", 100, 10).expect("room").expect("news");
        assert_eq!((signing(&two, 109), signing(&two, 110)), (vec!["two", "one"], vec!["two"]));
        assert_eq!(two.revision, 1);
        // The write's answer was lost, and it is made again.
        assert!(rotate(&two, "two", 100, 11).expect("room").is_none());

        let three = rotate(&two, "three", 100, 20).expect("room").expect("news");
        assert_eq!(signing(&three, 109), ["three", "two", "one"]);
        assert_eq!(signing(&three, 110), ["three", "two"]);
        assert_eq!(rotate(&three, "four", 100, 109).err(), Some(TooManySecrets));
        // One that ends at once needs no room.
        let four = rotate(&three, "four", 0, 109).expect("room").expect("news");
        assert_eq!(signing(&four, 109), ["four", "two", "one"]);
        let four = rotate(&three, "four", 100, 110).expect("room").expect("news");
        assert_eq!(signing(&four, 119), ["four", "three", "two"]);
        assert_eq!(four.secrets.len(), 3);
    }
}
