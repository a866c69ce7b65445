//! The webhooks of an account, and the kinds of events that they subscribe to.

use std::time::Duration;

use crate::{
    domain::{Owner, Subscriptions, Webhook},
    platform::{Cache, Clock},
    store::{self, Store},
};

/// Cache lifetime of subscriptions.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Most accounts in the cache.
const CACHE_MAX: usize = 1_000;

/// The webhooks of all accounts.
#[derive(Clone, Debug)]
pub struct Webhooks {
    store: Store,
    clock: Clock,
    subscriptions: Cache<Owner, Subscriptions>,
}

impl Webhooks {
    /// The webhooks in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, subscriptions: Cache::new(CACHE_TTL, CACHE_MAX) }
    }

    /// The webhooks of `owner`, read from the table.
    pub async fn all(&self, owner: Owner) -> Result<Vec<Webhook>, store::Error> {
        let mut webhooks = self.store.webhooks(owner).await?;
        webhooks.retain(|it| it.deleted_at.is_none());
        self.subscriptions.insert(owner, subscriptions(&webhooks), self.clock.now());
        Ok(webhooks)
    }

    /// The kinds of request events that webhooks of this account and mode subscribe to.
    ///
    /// They are cached for `CACHE_TTL`, so a new webhook may miss events of its first seconds. If
    /// the table does not respond, all kinds are assumed to have subscribers. Then events without a
    /// subscriber are dropped when they are dispatched.
    pub async fn subscriptions(&self, owner: Owner) -> Subscriptions {
        if let Some(cached) = self.subscriptions.get(&owner, self.clock.now()) {
            return cached;
        }
        match self.all(owner).await {
            Ok(webhooks) => subscriptions(&webhooks),
            Err(err) => {
                tracing::warn!(
                    error = &err as &(dyn std::error::Error + 'static),
                    "could not load webhooks; assuming all events have subscribers"
                );
                Subscriptions::ALL
            }
        }
    }

    /// Removes an account from the cache after a change of its webhooks.
    pub fn evict(&self, owner: Owner) {
        self.subscriptions.remove(&owner);
    }
}

fn subscriptions(webhooks: &[Webhook]) -> Subscriptions {
    Subscriptions::of(|it| webhooks.iter().any(|webhook| webhook.wants(it.as_str())))
}
