//! Which webhooks an account has, and of what they want to be told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    domain::{AccountId, Request, Subscriptions, Webhook},
    platform::Clock,
    store::{self, Store},
};

/// How long what was read is believed.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Most audiences that are remembered.
const CACHE_MAX: usize = 1_000;

/// The webhooks of all accounts.
#[derive(Clone, Debug)]
pub struct Webhooks {
    store: Store,
    clock: Clock,
    audiences: Arc<Mutex<Audiences>>,
}

/// What audience each account and mode has, with the time when it was found out.
type Audiences = HashMap<(AccountId, bool), (Timestamp, Subscriptions)>;

impl Webhooks {
    /// The webhooks in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, audiences: Arc::default() }
    }

    /// Those of an account and mode, as of now.
    pub async fn all(
        &self,
        account: AccountId,
        livemode: bool,
    ) -> Result<Vec<Webhook>, store::Error> {
        let mut webhooks = self.store.webhooks(account, livemode).await?;
        webhooks.retain(|it| it.deleted_at.is_none());
        let audience = Subscriptions::of(|it| webhooks.iter().any(|hook| hook.wants(it.as_str())));
        let mut audiences = self.audiences.lock().expect("no panic while it was held");
        if audiences.len() >= CACHE_MAX {
            audiences.clear();
        }
        audiences.insert((account, livemode), (self.clock.now(), audience));
        Ok(webhooks)
    }

    /// Looks for whom `request` has something to tell, so that it keeps no event that nobody wants.
    ///
    /// What is known is believed for seconds: a webhook that was just made may miss what happens
    /// to a request in that time, as it misses what happened before it was made.
    pub async fn attend(&self, request: &mut Request) {
        let (account, livemode) = (request.account, request.livemode);
        let known = {
            let audiences = self.audiences.lock().expect("no panic while it was held");
            let known = audiences.get(&(account, livemode)).copied();
            known.filter(|(read_at, _)| self.clock.now() < *read_at + CACHE_TTL)
        };
        request.audience = match known {
            Some((_, audience)) => audience,
            None => match self.all(account, livemode).await {
                Ok(webhooks) => {
                    Subscriptions::of(|it| webhooks.iter().any(|hook| hook.wants(it.as_str())))
                }
                Err(err) => {
                    tracing::warn!(
                        error = &err as &(dyn std::error::Error + 'static),
                        "nobody knows who is to be told"
                    );
                    Subscriptions::ANYBODY
                }
            },
        };
    }

    /// Forgets what is known of an account, whose webhooks were just changed.
    pub fn forget(&self, account: AccountId, livemode: bool) {
        self.audiences.lock().expect("no panic while it was held").remove(&(account, livemode));
    }
}
