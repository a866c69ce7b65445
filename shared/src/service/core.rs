//! The core that every function's `App` embeds: the ports, and the use cases on top of them.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    Promise,
    domain::{AccountId, OpId, Request, account::LIST_SHARDS},
    platform::{Clock, Entropy, Hints, Vault, wiring::Wiring},
    service::{Accounts, Destinations},
    store::{self, AdvanceError, Item, StepError, Store},
};

/// The ports that all functions share. Clones share their caches.
#[derive(Clone, Debug)]
pub struct Core {
    /// Items in DynamoDB.
    pub store: Store,
    /// API keys and accounts, cached for seconds.
    pub accounts: Accounts,
    /// Webhooks and notifiers. Their parts that creating a request needs are cached for seconds.
    pub destinations: Destinations,
    /// Encrypts and decrypts signing secrets.
    pub vault: Vault,
    /// Hints to the delivery workers.
    pub hints: Hints,
    /// The clock.
    pub clock: Clock,
    /// The source of identifiers, operations and secrets.
    pub entropy: Entropy,
}

impl Core {
    /// A core with these ports and empty caches.
    pub fn new(store: Store, vault: Vault, hints: Hints, clock: Clock, entropy: Entropy) -> Self {
        let accounts = Accounts::new(store.clone(), clock.clone());
        let destinations = Destinations::new(store.clone(), clock.clone());
        Self { store, accounts, destinations, vault, hints, clock, entropy }
    }

    /// The core of a deployed function. Fails if the queues are not configured, because then no
    /// hint could ever be sent.
    pub async fn wire(wiring: &Wiring, vault: Vault) -> anyhow::Result<Self> {
        let hints = wiring.hints()?;
        Ok(Self::new(wiring.store().await, vault, hints, Clock::System, Entropy::System))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The identifier of a new operation, which lets it recognize its own writes.
    pub fn new_op(&self) -> OpId {
        OpId::new(self.entropy.next())
    }

    /// The store for new deliveries of an account, which spreads them over the shards of their list.
    ///
    /// For some seconds after the operator has raised their number, or if the account cannot be read,
    /// it uses fewer. Every list shows those too.
    pub async fn store_of(&self, account: AccountId) -> Store {
        let account = match self.accounts.account(account).await {
            Ok(account) => account,
            Err(err) => {
                let error = &err as &(dyn std::error::Error + 'static);
                tracing::warn!(error, "could not read an account; used the default shards");
                None
            }
        };
        self.store.spread_over(account.map_or(LIST_SHARDS, |it| it.n_list_shards))
    }

    /// Applies `step` to `current`, and after a lost race to the winner's item. See
    /// [`store::advance_with`].
    pub async fn advance<T: Item, E>(
        &self,
        current: T,
        step: impl Fn(&T) -> Result<Option<T>, E>,
    ) -> Result<T, AdvanceError<E>> {
        store::advance_with(&self.store, current, step, |longest| self.wait(longest)).await
    }

    /// [`Self::advance`] for a step that cannot be refused. `None` if the item no longer exists.
    pub async fn step<T: Item>(
        &self,
        current: T,
        step: impl Fn(&T) -> Option<T>,
    ) -> Result<Option<T>, StepError> {
        store::unless_gone(self.advance(current, |it| Ok(step(it))).await)
    }

    /// Waits for a random time up to `longest`, so that callers who lost a race do not meet again.
    fn wait(&self, longest: Duration) -> Promise<'_, ()> {
        let up_to = longest.as_millis() + 1;
        let milliseconds = u64::try_from((self.entropy.next() >> 64) % up_to).unwrap_or(0);
        Box::pin(self.clock.sleep(Duration::from_millis(milliseconds)))
    }

    /// Sends a hint that `request` has events to dispatch or a deadline to watch.
    pub async fn hint_at(&self, request: &Request) {
        self.hints.send_for_request(request).await;
    }
}
