//! Accounts, API keys, and what a key allows.
//!
//! An account owns everything: requests, keys, webhooks, secrets. Its objects are either live or
//! test, and a key of one mode never sees objects of the other.

use jiff::Timestamp;

use super::{
    AccountId, BodyHash, EmailAddress, EmailPattern, KeyId, Mode, OpId, Owner, PastCalls,
    Requester, Scope, Source,
    secret::{Rotation, Secrets},
};

/// Highest rate limit of a key. One item counts its calls, and DynamoDB allows a thousand writes
/// per second to one item.
pub const CALLS_PER_MINUTE_MAX: u32 = 60_000;
/// Most keys of an account that work, live and test together.
pub const KEYS_MAX: usize = 200;
/// Most keys that a key descends from. Each is looked up when the key is used.
pub const KEY_MAKERS_MAX: usize = 4;
/// Highest limit of the requests that a key makes in an hour.
pub const ASKS_PER_HOUR_MAX: u32 = 10_000;
/// Most patterns of the recipients that a key may ask.
pub const RECIPIENT_PATTERNS_MAX: usize = 20;
/// Most patterns of the addresses that an account may send from.
pub const SENDER_PATTERNS_MAX: usize = 50;
/// Longest name of an account, in characters.
pub const ACCOUNT_NAME_CHARS_MAX: usize = 100;
/// Highest limit of pending requests. Each new request counts all of them.
pub const PENDING_REQUESTS_MAX: u32 = 10_000;

/// Messages to recipients that an account's calls may ask for in an hour, unless the operator has set
/// another limit.
pub const MESSAGES_PER_HOUR: u32 = 600;

/// Partitions of an account's list of deliveries, unless the operator has raised their number. A
/// partition takes 1,000 writes a second, so five take eighty events a second to 50 webhooks each.
pub const LIST_SHARDS: u32 = 5;
/// Most partitions of an account's list of deliveries. A page of the list reads all of them.
pub const LIST_SHARDS_MAX: u32 = 32;

/// A customer of Answerback, isolated from all others.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The name under which it asks people.
    pub name: Option<String>,
    /// The key of the HMAC that turns idempotency keys into identifiers, so that these cannot be
    /// predicted.
    pub id_key: IdKey,
    /// The secrets that callbacks are signed with.
    pub secrets: AccountSecrets,
    /// The calls with an idempotency key that rotated a secret.
    pub calls: PastCalls,
    /// The limit of pending requests, live and test together, if there is one.
    pub max_pending_requests: Option<u32>,
    /// The limit of messages to recipients that its calls may ask for in an hour.
    pub max_messages_per_hour: u32,
    /// The addresses that it may send mail from by the operator's service.
    pub allowed_senders: Vec<EmailPattern>,
    /// The partitions over which the list of its deliveries is spread.
    pub n_list_shards: u32,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub revision: u64,
}

/// The list of an account's deliveries has more partitions already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at least {stored}: the number of shards cannot shrink")]
pub struct FewerShards {
    /// The stored number.
    pub stored: u32,
}

/// An account would have too many patterns of senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at most {SENDER_PATTERNS_MAX} patterns; remove some first")]
pub struct TooManySenders;

/// The secrets of an account: for each mode, one set for each source of events.
///
/// So a callback about what the account posted, or about a test, does not verify as the result of a
/// live request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSecrets {
    /// Live mode.
    pub live: SourceSecrets,
    /// Test mode.
    pub test: SourceSecrets,
}

/// The secrets of one mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSecrets {
    /// For callbacks of requests.
    pub requests: Secrets,
    /// For callbacks of posted events.
    pub events: Secrets,
}

/// The key of the HMAC that turns an account's idempotency keys into identifiers.
#[derive(Clone)]
pub struct IdKey(pub [u8; 32]);

/// A limit of the calls that a key and its descendants make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimit {
    /// The key whose limit it is.
    pub key: KeyId,
    /// The most calls in a minute.
    pub per_minute: u32,
}

/// A limit of the requests that a key and its descendants make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskLimit {
    /// The key whose limit it is.
    pub key: KeyId,
    /// The most requests in an hour.
    pub per_hour: u32,
}

/// The wishes of a key's maker.
#[derive(Clone, Debug, Default)]
pub struct KeyWishes {
    /// Its limit of requests per hour, if it is to be lower than its maker's.
    pub asks_per_hour: Option<u32>,
    /// The recipients that it may ask, if they are to be fewer than its maker's.
    pub recipients_allowed: Option<Vec<EmailPattern>>,
    /// The requester of all its requests, if its maker has none.
    pub requester: Option<Requester>,
    /// Its limit of calls per minute, if it is to be lower than its maker's.
    pub rate_limit_per_minute: Option<u32>,
    /// Its end, if it is to be earlier than its maker's.
    pub expires_at: Option<Timestamp>,
}

/// An API key. Only a hash of its text is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its identifier, which is part of its text.
    pub id: KeyId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// Its rights.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the key's text.
    pub hash: [u8; 32],
    /// Its owner's name for it.
    pub name: Option<String>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The operation that created it.
    pub created_by: OpId,
    /// The hash of the body, if the call had an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// The keys that it descends from, its maker first. It has rights only while they all have.
    pub makers: Vec<KeyId>,
    /// The key whose family it belongs to: itself, or the first agent that it descends from.
    pub family: KeyId,
    /// The limits of its calls: its own, and those of the keys that it descends from.
    pub limits: Vec<CallLimit>,
    /// The limits of its requests, likewise.
    pub ask_limits: Vec<AskLimit>,
    /// The recipients that it may ask. `None`: all.
    pub recipients_allowed: Option<Vec<EmailPattern>>,
    /// The requester of its requests, which they then cannot choose.
    pub requester: Option<Requester>,
    /// The time from which it has no rights, if it has an end.
    pub expires_at: Option<Timestamp>,
    /// The time of its revocation. A revoked key has no rights.
    pub revoked_at: Option<Timestamp>,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub revision: u64,
}

impl Account {
    /// The account with `new` as the current secret of a mode and source. See [`Secrets::rotate`].
    /// `None` if the call rotated it before.
    pub fn rotate(&self, mode: Mode, source: Source, rotation: &Rotation) -> Option<Self> {
        let secrets = rotation.of(self.secrets.of(mode, source), &self.calls)?;
        Some(Self {
            calls: rotation.remember(&self.calls),
            ..self.with_secrets(mode, source, secrets)
        })
    }

    /// The account whose previous secrets of a mode and source no longer sign, or `None` if there are
    /// none.
    pub fn expire_previous(&self, mode: Mode, source: Source) -> Option<Self> {
        let secrets = self.secrets.of(mode, source).expire_previous()?;
        Some(self.with_secrets(mode, source, secrets))
    }

    fn with_secrets(&self, mode: Mode, source: Source, secrets: Secrets) -> Self {
        let mut next = Self { revision: self.revision + 1, ..self.clone() };
        *next.secrets.of_mut(mode, source) = secrets;
        next
    }

    /// The account with another name, or `None` if nothing changes.
    pub fn rename(&self, name: Option<String>) -> Option<Self> {
        let is_new = name != self.name;
        is_new.then(|| Self { name, revision: self.revision + 1, ..self.clone() })
    }

    /// The account with another limit of pending requests, or `None` if nothing changes.
    pub fn cap(&self, max_pending_requests: Option<u32>) -> Option<Self> {
        let next = Self { max_pending_requests, revision: self.revision + 1, ..self.clone() };
        (max_pending_requests != self.max_pending_requests).then_some(next)
    }

    /// The account with another limit of messages in an hour, or `None` if nothing changes.
    pub fn limit_messages(&self, max_messages_per_hour: u32) -> Option<Self> {
        let next = Self { max_messages_per_hour, revision: self.revision + 1, ..self.clone() };
        (max_messages_per_hour != self.max_messages_per_hour).then_some(next)
    }

    /// The account may send mail from `address` by the operator's service.
    pub fn may_send_from(&self, address: &EmailAddress) -> bool {
        self.allowed_senders.iter().any(|it| it.matches(address))
    }

    /// The account with more addresses that it may send from, or `None` if nothing changes.
    pub fn allow_senders(&self, more: &[EmailPattern]) -> Result<Option<Self>, TooManySenders> {
        let mut allowed_senders = self.allowed_senders.clone();
        for pattern in more {
            if !allowed_senders.contains(pattern) {
                allowed_senders.push(pattern.clone());
            }
        }
        if allowed_senders.len() > SENDER_PATTERNS_MAX {
            return Err(TooManySenders);
        }
        Ok(self.with_senders(allowed_senders))
    }

    /// The account without these patterns of senders, or `None` if nothing changes.
    pub fn remove_senders(&self, removed: &[EmailPattern]) -> Option<Self> {
        let mut allowed_senders = self.allowed_senders.clone();
        allowed_senders.retain(|it| !removed.contains(it));
        self.with_senders(allowed_senders)
    }

    fn with_senders(&self, allowed_senders: Vec<EmailPattern>) -> Option<Self> {
        let is_new = allowed_senders != self.allowed_senders;
        is_new.then(|| Self { allowed_senders, revision: self.revision + 1, ..self.clone() })
    }

    /// The account with its list of deliveries spread over more partitions, or `None` if nothing
    /// changes. Fewer are refused, because no page would show the deliveries in the others.
    pub fn spread(&self, n_list_shards: u32) -> Result<Option<Self>, FewerShards> {
        if n_list_shards < self.n_list_shards {
            return Err(FewerShards { stored: self.n_list_shards });
        }
        let next = Self { n_list_shards, revision: self.revision + 1, ..self.clone() };
        Ok((n_list_shards != self.n_list_shards).then_some(next))
    }
}

impl AccountSecrets {
    /// The secrets of a mode and source.
    pub fn of(&self, mode: Mode, source: Source) -> &Secrets {
        let of_mode = match mode {
            Mode::Live => &self.live,
            Mode::Test => &self.test,
        };
        match source {
            Source::Requests => &of_mode.requests,
            Source::Events => &of_mode.events,
        }
    }

    fn of_mut(&mut self, mode: Mode, source: Source) -> &mut Secrets {
        let of_mode = match mode {
            Mode::Live => &mut self.live,
            Mode::Test => &mut self.test,
        };
        match source {
            Source::Requests => &mut of_mode.requests,
            Source::Events => &mut of_mode.events,
        }
    }
}

impl std::fmt::Debug for IdKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdKey(…)")
    }
}

impl ApiKey {
    /// The key, made by `maker`: it ends with its maker, and its calls count as its maker's, too.
    #[must_use]
    pub fn made_by(self, maker: &Self, wishes: &KeyWishes) -> Self {
        let makers = [maker.id].into_iter().chain(maker.makers.iter().copied()).collect();
        let ends = [wishes.expires_at, maker.expires_at].into_iter().flatten();
        let allowed = wishes.recipients_allowed.as_ref().or(maker.recipients_allowed.as_ref());
        Self {
            makers,
            family: if maker.is_confined() { maker.family } else { self.id },
            limits: maker.limits.clone(),
            ask_limits: maker.ask_limits.clone(),
            recipients_allowed: allowed.cloned(),
            requester: maker.requester.as_ref().or(wishes.requester.as_ref()).cloned(),
            expires_at: ends.min(),
            ..self
        }
        .limited(wishes.rate_limit_per_minute)
        .limited_in_asks(wishes.asks_per_hour)
    }

    /// The key with a limit of calls per minute, unless it has one as low.
    #[must_use]
    pub fn limited(mut self, per_minute: Option<u32>) -> Self {
        let is_lower = |it: &u32| self.rate_limit_per_minute().is_none_or(|now| *it < now);
        let own = per_minute.filter(is_lower);
        self.limits.extend(own.map(|per_minute| CallLimit { key: self.id, per_minute }));
        self
    }

    /// The key with a limit of requests per hour, unless it has one as low.
    #[must_use]
    pub fn limited_in_asks(mut self, per_hour: Option<u32>) -> Self {
        let is_lower = |it: &u32| self.asks_per_hour().is_none_or(|now| *it < now);
        let own = per_hour.filter(is_lower);
        self.ask_limits.extend(own.map(|per_hour| AskLimit { key: self.id, per_hour }));
        self
    }

    /// The most requests per hour, if there is a limit.
    pub fn asks_per_hour(&self) -> Option<u32> {
        self.ask_limits.iter().map(|it| it.per_hour).min()
    }

    /// It sees and cancels only requests of its family: it asks and does not own the account's
    /// requests, or descends from such a key.
    pub fn is_confined(&self) -> bool {
        let asks_only = self.allows(Scope::RequestsAsk) && !self.allows(Scope::RequestsWrite);
        asks_only || self.family != self.id
    }

    /// It may ask this recipient. `None` is the anonymous one, the holder of the link.
    pub fn may_ask(&self, recipient: Option<&EmailAddress>) -> bool {
        let Some(allowed) = &self.recipients_allowed else { return true };
        recipient.is_some_and(|it| allowed.iter().any(|pattern| pattern.matches(it)))
    }

    /// The most calls per minute, if there is a limit.
    pub fn rate_limit_per_minute(&self) -> Option<u32> {
        self.limits.iter().map(|it| it.per_minute).min()
    }

    /// It is neither revoked nor at its end. Its makers are not considered.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|it| now < it)
    }

    /// It has no right that `other` lacks, and no wider limit: on its calls, nor, if it may ask, on the
    /// requests an hour and the recipients.
    pub fn is_within(&self, other: &Self) -> bool {
        let is_lower = |own: Option<u32>, limit: Option<u32>| {
            limit.is_none_or(|limit| own.is_some_and(|own| own <= limit))
        };
        let is_covered =
            |own: &EmailPattern, allowed: &[EmailPattern]| allowed.iter().any(|it| it.covers(own));
        let asks_within = match (&self.recipients_allowed, &other.recipients_allowed) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(allowed)) => own.iter().all(|it| is_covered(it, allowed)),
        };
        let asks_within = asks_within && is_lower(self.asks_per_hour(), other.asks_per_hour());
        self.scopes.iter().all(|it| other.allows(*it))
            && is_lower(self.rate_limit_per_minute(), other.rate_limit_per_minute())
            && (!self.allows(Scope::RequestsAsk) || asks_within)
    }

    /// The key has the right `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|it| it.includes(scope))
    }

    /// The revoked key, or `None` if it was revoked before.
    pub fn revoke(&self, now: Timestamp) -> Option<Self> {
        let next = Self { revoked_at: Some(now), revision: self.revision + 1, ..self.clone() };
        self.revoked_at.is_none().then_some(next)
    }
}
