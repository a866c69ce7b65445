//! `POST /v1/webhooks/{id}/trigger` sends a test event to one webhook.

use answerback::{
    api::{
        Problem, body,
        http::{CalledHost, OptionalJson, trace},
        views::DeliveryView,
    },
    domain::{
        Delivery, Event, EventId, EventType, Scope, Webhook,
        delivery::{Origin, Target},
        posted_event::NewEvent,
    },
    service::posted_body,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value};

use super::find_enabled;
use crate::{
    App, callback,
    events::{data, event_type},
};

/// The type of the event, unless the caller chooses another.
const TEST: &str = "webhook.test";

/// The event that a caller wants to send.
struct TestEventBody {
    event_type: EventType,
    /// The text of a JSON object.
    data: String,
}

/// Sends an event to one webhook, whether it subscribes to its type or not.
pub(crate) async fn trigger(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<OptionalJson, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let OptionalJson(body) = body?;
    let TestEventBody { event_type, data } = read(body)?;
    let webhook = find_enabled(&app, &caller, &id).await?;
    let now = app.core.now();
    let op = app.core.new_op();
    let new = NewEvent {
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
    };
    let event = Event::triggered(new, webhook.id.clone());
    let delivery = delivery(&event, webhook);
    // Both identifiers are new, so nothing else can be stored there.
    let _ = app.core.store.create(&event).await?;
    let _ = app.core.store.create(&delivery).await?;
    app.core.hints.send_for_delivery(&delivery, 0, now).await;
    tracing::info!(delivery.id = %delivery.id, account.id = %delivery.owner.account, "triggered a webhook");
    Ok((StatusCode::ACCEPTED, axum::Json(DeliveryView::new(&delivery))).into_response())
}

fn delivery(event: &Event, webhook: Webhook) -> Delivery {
    let receiver = webhook.settings.receiver.without_secrets();
    let body = posted_body(&receiver.spec(), webhook.settings.max_payload_bytes, event);
    let origin = Origin {
        event: event.id,
        event_type: event.event_type.clone(),
        happened_at: event.created_at,
        trace: event.trace,
        made_by: event.created_by,
        owner: event.owner,
        channel: None,
    };
    let target = Target::Https(receiver);
    let delivery = Delivery::begin(origin, &webhook.id.target(), target, body, event.created_at);
    Delivery { webhook: Some(webhook.id), ..delivery }
}

fn read(body: Value) -> Result<TestEventBody, Problem> {
    body::read(body, |body| {
        let event_type = if body.has("type") { event_type(body) } else { EventType::parse(TEST) };
        let data = body.item("data");
        let text = data.as_ref().map_or_else(|| Value::Object(Map::new()), |it| it.value.clone());
        if let Some(data) = data {
            data::check(event_type.as_ref(), data.into_object());
        }
        Some(TestEventBody { event_type: event_type?, data: text.to_string() })
    })
}
