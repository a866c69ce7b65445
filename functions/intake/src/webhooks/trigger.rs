//! `POST /v1/webhooks/{id}/trigger` sends a test event to one webhook.

use answerback::{
    api::{
        Problem, body,
        http::{CalledHost, OptionalJson, trace},
        views::DeliveryView,
    },
    domain::{
        Delivery, Event, EventType, Scope, Webhook, delivery::Target, posted_event::NewEvent,
    },
    service::posted_body,
    store::keys,
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
    deliveries::create_delivery,
    events::{data, event_type},
    idempotency,
};

/// The member of a body that marks a test.
const TEST_MEMBER: &str = "test";
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
    let path = format!("/v1/webhooks/{id}/trigger");
    let call = idempotency::of_call(&app, caller.owner(), &headers, &path, &body).await?;
    let now = app.core.now();
    let event_id = idempotency::event_id(&app, call, now);
    if let Some(found) = idempotency::find(&app, call, keys::event(event_id)).await? {
        return replay(&app, &found).await;
    }
    let TestEventBody { event_type, data } = read(body)?;
    let webhook = find_enabled(&app, &caller, &id).await?;
    let new = NewEvent {
        id: event_id,
        owner: caller.owner(),
        created_by: app.core.new_op(),
        body_hash: call.map(|it| it.body_hash),
        created_at: now,
        trace: trace(&headers),
        event_type,
        data,
        external_reference_id: None,
        base_url: callback::base_url(&app, &headers, &host),
        callback: None,
    };
    let event = Event::triggered(new, webhook.reference());
    if let Some(found) = idempotency::create(&app, call, &event).await? {
        return replay(&app, &found).await;
    }
    let delivery = deliver(&app, &event, webhook).await?;
    tracing::info!(delivery.id = %delivery.id, account.id = %delivery.owner.account, "triggered a webhook");
    Ok(accepted(&delivery))
}

/// The response to a repeated call. Creates the delivery if the first call died before it did.
async fn replay(app: &App, event: &Event) -> Result<Response, Problem> {
    let reference = event.webhook.as_ref().ok_or_else(idempotency::gone)?;
    let key = keys::webhook(event.owner, &reference.id);
    let webhook: Option<Webhook> = app.core.store.get(key).await?;
    let webhook = webhook.filter(|it| !it.is_deleted() && it.reference() == *reference);
    let delivery = deliver(app, event, webhook.ok_or_else(idempotency::gone)?).await?;
    let mut response = accepted(&delivery);
    idempotency::mark_replayed(&mut response);
    Ok(response)
}

/// Creates the delivery of `event`, or finds it, and sends the hint to attempt it.
async fn deliver(app: &App, event: &Event, webhook: Webhook) -> Result<Delivery, Problem> {
    let delivery = delivery(event, &webhook);
    create_delivery(app, delivery).await
}

fn accepted(delivery: &Delivery) -> Response {
    (StatusCode::ACCEPTED, axum::Json(DeliveryView::new(delivery))).into_response()
}

fn delivery(event: &Event, webhook: &Webhook) -> Delivery {
    let receiver = webhook.settings.receiver.without_credentials();
    let body = posted_body(&receiver.spec(), webhook.settings.max_payload_bytes, event);
    let origin = event.origin();
    let (reference, target) = (webhook.reference(), Target::Https(receiver));
    let delivery = Delivery::begin(origin, &reference.target(), target, body, event.created_at);
    // It shows whether the receiver works again, so it does not wait for an open breaker.
    Delivery { webhook: Some(reference), expedited_by: Some(event.created_by), ..delivery }
}

fn read(body: Value) -> Result<TestEventBody, Problem> {
    body::read(body, |body| {
        let has_type = body.has("type");
        // Null is absent, and taken too.
        let event_type = event_type(body);
        let event_type = if has_type { event_type } else { EventType::parse(TEST) };
        let data = body.item("data");
        let text = data.as_ref().map_or_else(|| Value::Object(Map::new()), |it| it.value.clone());
        if let Some(data) = data {
            let data = data.into_object();
            // Receivers that get the data as the whole body find the mark of a test there.
            if data.has(TEST_MEMBER) {
                data.error(TEST_MEMBER, "must be left out: it marks test events");
            }
            data::check(event_type.as_ref(), data);
        }
        Some(TestEventBody { event_type: event_type?, data: text.to_string() })
    })
}
