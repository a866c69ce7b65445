//! Posted events, and events of requests in full.

use std::time::Duration;

use answerback::{
    api::{Problem, views::EventView},
    domain::{
        Event, EventId, OutboxEvent, Request, RequestEvent, RequestId, Scope,
        request::{EventDetail, RequestState},
    },
    service::{Caller, requests::is_visible},
    store::{self, Cursor, Listed, Listing, keys},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    list::{PageBuilder, PageQuery, Parameters, Room, page},
};

/// Deliveries in one page. Almost always, the first one is of the event.
const DELIVERIES_PAGE: i32 = 5;

/// More than the clocks of two functions differ by, and less than an erased request is kept for.
const CLOCKS_DIFFER: Duration = Duration::from_hours(1);

/// Lists posted events.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let PageQuery { limit, cursor } = parameters.page();
    parameters.finish()?;
    let owner = caller.owner();
    let listing: Listing<Event> =
        app.core.store.list(owner, Listed::Events, limit, cursor.as_ref()).await?;
    let mut next = listing.next;
    let mut builder = PageBuilder::default();
    for event in &listing.items {
        if builder.push(&EventView::new(event))? == Room::None {
            next = Some(Cursor::after(keys::event(event.id), event.created_at));
            break;
        }
    }
    Ok(axum::Json(page(builder.data, next.as_ref())).into_response())
}

/// Shows an event.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let id: EventId = id.parse().map_err(|_| Problem::not_found())?;
    if let Some(request) = id.request() {
        return show_of_request(&app, &caller, id, request).await;
    }
    let event: Option<Event> = app.core.store.get(keys::event(id)).await?;
    let is_own = |it: &Event| it.owner == caller.owner() && it.is_announced();
    let event = event.filter(is_own).ok_or_else(Problem::not_found)?;
    Ok(axum::Json(EventView::new(&event)).into_response())
}

/// Shows an event of a request. Such an event is not stored: its type comes from one of its
/// deliveries, and its data from the request, which no longer changes.
async fn show_of_request(
    app: &App,
    caller: &Caller,
    id: EventId,
    request: RequestId,
) -> Result<Response, Problem> {
    let request: Option<Request> = app.core.store.get(keys::request(request)).await?;
    let request = request.filter(|it| is_visible(it, caller)).ok_or_else(Problem::not_found)?;
    let kind = kind_of(app, &request, id).await?;
    let event = kind.and_then(|it| event_of(&request, id, it)).ok_or_else(Problem::not_found)?;
    Ok(axum::Json(EventView::of_request(&request, &event)).into_response())
}

/// The type of the event `id` of `request`, from one of its deliveries. Others are of an earlier request
/// under the same idempotency key, which was erased.
async fn kind_of(
    app: &App,
    request: &Request,
    id: EventId,
) -> Result<Option<RequestEvent>, store::Error> {
    let mut cursor = None;
    loop {
        let Listing { items, next } =
            app.core.store.deliveries_of_event(id, DELIVERIES_PAGE, cursor.as_ref()).await?;
        let delivery = items.iter().find(|it| it.created_at + CLOCKS_DIFFER > request.created_at);
        if delivery.is_some() || next.is_none() {
            return Ok(delivery.and_then(|it| RequestEvent::parse(it.event_type.as_str())));
        }
        cursor = next;
    }
}

/// The event `id` of type `kind`. `None` if the request no longer shows its data.
fn event_of(request: &Request, id: EventId, kind: RequestEvent) -> Option<OutboxEvent> {
    let number = id.number();
    let at = match (kind, request.state()) {
        (RequestEvent::RequestCreated, _) => request.created_at,
        (
            RequestEvent::RequestFinished | RequestEvent::RequestCancelled,
            RequestState::Ended(end),
        ) if !end.consumption.is_over() => end.at,
        (RequestEvent::RequestAnswered, _) => return request.answered_event(number),
        _ => return None,
    };
    Some(OutboxEvent { number, kind, at, detail: EventDetail::None })
}
