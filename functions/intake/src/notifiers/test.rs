//! `POST /v1/notifiers/{id}/test` sends a test message by one notifier.

use answerback::{
    api::{
        Code, Problem, body,
        http::{CalledHost, OptionalJson, trace},
        views::DeliveryView,
    },
    domain::{
        Delivery, EmailAddress, Event, EventType, Notifier, NotifierKind, Scope,
        delivery::{Target, TestMessage, Way},
        limits::EMAIL_CHARS_MAX,
        posted_event::NewEvent,
    },
    service::Caller,
    store::keys,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{PATH, find};
use crate::{App, callback, deliveries::create_delivery, idempotency};

/// The type of the event.
const TEST: &str = "notifier.test";
/// The member with the address.
const TO: &str = "to";

/// Sends a test message, also in test mode and by a disabled notifier.
pub(crate) async fn test(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<OptionalJson, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::NotifiersWrite).await?;
    let OptionalJson(body) = body?;
    let path = format!("{PATH}/{id}/test");
    let call = idempotency::of_call(&app, caller.owner(), &headers, &path, &body).await?;
    let now = app.core.now();
    let event_id = idempotency::event_id(&app, call, now);
    let found: Option<Event> = idempotency::find(&app, call, keys::event(event_id)).await?;
    let notifier = match find(&app, &caller, &id).await {
        Err(problem) if found.is_some() && problem.code() == Code::NotFound => {
            return Err(idempotency::gone());
        }
        notifier => notifier?,
    };
    let to = read(body, &caller, notifier.kind())?;
    let (event, is_replayed) = if let Some(found) = found {
        (found, true)
    } else {
        app.core.accounts.count_messages(caller.owner(), 1).await?;
        let event = Event::unwanted(NewEvent {
            id: event_id,
            owner: caller.owner(),
            created_by: app.core.new_op(),
            body_hash: call.map(|it| it.body_hash),
            created_at: now,
            trace: trace(&headers),
            event_type: EventType::parse(TEST).expect("it is a type"),
            data: json!({ "notifier_id": id }).to_string(),
            external_reference_id: None,
            base_url: callback::base_url(&app, &headers, &host),
            callback: None,
        });
        match idempotency::create(&app, call, &event).await? {
            Some(found) => (found, true),
            None => (event, false),
        }
    };
    // The first call may have died before it did.
    let delivery = deliver(&app, &event, &notifier, to).await?;
    let body = axum::Json(DeliveryView::new(&delivery));
    let mut response = (StatusCode::ACCEPTED, body).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    } else {
        caller.audit("tested a notifier", &id);
    }
    Ok(response)
}

/// The address of the message, if the notifier finds people by one.
fn read(body: Value, caller: &Caller, kind: NotifierKind) -> Result<Option<EmailAddress>, Problem> {
    body::read(body, |body| {
        if !kind.needs_email() {
            if let Some(to) = body.item(TO) {
                to.error("must be left out: only e-mail and Slack find people by an address");
            }
            return Some(None);
        }
        let text = body.required_text(TO, 1..=EMAIL_CHARS_MAX)?;
        let Some(to) = EmailAddress::parse(&text) else {
            body.error(TO, "must be an e-mail address");
            return None;
        };
        if !caller.api_key().may_ask(Some(&to)) {
            body.error(TO, "is not a recipient that the key may ask");
        }
        Some(Some(to))
    })
}

/// Creates the delivery of `event`, or finds it, and sends the hint to attempt it.
async fn deliver(
    app: &App,
    event: &Event,
    notifier: &Notifier,
    to: Option<EmailAddress>,
) -> Result<Delivery, Problem> {
    let authority = notifier.settings.authority();
    let way = Way { notifier: notifier.id, kind: notifier.kind(), authority };
    let origin = event.origin();
    let target = Target::Test(TestMessage { way, to });
    let name = notifier.id.to_string();
    let delivery = Delivery::begin(origin, &name, target, Vec::new(), event.created_at);
    create_delivery(app, delivery).await
}
