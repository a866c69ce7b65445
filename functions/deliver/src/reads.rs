//! Reads that the hints of a batch share, because most are about the same account and receiver.
//!
//! A batch works with an account's webhooks for [`WEBHOOKS_TTL`], so a change counts within that time.
//! Of breakers, only concurrent reads are shared: their memory keeps them up to date.

use std::{sync::Arc, time::Duration};

use answerback::{
    domain::{Breaker, Owner, Webhook},
    platform::SharedReads,
    service::Core,
    store,
};

use jiff::Timestamp;

use crate::breaker::HostKey;

/// Time for which the webhooks of an account are shared.
const WEBHOOKS_TTL: Duration = Duration::from_secs(5);

/// The reads of one batch. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    /// The webhooks, and the time at which their read began.
    webhooks: SharedReads<Owner, (Arc<[Webhook]>, Timestamp), store::Error>,
    breakers: SharedReads<HostKey, Option<Breaker>, store::Error>,
}

impl Reads {
    /// The webhooks of an account and mode.
    pub(crate) async fn webhooks(
        &self,
        core: &Core,
        owner: Owner,
    ) -> Result<Arc<[Webhook]>, store::Error> {
        let read = || {
            let (webhooks, at) = (core.webhooks.clone(), core.now());
            async move { Ok((Arc::from(webhooks.all(owner).await?), at)) }
        };
        let (webhooks, at) = self.0.webhooks.share(owner, read()).await?;
        if core.now() < at + WEBHOOKS_TTL {
            return Ok(webhooks);
        }
        self.0.webhooks.forget(&owner);
        Ok(self.0.webhooks.share(owner, read()).await?.0)
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
