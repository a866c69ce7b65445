//! Reads that the hints of a batch share, because most are about the same account and receiver.
//!
//! A batch works with an account's webhooks as they were when its first hint needed them.
//! Of breakers, only concurrent reads are shared: their memory keeps them up to date.

use std::sync::Arc;

use answerback::{
    domain::{Breaker, Owner, Webhook},
    platform::SharedReads,
    service::Core,
    store,
};

use crate::breaker::HostKey;

/// The reads of one batch. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    webhooks: SharedReads<Owner, Arc<[Webhook]>, store::Error>,
    breakers: SharedReads<HostKey, Option<Breaker>, store::Error>,
}

impl Reads {
    /// The webhooks of an account and mode.
    pub(crate) async fn webhooks(
        &self,
        core: &Core,
        owner: Owner,
    ) -> Result<Arc<[Webhook]>, store::Error> {
        let webhooks = core.webhooks.clone();
        let read = async move { webhooks.all(owner).await.map(Arc::from) };
        self.0.webhooks.share(owner, read).await
    }

    /// Drops an account's webhooks after a change.
    pub(crate) fn evict_webhooks(&self, owner: Owner) {
        self.0.webhooks.forget(&owner);
    }

    /// A host's breaker.
    pub(crate) async fn breaker(
        &self,
        core: &Core,
        host: &HostKey,
    ) -> Result<Option<Breaker>, store::Error> {
        let (store, key) = (core.store.clone(), host.key());
        let read = self.0.breakers.share(host.clone(), async move { store.get(key).await });
        let found = read.await;
        self.0.breakers.forget(host);
        found
    }
}
