//! Which events were posted, and what an event tells in full.

use answerback::{
    api::{Problem, views::EventView},
    domain::{
        Delivery, Event, EventId, OutboxEvent, Request, RequestEvent, RequestId, Scope,
        delivery::{BUS, CALLBACK},
        request::RequestState,
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
    list::{Parameters, Shown, Wanted, page},
};

/// Lists the events that were posted.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let Wanted { limit, cursor } = parameters.page();
    parameters.finish()?;
    let owner = caller.owner();
    let listing: Listing<Event> =
        app.core.store.list(owner, Listed::Events, limit, cursor.as_ref()).await?;
    let mut next = listing.next;
    let mut shown = Shown::default();
    for event in &listing.items {
        if shown.push(&EventView::new(event))? {
            next = Some(Cursor::after(event.id, event.created_at));
            break;
        }
    }
    Ok(axum::Json(page(shown.data, next.as_ref())).into_response())
}

/// Shows an event in full.
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
    let is_own = |it: &Event| it.owner == caller.owner();
    let event = event.filter(is_own).ok_or_else(Problem::not_found)?;
    Ok(axum::Json(EventView::new(&event)).into_response())
}

/// Shows an event of a request's, which is kept nowhere but in what was made of it: its delivery
/// says what kind it is of, and the request what it tells, which does not change any more.
async fn show_of_request(
    app: &App,
    caller: &Caller,
    id: EventId,
    request: RequestId,
) -> Result<Response, Problem> {
    let request: Option<Request> = app.core.store.get(keys::request(request)).await?;
    let request = request.filter(|it| is_visible(it, caller)).ok_or_else(Problem::not_found)?;
    let event = event_of(app, &request, id).await?.ok_or_else(Problem::not_found)?;
    Ok(axum::Json(EventView::of_request(&request, &event)).into_response())
}

async fn event_of(
    app: &App,
    request: &Request,
    id: EventId,
) -> Result<Option<OutboxEvent>, store::Error> {
    let webhooks = app.core.webhooks.all(request.owner).await?;
    let mut targets = vec![CALLBACK.to_owned(), BUS.to_owned()];
    targets.extend(webhooks.iter().map(|it| it.id.target()));
    let mut kind = None;
    for target in targets {
        let delivery = keys::delivery(Delivery::id_of(id, request.created_by, &target));
        let delivery: Option<Delivery> = app.core.store.get(delivery).await?;
        kind = delivery.and_then(|it| RequestEvent::parse(it.event_type.as_str()));
        if kind.is_some() {
            break;
        }
    }
    let at = match (kind, request.state()) {
        (Some(RequestEvent::RequestCreated), _) => request.created_at,
        (
            Some(RequestEvent::RequestFinished | RequestEvent::RequestCancelled),
            RequestState::Ended(end),
        ) if !end.consumption.is_over() => end.at,
        // What tells who answered fits every callback, so nobody is sent here for it.
        _ => return Ok(None),
    };
    Ok(kind.map(|kind| OutboxEvent { number: id.number(), kind, at, answered: None }))
}
