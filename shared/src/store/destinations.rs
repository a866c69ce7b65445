//! The webhooks and notifiers of an account and mode, in one read.

use std::error::Error as _;

use super::{Attributes, Error, Key, Store, keys, read};
use crate::domain::{
    Notifier, NotifierId, Owner, Webhook, notifier::NOTIFIERS_MAX, webhook::WEBHOOKS_MAX,
};

/// Page size: one more than an account may have, so one call is enough.
const PAGE: usize = WEBHOOKS_MAX + NOTIFIERS_MAX + 1;

/// The webhooks and notifiers of an account and mode.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// The webhooks.
    pub webhooks: Vec<Webhook>,
    /// The notifiers.
    pub notifiers: Vec<Notifier>,
    /// Notifiers that this version cannot read.
    pub unreadable: Vec<NotifierId>,
}

impl Store {
    /// The webhooks and notifiers of an account and mode, including those deleted in the last day. The
    /// read is strongly consistent.
    ///
    /// A notifier that cannot be read is logged and skipped, so that callbacks are still sent. A
    /// webhook that cannot be read is an error, so that none of its callbacks is lost.
    pub async fn destinations(&self, owner: Owner) -> Result<Destinations, Error> {
        let limit = i32::try_from(PAGE).expect("a small number");
        let mut destinations = Destinations::default();
        let mut after = None;
        loop {
            let (pk, beginning) = (keys::destinations(owner), keys::DESTINATIONS.to_owned());
            let page = self.table.under(pk, beginning, limit, after).await?;
            for item in page.items {
                destinations.add(item)?;
            }
            let Some(next) = page.next else { return Ok(destinations) };
            after = Some(next.key.sk);
        }
    }
}

impl Destinations {
    pub(super) fn add(&mut self, item: Attributes) -> Result<(), Error> {
        let Some(id) = Key::of(&item).and_then(|it| keys::notifier_at(&it.sk)) else {
            self.webhooks.push(read(item)?);
            return Ok(());
        };
        match read(item) {
            Ok(notifier) => self.notifiers.push(notifier),
            Err(err) => {
                tracing::error!(
                    notifier.id = %id,
                    error = &err as &(dyn std::error::Error + 'static),
                    source = err.source(),
                    "skipped a notifier that could not be read"
                );
                self.unreadable.push(id);
            }
        }
        Ok(())
    }
}
