//! Suppression: an account sends no mail to an address whose mail came back.

use answerback::{
    domain::{
        AccountId, EmailAddress,
        suppression::{AddressHash, Suppression},
    },
    store::{Saved, keys},
};
use jiff::Timestamp;

use crate::{App, Error};

/// Mail of the account to this address came back within the last 30 days.
pub(crate) async fn is_suppressed(
    app: &App,
    account: AccountId,
    address: &EmailAddress,
    now: Timestamp,
) -> Result<bool, Error> {
    let key = keys::suppression(account, AddressHash::of(account, address));
    let found = app.core.store.get::<Suppression>(key).await?;
    Ok(found.is_some_and(|it| it.is_active(now)))
}

/// Sends no more mail of the account to this address for 30 days.
pub(crate) async fn suppress(
    app: &App,
    account: AccountId,
    address: &EmailAddress,
    now: Timestamp,
) -> Result<(), Error> {
    let new = Suppression::new(account, AddressHash::of(account, address), now);
    if let Saved::Superseded(found) = app.core.store.create(&new).await? {
        app.core.step(found, |it| it.extend(now)).await?;
    }
    tracing::info!(account.id = %account, "suppressed an address");
    Ok(())
}
