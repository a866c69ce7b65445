//! Reads that the hints of a batch share, because most are about the same account and receiver.
//!
//! A batch works with an account's webhooks and notifiers for [`DESTINATIONS_TTL`], so a change counts
//! within that time.
//! Of breakers, only concurrent reads are shared: their memory keeps them up to date.

use std::{sync::Arc, time::Duration};

use answerback::{
    domain::{Breaker, Owner},
    platform::SharedReads,
    service::Core,
    store::{self, Destinations},
};

use jiff::Timestamp;

use crate::breaker::HostKey;

/// Time for which the webhooks and notifiers of an account are shared.
const DESTINATIONS_TTL: Duration = Duration::from_secs(5);

/// The reads of one batch. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    /// The webhooks and notifiers, and the time at which their read began.
    destinations: SharedReads<Owner, (Arc<Destinations>, Timestamp), store::Error>,
    breakers: SharedReads<HostKey, Option<Breaker>, store::Error>,
}

impl Reads {
    /// The webhooks and notifiers of an account and mode.
    pub(crate) async fn destinations(
        &self,
        core: &Core,
        owner: Owner,
    ) -> Result<Arc<Destinations>, store::Error> {
        let read = || {
            let (destinations, at) = (core.destinations.clone(), core.now());
            async move { Ok((Arc::new(destinations.all(owner).await?), at)) }
        };
        let (destinations, at) = self.0.destinations.share(owner, read()).await?;
        if core.now() < at + DESTINATIONS_TTL {
            return Ok(destinations);
        }
        self.0.destinations.forget(&owner);
        Ok(self.0.destinations.share(owner, read()).await?.0)
    }

    /// Drops an account's webhooks and notifiers after a change.
    pub(crate) fn evict(&self, owner: Owner) {
        self.0.destinations.forget(&owner);
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
