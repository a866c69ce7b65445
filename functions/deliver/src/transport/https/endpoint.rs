//! The endpoint of a delivery at the time of an attempt: a request's callback, or a webhook.

use answerback::{
    domain::{
        Channel, Delivery, Secrets, Source, Webhook,
        delivery::{DeliveryEnd, FailureReason, Receiver},
        secret::Holder,
    },
    store::keys,
};

use crate::{App, Error};

/// A receiver, with its signer.
pub(in crate::transport) struct Endpoint {
    pub(in crate::transport) receiver: Receiver,
    /// The holder of the receiver's credentials.
    pub(in crate::transport) credentials_of: Holder,
    pub(in crate::transport) signer: Signer,
    /// `None`: it is a callback.
    pub(in crate::transport) webhook: Option<Webhook>,
}

/// The secrets that sign for a receiver.
pub(in crate::transport) struct Signer {
    pub(in crate::transport) holder: Holder,
    pub(in crate::transport) secrets: Secrets,
}

impl Endpoint {
    /// Finds the endpoint of `delivery`. If its webhook is deleted or disabled, or no longer subscribes
    /// to the event's type, returns the end of the delivery.
    ///
    /// A webhook delivery keeps the payload and settings it was created with, but uses the webhook's
    /// current URL, headers and secrets.
    pub(in crate::transport) async fn find(
        app: &App,
        delivery: &Delivery,
        receiver: &Receiver,
        known: &[Webhook],
    ) -> Result<Result<Self, DeliveryEnd>, Error> {
        let Some(reference) = &delivery.webhook else {
            let signer = callback_signer(app, delivery, Source::of(delivery.event())).await?;
            let credentials_of = Holder::of_callback(delivery.owner, delivery.event());
            let receiver = receiver.clone();
            return Ok(Ok(Self { receiver, credentials_of, signer, webhook: None }));
        };
        let webhook = match known.iter().find(|it| it.reference() == *reference) {
            Some(webhook) => Some(webhook.clone()),
            None => app.core.store.get(keys::webhook(delivery.owner, &reference.id)).await?,
        };
        // Another webhook may have the name by now.
        let is_same = |it: &Webhook| !it.is_deleted() && it.reference() == *reference;
        let Some(webhook) = webhook.filter(is_same) else {
            return Ok(Err(DeliveryEnd::Cancelled));
        };
        // A redelivery and a trigger name the delivery itself, and go to the webhook in any case.
        let is_wanted = webhook.subscribes_to(delivery.event_type.as_str());
        if !is_wanted && delivery.expedited_by.is_none() {
            return Ok(Err(DeliveryEnd::Cancelled));
        }
        if !webhook.is_enabled() {
            return Ok(Err(DeliveryEnd::Failed(FailureReason::Disabled)));
        }
        let Receiver { url, credentials, .. } = webhook.settings.receiver.clone();
        let holder = Holder::Webhook(delivery.owner, reference.clone());
        Ok(Ok(Self {
            receiver: Receiver { url, credentials, ..receiver.clone() },
            credentials_of: holder.clone(),
            signer: Signer { holder, secrets: webhook.secrets().clone() },
            webhook: Some(webhook),
        }))
    }
}

/// The signer of a callback: the channel that the request was sent to, or else the account, for
/// events of this source.
pub(in crate::transport) async fn callback_signer(
    app: &App,
    delivery: &Delivery,
    source: Source,
) -> Result<Signer, Error> {
    let owner = delivery.owner;
    if let Some(id) = delivery.channel {
        let channel: Option<Channel> = app.core.store.get(keys::channel(id)).await?;
        let secrets = channel.ok_or(Error::OwnerMissing)?.secrets().clone();
        return Ok(Signer { holder: Holder::Channel(owner, id), secrets });
    }
    let account = app.core.accounts.account(owner.account).await?;
    let secrets = account.ok_or(Error::OwnerMissing)?.secrets.of(owner.mode, source).clone();
    Ok(Signer { holder: Holder::Account(owner, source), secrets })
}
