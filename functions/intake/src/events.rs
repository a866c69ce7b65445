//! `POST /v1/events` takes in what an account's own systems have to tell.

pub(crate) mod data;

use answerback::{
    api::{
        Fields, Problem,
        body::FieldErrors,
        http::{CalledHost, JsonText, trace},
        views::EventView,
    },
    domain::{
        Event, EventId, EventType, Scope, event::TYPE_CHARS_MAX, posted::NewEvent,
        question::REFERENCE_CHARS_MAX,
    },
    platform::{Group, Hint},
    store::keys,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{App, callback, idempotency, question::optional_text};

/// Where events are posted.
const PATH: &str = "/v1/events";
/// What only Answerback itself tells of.
pub(crate) const RESERVED: [&str; 2] = ["request.", "webhook."];

/// Everything that an event is made of and that the caller decides.
struct Draft {
    event_type: EventType,
    external_reference_id: Option<String>,
    callback: Option<callback::Wanted>,
}

/// Takes in an event; or, under an idempotency key that was used before, finds it again.
pub(crate) async fn post(
    State(app): State<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::EventsWrite).await?;
    let body = body?;
    let op = app.core.new_op();
    let now = app.core.now();
    let keyed = idempotency::keyed(&app, caller.owner(), &headers, PATH, &body.value).await?;
    let id = match keyed {
        Some(keyed) => EventId::from_bits(keyed.bits),
        None => EventId::mint(now, app.core.entropy.next()),
    };
    if let Some(found) = idempotency::find(&app, keyed, keys::event(id)).await? {
        return Ok(accepted(&app, &found, true).await);
    }

    // As it was written: what is passed on is not to change by being read.
    let data = body.member("data").unwrap_or_default();
    let draft = read(body.value)?;
    if let Some(callback::Wanted { receiver, probe, .. }) = &draft.callback {
        callback::check(&app, receiver, callback::URL, *probe, &host).await?;
    }
    let now = app.core.now();
    let event = Event::new(NewEvent {
        id,
        owner: caller.owner(),
        created_by: op,
        body_hash: keyed.map(|it| it.body_hash),
        created_at: now,
        trace: trace(&headers),
        event_type: draft.event_type,
        data,
        external_reference_id: draft.external_reference_id,
        base_url: callback::base_url(&app, &headers, &host),
        callback: draft.callback.map(|it| it.receiver),
    });
    if let Some(found) = idempotency::create(&app, keyed, &event).await? {
        return Ok(accepted(&app, &found, true).await);
    }
    tracing::info!(event.id = %event.id, account.id = %event.owner.account, event.r#type = %event.event_type, "took in an event");
    Ok(accepted(&app, &event, false).await)
}

async fn accepted(app: &App, event: &Event, is_replayed: bool) -> Response {
    // A first call may have died before it sent its hint.
    if !event.is_dispatched() {
        app.core
            .hints
            .send(
                Group::Account(event.owner.account),
                &Hint::event(event.id),
                std::time::Duration::ZERO,
            )
            .await;
    }
    let view = axum::Json(EventView::new(event));
    let mut response = (StatusCode::ACCEPTED, view).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    }
    response
}

/// What the body asks for, or everything that is wrong with it.
fn read(body: Value) -> Result<Draft, Problem> {
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let event_type = event_type(&mut fields, &mut faults);
    let name = "external_reference_id";
    let external_reference_id = optional_text(&mut fields, name, REFERENCE_CHARS_MAX, &mut faults);
    if !fields.has("data") {
        fields.fault("data", "is required", &mut faults);
    }
    let data = fields.object("data", &mut faults);
    if let (Some(event_type), Some(data)) = (&event_type, data) {
        data::check(event_type, data, &mut faults);
    }
    let callback = callback::read(&mut fields, false, &mut faults);
    fields.finish(&mut faults);
    match event_type {
        Some(event_type) if faults.is_empty() => {
            Ok(Draft { event_type, external_reference_id, callback })
        }
        Some(_) | None => Err(Problem::invalid(faults)),
    }
}

fn event_type(fields: &mut Fields, faults: &mut FieldErrors) -> Option<EventType> {
    let text = fields.required_text("type", 1..=TYPE_CHARS_MAX, faults)?;
    let event_type = EventType::parse(&text);
    if event_type.is_none() {
        let detail = "must be two to four words of a-z, 0-9 and _ with full stops between";
        fields.fault("type", detail, faults);
    }
    if RESERVED.iter().any(|it| text.starts_with(it)) {
        fields.fault("type", "begins like the events that Answerback itself tells", faults);
        return None;
    }
    event_type
}
