//! `POST /v1/events`: events that an account's own systems post.

pub(crate) mod data;

use answerback::{
    api::{
        Problem,
        body::{self, Object},
        http::{CalledHost, JsonText, trace},
        views::{AcceptedEventView, ProbeView},
    },
    domain::{
        Event, EventId, EventType, IdempotentCall, Owner, Scope, Source, delivery::Receiver,
        event::TYPE_CHARS_MAX, posted_event::NewEvent, question::REFERENCE_CHARS_MAX,
        secret::Holder,
    },
    platform::{Group, Hint},
    store::keys,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

use crate::{
    App,
    callback::{self, CallbackBody, PendingProbe, Submission},
    idempotency,
};

const PATH: &str = "/v1/events";
/// Prefixes of the event types that only Answerback itself sends.
const RESERVED: [&str; 4] = ["request.", "webhook.", "notifier.", "notification.failed"];

/// An event as its poster describes it, but for the text of its data.
struct NewEventBody {
    event_type: EventType,
    external_reference_id: Option<String>,
    callback: Option<CallbackBody>,
}

/// Accepts an event.
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
    let call = idempotency::of_call(&app, caller.owner(), &headers, PATH, &body.value).await?;
    let id = match call {
        Some(it) => EventId::from_bits(it.id_bits),
        None => EventId::mint(now, app.core.entropy.next()),
    };
    if let Some(found) = idempotency::find(&app, call, keys::event(id)).await? {
        return Ok(replayed(&app, &found).await);
    }

    // The text, so that receivers get the bytes that were posted.
    let data = body.member("data").unwrap_or_default();
    let NewEventBody { event_type, external_reference_id, callback } = read(body.value)?;
    let owner = caller.owner();
    let CheckedCallback { receiver, pending } =
        check_callback(&app, callback, owner, id, &host).await?;
    let is_wanted = receiver.is_some() || is_subscribed(&app, owner, &event_type).await;
    let new = NewEvent {
        id,
        owner,
        created_by: op,
        body_hash: call.map(|it| it.body_hash),
        created_at: app.core.now(),
        trace: trace(&headers),
        event_type,
        data,
        external_reference_id,
        base_url: callback::base_url(&app, &headers, &host),
        callback: receiver,
    };
    let event = if is_wanted { Event::new(new) } else { Event::unwanted(new) };
    let (probe, stored) = futures::join!(pending.finish(&app), store(&app, call, &event));
    match stored? {
        Some(found) => Ok(replayed(&app, &found).await),
        None => Ok(accepted(&event, probe)),
    }
}

/// A webhook subscribes to events of this type. The list is read now: an event that comes right after
/// the creation of its webhook is not missed.
async fn is_subscribed(app: &App, owner: Owner, event_type: &EventType) -> bool {
    match app.core.destinations.all(owner).await {
        Ok(all) => all.webhooks.iter().any(|it| it.gets(event_type.as_str(), Source::Events)),
        Err(err) => {
            let error = &err as &(dyn std::error::Error + 'static);
            tracing::warn!(error, "could not load webhooks; assuming the event has a subscriber");
            true
        }
    }
}

/// The callback of an event, ready to be stored.
struct CheckedCallback {
    receiver: Option<Receiver>,
    pending: PendingProbe,
}

/// Checks the URL of a callback, and seals its credentials for the event `id`.
async fn check_callback(
    app: &App,
    callback: Option<CallbackBody>,
    owner: Owner,
    id: EventId,
    host: &CalledHost,
) -> Result<CheckedCallback, Problem> {
    let Some(CallbackBody { receiver, credentials, probe, .. }) = callback else {
        return Ok(CheckedCallback { receiver: None, pending: PendingProbe::Done(None) });
    };
    let (name, account) = (callback::URL, owner.account);
    let submission = Submission { receiver: &receiver, name, probe, account, host };
    let pending = callback::check(app, submission).await?;
    let credentials = credentials.seal(app, &Holder::Event(owner, id)).await?;
    let receiver = Some(Receiver { credentials, ..receiver });
    Ok(CheckedCallback { receiver, pending })
}

/// Stores the event and sends its hint, or returns the event of a concurrent call that was faster.
async fn store(
    app: &App,
    call: Option<IdempotentCall>,
    event: &Event,
) -> Result<Option<Event>, Problem> {
    let found = idempotency::create(app, call, event).await?;
    if found.is_none() {
        tracing::info!(event.id = %event.id, account.id = %event.owner.account, event.r#type = %event.event_type, "accepted an event");
        send_hint(app, event).await;
    }
    Ok(found)
}

/// The response to a repeated call. The first one may have died before it sent its hint.
async fn replayed(app: &App, event: &Event) -> Response {
    send_hint(app, event).await;
    let mut response = accepted(event, None);
    idempotency::mark_replayed(&mut response);
    response
}

/// Sends the hint to dispatch an event.
async fn send_hint(app: &App, event: &Event) {
    if event.due_at().is_some() {
        let group = Group::Account(event.owner.account);
        let hint = Hint::event(event.id);
        app.core.hints.send(group, &hint, std::time::Duration::ZERO).await;
    }
}

fn accepted(event: &Event, probe: Option<ProbeView>) -> Response {
    let view = AcceptedEventView::new(event, probe);
    (StatusCode::ACCEPTED, axum::Json(view)).into_response()
}

fn read(body: Value) -> Result<NewEventBody, Problem> {
    body::read(body, |body| {
        body.require("type");
        let event_type = event_type(body);
        if event_type.as_ref().is_some_and(is_reserved) {
            body.error("type", "is reserved for events of Answerback");
        }
        let external_reference_id =
            body.optional_text("external_reference_id", REFERENCE_CHARS_MAX);
        body.require("data");
        if let Some(data) = body.item("data") {
            data::check(event_type.as_ref(), data.into_object());
        }
        let callback = callback::read(body, Source::Events);
        Some(NewEventBody { event_type: event_type?, external_reference_id, callback })
    })
}

fn is_reserved(event_type: &EventType) -> bool {
    RESERVED.iter().any(|it| event_type.as_str().starts_with(it))
}

/// Reads the type of an event.
pub(crate) fn event_type(body: &mut Object<'_>) -> Option<EventType> {
    let text = body.text("type", 1..=TYPE_CHARS_MAX)?;
    let event_type = EventType::parse(&text);
    if event_type.is_none() {
        body.error("type", "must be two to four words of a-z, 0-9 and _, separated by periods");
    }
    event_type
}
