//! One request and the list of requests.

use std::time::Duration;

use answerback::{
    api::{Problem, views},
    domain::{
        Request, Scope,
        question::REFERENCE_CHARS_MAX,
        request::{CLOCK_GUARD, RequestState},
    },
    service::{
        Caller,
        requests::{callback_delivery, find, is_visible, view},
    },
    store::{Cursor, Listed},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    hold::Hold,
    list::{PageBuilder, PageQuery, Parameters, Room, page},
};

/// Pause after the first read of a request that a client waits for. Each further pause doubles.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(250);
/// Longest pause between two reads of such a request.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);

const STATUSES: [&str; 3] = ["pending", "finished", "cancelled"];

/// Shows a request. With `wait`, holds the call until the request is no longer pending.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let mut hold = Hold::new(parameters.wait(), app.core.now());
    parameters.finish()?;
    let request = wait_for_end(&app, &caller, &id, &mut hold).await?;
    let delivery = callback_delivery(&app.core.store, &request).await?;
    let view = view(&request, delivery.as_ref(), &caller, app.core.now());
    Ok(hold.finish(axum::Json(view).into_response()))
}

/// The request once it has ended, or as it is when `hold` ends.
pub(crate) async fn wait_for_end(
    app: &App,
    caller: &Caller,
    id: &str,
    hold: &mut Hold,
) -> Result<Request, Problem> {
    let mut pause = POLL_INTERVAL_MIN;
    loop {
        let request = find(&app.core.store, caller, id).await?;
        let request = app.core.settled(request).await?;
        // It may have been erased since it was loaded.
        let request = request.filter(|it| is_visible(it, caller));
        let request = request.ok_or_else(Problem::not_found)?;
        if *request.state() != RequestState::Pending {
            return Ok(request);
        }
        let left = hold.begin(app, caller).await;
        if left.is_zero() {
            return Ok(request);
        }
        // Wakes up as soon as the deadline can be settled.
        let until_settled = (request.deadline + CLOCK_GUARD).duration_since(app.core.now());
        let until_settled = Duration::try_from(until_settled).unwrap_or_default();
        app.core.clock.sleep(pause.min(left).min(until_settled.max(POLL_INTERVAL_MIN))).await;
        pause = (pause * 2).min(POLL_INTERVAL_MAX);
    }
}

/// Lists requests.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let PageQuery { limit, cursor } = parameters.page();
    let status = parameters.parsed("status", &STATUSES.join(" or "), |it| {
        STATUSES.into_iter().find(|status| *status == it)
    });
    let what = format!("text of 1 to {REFERENCE_CHARS_MAX} characters");
    let reference = parameters.parsed("external_reference_id", &what, |it| {
        (1..=REFERENCE_CHARS_MAX).contains(&it.chars().count()).then(|| it.to_owned())
    });
    parameters.finish()?;

    let owner = caller.owner();
    let listing =
        app.core.store.list::<Request>(owner, Listed::Requests, limit, cursor.as_ref()).await?;
    let mut next = listing.next;
    let mut builder = PageBuilder::default();
    for request in listing.items {
        let is_shown = is_visible(&request, &caller)
            && status.is_none_or(|it| it == views::request_status(&request))
            && (reference.is_none() || reference == request.question.external_reference_id);
        if !is_shown {
            continue;
        }
        let delivery = callback_delivery(&app.core.store, &request).await?;
        let view = view(&request, delivery.as_ref(), &caller, app.core.now());
        if builder.push(&view)? == Room::None {
            next = Some(Cursor::after(request.id, request.created_at));
            break;
        }
    }
    Ok(axum::Json(page(builder.data, next.as_ref())).into_response())
}
