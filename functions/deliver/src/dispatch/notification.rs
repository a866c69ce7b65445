//! The notifications of an event: each target that subscribes to it, and the body for that target.

use answerback::{
    domain::{
        Delivery, Event, OutboxEvent, Request, Source, Webhook, WebhookRef,
        delivery::{BUS, CALLBACK, Origin, Receiver, Target},
        webhook::{PAYLOAD_BYTES, Settings},
    },
    service::{bus_body, callback_body, posted_body},
};
use jiff::Timestamp;

/// A target to notify of an event.
pub(super) struct Notification {
    /// Distinguishes the targets of one event, and is part of the delivery's id.
    target_name: String,
    target: Target,
    webhook: Option<WebhookRef>,
    body: Vec<u8>,
}

impl Notification {
    /// The delivery of this notification.
    pub(super) fn delivery(self, origin: Origin, now: Timestamp) -> Delivery {
        let Self { target_name, target, webhook, body } = self;
        Delivery { webhook, ..Delivery::begin(origin, &target_name, target, body, now) }
    }

    fn callback(receiver: &Receiver, body: Vec<u8>) -> Self {
        let target = Target::Https(receiver.clone());
        Self { target_name: CALLBACK.to_owned(), target, webhook: None, body }
    }

    fn bus(body: Vec<u8>) -> Self {
        Self { target_name: BUS.to_owned(), target: Target::Bus, webhook: None, body }
    }

    fn webhook(webhook: &Webhook, body: Vec<u8>) -> Self {
        let receiver = webhook.settings.receiver.without_credentials();
        let (reference, target) = (webhook.reference(), Target::Https(receiver));
        Self { target_name: reference.target(), target, webhook: Some(reference), body }
    }
}

/// The notifications of an event in a request's outbox: its callback, the bus, and webhooks.
pub(super) fn of_request(
    request: &Request,
    event: &OutboxEvent,
    webhooks: &[Webhook],
) -> Vec<Notification> {
    if event.is_for_messages_alone() {
        return Vec::new();
    }
    let body =
        |receiver: &Receiver, max_bytes| callback_body(&receiver.spec(), max_bytes, request, event);
    let callback = request.policy.callback.as_ref().filter(|it| it.events.contains(&event.kind));
    let callback =
        callback.map(|it| Notification::callback(&it.receiver, body(&it.receiver, PAYLOAD_BYTES)));
    let is_on_bus = request.is_published && event.kind.is_published();
    let bus = is_on_bus.then(|| Notification::bus(bus_body(request, event)));
    let is_subscribed = |it: &&Webhook| it.gets(event.kind.as_str(), Source::Requests);
    let webhooks = webhooks.iter().filter(is_subscribed).map(|it| {
        let Settings { receiver, max_payload_bytes, .. } = &it.settings;
        Notification::webhook(it, body(receiver, *max_payload_bytes))
    });
    callback.into_iter().chain(bus).chain(webhooks).collect()
}

/// The notifications of a posted event: its callback, and webhooks.
pub(super) fn of_posted(event: &Event, webhooks: &[Webhook]) -> Vec<Notification> {
    let body = |receiver: &Receiver, max_bytes| posted_body(&receiver.spec(), max_bytes, event);
    let callback =
        event.callback.iter().map(|it| Notification::callback(it, body(it, PAYLOAD_BYTES)));
    let is_subscribed = |it: &&Webhook| it.gets(event.event_type.as_str(), Source::Events);
    let webhooks = webhooks.iter().filter(is_subscribed).map(|it| {
        let Settings { receiver, max_payload_bytes, .. } = &it.settings;
        Notification::webhook(it, body(receiver, *max_payload_bytes))
    });
    callback.chain(webhooks).collect()
}
