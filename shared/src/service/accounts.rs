//! Authentication: the caller of a request, its account and its rights.
//!
//! Keys and accounts are cached for a few seconds, so a busy function reads them seldom. A revoked
//! key, or a rotated secret, has its effect everywhere within that time.

mod asks;
mod limits;

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use axum::http::HeaderMap;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::{
    api::{Code, Problem, http::header},
    domain::{
        Account, AccountId, ApiKey, KeyId, Mode, OpId, Owner, PastCalls, Request, Scope, Secrets,
        Source,
        account::{AccountSecrets, IdKey, LIST_SHARDS, MESSAGES_PER_HOUR, SourceSecrets},
        secret::Holder,
    },
    platform::{Cache, Clock, Entropy, SharedReads, Vault, vault::VaultError},
    signing,
    store::{self, Store, keys},
};

/// Cache lifetime of keys and accounts.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Most entries of each cache.
const CACHE_MAX: usize = 1_000;

/// The accounts and their keys.
#[derive(Clone, Debug)]
pub struct Accounts {
    store: Store,
    clock: Clock,
    keys: Cache<KeyId, Arc<ApiKey>>,
    by_id: Cache<AccountId, Arc<Account>>,
    /// The reads of accounts that are under way. Concurrent tasks share them.
    reads: Arc<SharedReads<AccountId, Option<Arc<Account>>, store::Error>>,
    /// The keys that have reached their rate limit, and the end of the minute.
    limited: Cache<KeyId, Timestamp>,
    /// The keys with as many held calls as they may have, and the end of the window.
    full: Cache<KeyId, Timestamp>,
    /// The accounts far below their cap, and the requests that this process may add uncounted.
    room: Cache<AccountId, Arc<AtomicU32>>,
}

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    key: Arc<ApiKey>,
}

/// A new key. Its text is shown once.
#[derive(Debug)]
pub struct NewKey {
    /// The stored part.
    pub key: ApiKey,
    /// The text that its owner sends.
    pub text: SecretString,
}

impl Accounts {
    /// The accounts in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        let keys = Cache::new(CACHE_TTL, CACHE_MAX);
        let by_id = Cache::new(CACHE_TTL, CACHE_MAX);
        let limited = Cache::new(CACHE_TTL, CACHE_MAX);
        let full = Cache::new(CACHE_TTL, CACHE_MAX);
        let room = Cache::new(limits::ROOM_TTL, CACHE_MAX);
        Self { store, clock, keys, by_id, reads: Arc::default(), limited, full, room }
    }

    /// The caller with these headers, if its key has the right `scope` and has not reached its rate
    /// limit.
    pub async fn caller(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        let caller = self.any_caller(headers).await?;
        caller.require(scope)?;
        Ok(caller)
    }

    /// The caller with these headers, whatever its rights, if its key has not reached its rate limit.
    pub async fn any_caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let caller = self.authenticate(headers).await?;
        // From now on each line of this call has the key.
        tracing::Span::current().record("key.id", tracing::field::display(caller.key()));
        self.count(&caller.key).await?;
        Ok(caller)
    }

    async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let refused = || Problem::new(Code::Unauthorized, "unknown, expired or revoked API key");
        let text = presented_key(headers).ok_or_else(|| {
            let detail = "send an API key as `Authorization: Bearer …` or `X-API-Key: …`";
            Problem::new(Code::Unauthorized, detail)
        })?;
        let id = key_id(text).ok_or_else(refused)?;
        let now = self.clock.now();
        let key = self.key(id).await?.filter(|it| it.is_valid(now)).ok_or_else(refused)?;
        if !signing::same_hash(&key.hash, &signing::sha256(text.as_bytes())) {
            return Err(refused());
        }
        for maker in &key.makers {
            let maker = self.key(*maker).await?;
            if !maker.is_some_and(|it| it.is_valid(now)) {
                return Err(refused());
            }
        }
        Ok(Caller { key })
    }

    async fn key(&self, id: KeyId) -> Result<Option<Arc<ApiKey>>, store::Error> {
        let now = self.clock.now();
        if let Some(key) = self.keys.get(&id, now) {
            return Ok(Some(key));
        }
        let key: Option<ApiKey> = self.store.get(keys::api_key(id)).await?;
        let key = key.map(Arc::new);
        if let Some(key) = &key {
            self.keys.insert(id, Arc::clone(key), now);
        }
        Ok(key)
    }

    /// Removes a key from the cache after a change, so that the change has its effect here at once.
    pub fn evict(&self, id: KeyId) {
        self.keys.remove(&id);
    }

    /// Removes an account from the cache after a change.
    pub fn evict_account(&self, id: AccountId) {
        self.by_id.remove(&id);
    }

    /// The account `id`, if it exists.
    pub async fn account(&self, id: AccountId) -> Result<Option<Arc<Account>>, store::Error> {
        let now = self.clock.now();
        if let Some(account) = self.by_id.get(&id, now) {
            return Ok(Some(account));
        }
        let accounts = self.clone();
        let read = self.reads.share(id, async move { accounts.account_now(id).await });
        let found = read.await;
        self.reads.forget(&id);
        found
    }

    /// The account `id`, read from the table.
    pub async fn account_now(&self, id: AccountId) -> Result<Option<Arc<Account>>, store::Error> {
        let account: Option<Account> = self.store.get(keys::account(id)).await?;
        let account = account.map(Arc::new);
        if let Some(account) = &account {
            self.by_id.insert(id, Arc::clone(account), self.clock.now());
        }
        Ok(account)
    }

    /// The names of the account and key that ask, as people see them.
    ///
    /// A key that only asks does not choose the names of keys that it makes: they have its own.
    pub async fn asked_by(
        &self,
        owner: Owner,
        asker: Option<&Caller>,
    ) -> Result<Option<String>, Problem> {
        let account = self.account_of(owner).await?;
        let key = match asker {
            Some(caller) if caller.key.family != caller.key.id => {
                self.key(caller.key.family).await?
            }
            Some(caller) => Some(Arc::clone(&caller.key)),
            None => None,
        };
        let key_name = key.as_ref().and_then(|it| it.name.as_deref());
        let names = [account.name.as_deref(), key_name];
        let shown = names.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        Ok((!shown.is_empty()).then_some(shown))
    }

    /// The account of an owner, which must exist.
    pub async fn account_of(&self, owner: Owner) -> Result<Arc<Account>, Problem> {
        let account = self.account(owner.account).await?;
        account
            .ok_or_else(|| Problem::new(Code::Unauthorized, "the key's account no longer exists"))
    }
}

impl Caller {
    /// The account of the key.
    pub fn account(&self) -> AccountId {
        self.key.owner.account
    }

    /// The account and mode of the key.
    pub fn owner(&self) -> Owner {
        self.key.owner
    }

    /// The key.
    pub fn key(&self) -> KeyId {
        self.key.id
    }

    /// The rate limit of the key, if it has one.
    pub fn rate_limit_per_minute(&self) -> Option<u32> {
        self.key.rate_limit_per_minute()
    }

    /// The key of the caller.
    pub fn api_key(&self) -> &ApiKey {
        &self.key
    }

    /// The key has the right `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        self.key.allows(scope)
    }

    /// The key may see `request`: the request belongs to its account and mode, and to its family if it
    /// sees only that.
    pub fn sees(&self, request: &Request) -> bool {
        request.owner == self.key.owner
            && (!self.key.is_confined() || request.family == Some(self.key.family))
    }

    /// The family of the requests that the key makes, if it sees only those of its family.
    pub fn family(&self) -> Option<KeyId> {
        self.key.is_confined().then_some(self.key.family)
    }

    /// Writes a line of the audit log. `what` must not be a secret.
    pub fn audit(&self, did: &'static str, what: &str) {
        tracing::info!(target: "audit", { account.id = %self.account(), key.id = %self.key(), what }, "{did}");
    }

    /// Refuses the call unless the key has the right `scope`.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.may(scope) {
            return Ok(());
        }
        self.audit("lacked a scope", scope.as_str());
        let detail = format!("this key lacks the scope `{}`", scope.as_str());
        Err(Problem::new(Code::Forbidden, detail))
    }
}

impl NewKey {
    /// A new key for `owner`.
    pub fn make(owner: Owner, scopes: Vec<Scope>, now: Timestamp, entropy: &Entropy) -> Self {
        Self::make_as(KeyId::mint(now, entropy.next()), owner, scopes, now, entropy)
    }

    /// A new key for `owner` with this identifier.
    pub fn make_as(
        id: KeyId,
        owner: Owner,
        scopes: Vec<Scope>,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Self {
        let id_text = id.to_string();
        let id_text = id_text.trim_start_matches("key_");
        let secret = signing::to_base32(&entropy.next_secret());
        let text = format!("ab_{}_{id_text}_{secret}", owner.mode.as_str());
        let hash = signing::sha256(text.as_bytes());
        let key = ApiKey {
            id,
            owner,
            scopes,
            hash,
            name: None,
            created_at: now,
            created_by: OpId::new(entropy.next()),
            body_hash: None,
            makers: Vec::new(),
            family: id,
            limits: Vec::new(),
            ask_limits: Vec::new(),
            recipients_allowed: None,
            requester: None,
            expires_at: None,
            revoked_at: None,
            revision: 0,
        };
        Self { key, text: text.into() }
    }
}

/// A new account with new signing secrets.
pub async fn new_account(
    now: Timestamp,
    entropy: &Entropy,
    vault: &Vault,
) -> Result<Account, VaultError> {
    let id = AccountId::mint(now, entropy.next());
    let id_key = IdKey(entropy.next_secret());
    let make = async |mode, source| -> Result<Secrets, VaultError> {
        let holder = Holder::Account(Owner { account: id, mode }, source);
        Ok(Secrets(vec![vault.make(&holder, now, entropy).await?.kept]))
    };
    let make = async |mode| -> Result<SourceSecrets, VaultError> {
        Ok(SourceSecrets {
            requests: make(mode, Source::Requests).await?,
            events: make(mode, Source::Events).await?,
        })
    };
    let secrets = AccountSecrets { live: make(Mode::Live).await?, test: make(Mode::Test).await? };
    Ok(Account {
        id,
        created_at: now,
        id_key,
        secrets,
        calls: PastCalls::default(),
        name: None,
        max_pending_requests: None,
        max_messages_per_hour: MESSAGES_PER_HOUR,
        allowed_senders: Vec::new(),
        n_list_shards: LIST_SHARDS,
        revision: 0,
    })
}

/// The text of the key in these headers.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = header(headers, "authorization").and_then(|it| {
        let (scheme, key) = it.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or_else(|| header(headers, "x-api-key").map(str::trim))
}

/// The identifier in a key's text, `ab_<mode>_<id>_<secret>`.
fn key_id(text: &str) -> Option<KeyId> {
    let rest = text.strip_prefix("ab_live_").or_else(|| text.strip_prefix("ab_test_"))?;
    let (id, _) = rest.split_once('_')?;
    format!("key_{id}").parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::domain::Mode;

    #[test]
    fn new_key_contains_its_identifier() {
        let entropy = Entropy::counting();
        let now = Timestamp::UNIX_EPOCH;
        let owner = Owner { account: AccountId::mint(now, entropy.next()), mode: Mode::Live };
        let new = NewKey::make(owner, vec![Scope::Admin], now, &entropy);
        let text = new.text.expose_secret();
        assert!(text.starts_with("ab_live_"));
        assert_eq!(key_id(text), Some(new.key.id));
        assert!(!format!("{new:?}").contains(text));
    }

    proptest! {
        #[test]
        fn parsed_key_has_the_form_of_our_keys(
            text in r"\PC*|(ab|AB)_(live|test|Live|prod)_[0-7][0-9a-zA-Z]{24,26}(_[0-9a-z]{0,52})?|(ab|AB)_(live|Live|prod)_[0-7][0-9a-hjkmnp-tv-z]{20}00000_",
        ) {
            if let Some(id) = key_id(&text) {
                let id = id.to_string();
                let id = id.strip_prefix("key_").expect("the prefix of keys");
                let is_ours = |mode| text.starts_with(&format!("ab_{mode}_{id}_"));
                prop_assert!(is_ours("live") || is_ours("test"), "{}", text);
            }
        }

        /// `Authorization` wins over `X-API-Key`. Space around a key is ignored.
        #[test]
        fn key_is_found_in_either_header(
            key in "[!-~]{1,40}",
            scheme in "[Bb]earer|[Bb]asic|BEARER",
            spaces in " {0,3}",
            other in prop::option::of("[!-~]{1,9}"),
        ) {
            let mut headers = HeaderMap::new();
            let bearer = format!("{scheme} {spaces}{key}{spaces}");
            headers.insert("authorization", bearer.parse().expect("a header"));
            if let Some(other) = &other {
                headers.insert("x-api-key", format!("{spaces}{other}").parse().expect("a header"));
            }
            let is_bearer = scheme.eq_ignore_ascii_case("bearer");
            let expected = if is_bearer { Some(key.as_str()) } else { other.as_deref() };
            prop_assert_eq!(presented_key(&headers), expected);
        }
    }
}
