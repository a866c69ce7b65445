//! `POST /v1/webhooks/{id}/trigger` sends an event to one webhook, to see whether it arrives.

use answerback::{
    api::{
        Fields, Problem,
        body::FieldErrors,
        http::{CalledHost, JsonOrNothing, trace},
        views::DeliveryView,
    },
    domain::{
        Delivery, Event, EventId, EventType, Scope,
        delivery::{Origin, Target},
        event::TYPE_CHARS_MAX,
    },
    service::posted_body,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::find_enabled;
use crate::{App, callback, events::data};

/// The type of an event that is only to show that it arrives.
const TEST: &str = "webhook.test";

/// Tells one webhook of an event, whatever types it wants.
pub(crate) async fn trigger(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<JsonOrNothing, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let JsonOrNothing(body) = body?;
    let (event_type, data) = read(body)?;
    let webhook = find_enabled(&app, &caller, &id).await?;
    let now = app.core.now();
    let op = app.core.new_op();
    let event = Event {
        id: EventId::mint(now, app.core.entropy.next()),
        owner: caller.owner(),
        created_by: op,
        body_hash: None,
        created_at: now,
        trace: trace(&headers),
        event_type,
        data,
        external_reference_id: None,
        base_url: callback::base_url(&app, &headers, &host),
        callback: None,
        webhook: Some(webhook.id.clone()),
        disables: None,
        // Its delivery is made here, and has a timer of its own.
        is_dispatched: true,
        due_at: None,
        revision: 0,
    };
    let receiver = webhook.settings.receiver.without_secrets();
    let body = posted_body(&receiver.spec(), webhook.settings.max_payload_bytes, &event);
    let origin = Origin {
        event: event.id,
        event_type: event.event_type.clone(),
        happened_at: now,
        trace: event.trace,
        made_by: op,
        owner: event.owner,
        channel: None,
    };
    let target = Target::Https(receiver);
    let delivery = Delivery::begin(origin, &webhook.id.target(), target, body, now);
    let delivery = Delivery { webhook: Some(webhook.id), ..delivery };
    // Both have fresh identifiers, so whatever is found there is this.
    let _ = app.core.store.create(&event).await?;
    let _ = app.core.store.create(&delivery).await?;
    app.core.hints.send_for_delivery(&delivery, 0, now).await;
    tracing::info!(delivery.id = %delivery.id, account.id = %delivery.owner.account, "triggered a webhook");
    Ok((StatusCode::ACCEPTED, axum::Json(DeliveryView::new(&delivery))).into_response())
}

/// Which event the body asks for.
fn read(body: Value) -> Result<(EventType, String), Problem> {
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let text = fields.text("type", 1..=TYPE_CHARS_MAX, &mut faults);
    let event_type = EventType::parse(text.as_deref().unwrap_or(TEST));
    if event_type.is_none() {
        let detail = "must be two to four words of a-z, 0-9 and _ with full stops between";
        fields.fault("type", detail, &mut faults);
    }
    let data = fields.object("data", &mut faults).map(Fields::into_rest);
    fields.finish(&mut faults);
    let text = Value::Object(data.clone().unwrap_or_default()).to_string();
    if let (Some(event_type), Some(data)) = (&event_type, data) {
        let data = Fields::of(Value::Object(data), "/data", &mut faults);
        data::check(event_type, data, &mut faults);
    }
    match event_type {
        Some(event_type) if faults.is_empty() => Ok((event_type, text)),
        Some(_) | None => Err(Problem::invalid(faults)),
    }
}
