//! The webhooks and notifiers of an account, and the parts of them that creating a request needs.

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{Notifier, NotifierSummary, Owner, Subscriptions, Webhook},
    platform::{Cache, Clock},
    store::{self, Store},
};

/// Cache lifetime of subscriptions and notifiers.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Most accounts in the cache.
const CACHE_MAX: usize = 1_000;

/// The webhooks and notifiers of all accounts.
#[derive(Clone, Debug)]
pub struct Destinations {
    store: Store,
    clock: Clock,
    cache: Cache<Owner, Cached>,
}

/// The parts that creating a request needs.
#[derive(Clone, Debug)]
struct Cached {
    subscriptions: Subscriptions,
    notifiers: Arc<[NotifierSummary]>,
}

impl Destinations {
    /// The webhooks and notifiers in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, cache: Cache::new(CACHE_TTL, CACHE_MAX) }
    }

    /// The webhooks and notifiers of `owner`, read from the table.
    pub async fn all(&self, owner: Owner) -> Result<store::Destinations, store::Error> {
        let mut all = self.store.destinations(owner).await?;
        all.webhooks.retain(|it| it.deleted_at.is_none());
        all.notifiers.retain(|it| !it.is_deleted());
        self.cache.insert(owner, Cached::of(&all), self.clock.now());
        Ok(all)
    }

    /// The kinds of request events that webhooks of this account and mode subscribe to.
    ///
    /// They are cached for `CACHE_TTL`, so a new webhook may miss events of its first seconds. If
    /// the table does not respond, all kinds are assumed to have subscribers. Then events without a
    /// subscriber are dropped when they are dispatched.
    pub async fn subscriptions(&self, owner: Owner) -> Subscriptions {
        match self.cached(owner).await {
            Ok(cached) => cached.subscriptions,
            Err(err) => {
                tracing::warn!(
                    error = &err as &(dyn std::error::Error + 'static),
                    "could not load webhooks; assuming all events have subscribers"
                );
                Subscriptions::ALL
            }
        }
    }

    /// The notifiers of this account and mode, the latest id first.
    ///
    /// They are cached for `CACHE_TTL`, so a change may take as long.
    pub async fn notifiers(&self, owner: Owner) -> Result<Arc<[NotifierSummary]>, store::Error> {
        Ok(self.cached(owner).await?.notifiers)
    }

    async fn cached(&self, owner: Owner) -> Result<Cached, store::Error> {
        match self.cache.get(&owner, self.clock.now()) {
            Some(cached) => Ok(cached),
            None => Ok(Cached::of(&self.all(owner).await?)),
        }
    }

    /// Removes an account from the cache after a change of its webhooks or notifiers.
    pub fn evict(&self, owner: Owner) {
        self.cache.remove(&owner);
    }
}

impl Cached {
    fn of(all: &store::Destinations) -> Self {
        Self {
            subscriptions: subscriptions(&all.webhooks),
            notifiers: all.notifiers.iter().map(Notifier::summary).collect(),
        }
    }
}

fn subscriptions(webhooks: &[Webhook]) -> Subscriptions {
    Subscriptions::of(|it| webhooks.iter().any(|webhook| webhook.wants(it.as_str())))
}
