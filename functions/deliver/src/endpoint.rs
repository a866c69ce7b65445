//! Who a delivery is for, as of now: a sender's callback, or a webhook.

use answerback::{
    domain::{
        Channel, Delivery, Secrets, Webhook,
        delivery::{DeliveryEnd, FailureReason, Receiver},
    },
    store::keys,
};

use crate::{App, Error};

/// Who is told, as of now.
pub(crate) struct Endpoint {
    pub(crate) receiver: Receiver,
    pub(crate) secrets: Secrets,
    pub(crate) webhook: Option<Webhook>,
}

impl Endpoint {
    /// Who is to be told; or what becomes of the delivery where there is nobody.
    ///
    /// What a delivery looks like was decided when it was made. Where it goes, and what it proves
    /// itself with, is as its webhook has it now.
    pub(crate) async fn find(
        app: &App,
        delivery: &Delivery,
        receiver: &Receiver,
    ) -> Result<Result<Self, DeliveryEnd>, Error> {
        let Some(id) = &delivery.webhook else {
            let secrets = if let Some(channel) = delivery.channel {
                let channel: Option<Channel> = app.core.store.get(keys::channel(channel)).await?;
                channel.ok_or(Error::Secret)?.secrets().clone()
            } else {
                let account = app.core.accounts.account_now(delivery.owner.account).await?;
                account.ok_or(Error::Secret)?.secrets.clone()
            };
            let receiver = receiver.clone();
            return Ok(Ok(Self { receiver, secrets, webhook: None }));
        };
        let key = keys::webhook(delivery.owner, id);
        let webhook = app.core.store.get::<Webhook>(key).await?.filter(|it| !it.is_deleted());
        let Some(webhook) = webhook else { return Ok(Err(DeliveryEnd::Cancelled)) };
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
