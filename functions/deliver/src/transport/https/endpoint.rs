//! The endpoint of a delivery at the time of an attempt: a request's callback, or a webhook.

use answerback::{
    domain::{
        Channel, Delivery, Secrets, Webhook,
        delivery::{DeliveryEnd, FailureReason, Receiver},
    },
    store::keys,
};

use crate::{App, Error};

/// A receiver, with the secrets that sign for it.
pub(super) struct Endpoint {
    pub(super) receiver: Receiver,
    pub(super) secrets: Secrets,
    /// `None`: it is a callback.
    pub(super) webhook: Option<Webhook>,
}

impl Endpoint {
    /// Finds the endpoint of `delivery`. If its webhook is deleted or disabled, returns the end of
    /// the delivery.
    ///
    /// A webhook delivery keeps the payload and settings it was created with, but uses the webhook's
    /// current URL, headers and secrets.
    pub(super) async fn find(
        app: &App,
        delivery: &Delivery,
        receiver: &Receiver,
    ) -> Result<Result<Self, DeliveryEnd>, Error> {
        let Some(id) = &delivery.webhook else {
            let secrets = callback_secrets(app, delivery).await?;
            return Ok(Ok(Self { receiver: receiver.clone(), secrets, webhook: None }));
        };
        let key = keys::webhook(delivery.owner, id);
        let webhook = app.core.store.get::<Webhook>(key).await?;
        let Some(webhook) = webhook.filter(|it| !it.is_deleted()) else {
            return Ok(Err(DeliveryEnd::Cancelled));
        };
        if !webhook.is_enabled() {
            return Ok(Err(DeliveryEnd::Failed(FailureReason::Disabled)));
        }
        let Receiver { url, bearer_token, headers, .. } = webhook.settings.receiver.clone();
        Ok(Ok(Self {
            receiver: Receiver { url, bearer_token, headers, ..receiver.clone() },
            secrets: webhook.secrets().clone(),
            webhook: Some(webhook),
        }))
    }
}

/// The secrets of the channel that the request was sent to, or else of the account.
async fn callback_secrets(app: &App, delivery: &Delivery) -> Result<Secrets, Error> {
    if let Some(channel) = delivery.channel {
        let channel: Option<Channel> = app.core.store.get(keys::channel(channel)).await?;
        return channel.map(|it| it.secrets().clone()).ok_or(Error::OwnerMissing);
    }
    let account = app.core.accounts.account_now(delivery.owner.account).await?;
    account.map(|it| it.secrets.clone()).ok_or(Error::OwnerMissing)
}
