//! How a request stands, and which there are.

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
    list::{Parameters, Shown, Wanted, page},
};

/// The first pause between two looks at a request that somebody waits for.
const LOOK_FIRST: Duration = Duration::from_millis(250);
/// The longest.
const LOOK_LAST: Duration = Duration::from_secs(1);

/// Shows a request; held, if the caller likes, until it is no longer pending.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let wait = parameters.wait();
    parameters.finish()?;
    let request = wait_for_end(&app, &caller, &id, wait).await?;
    let delivery = callback_delivery(&app.core.store, &request).await?;
    let view = view(&request, delivery.as_ref(), &caller, app.core.now());
    Ok(axum::Json(view).into_response())
}

/// The request as soon as it has ended, or as it is when the time is up.
pub(crate) async fn wait_for_end(
    app: &App,
    caller: &Caller,
    id: &str,
    wait: Duration,
) -> Result<Request, Problem> {
    let give_up_at = app.core.now() + wait;
    let mut pause = LOOK_FIRST;
    loop {
        let request = find(&app.core.store, caller, id).await?;
        let request = app.core.settled(request).await?;
        // It may have been erased while it was being settled.
        let request = request.filter(|it| is_visible(it, caller));
        let request = request.ok_or_else(Problem::not_found)?;
        let left = give_up_at.duration_since(app.core.now());
        let left = Duration::try_from(left).unwrap_or_default();
        if *request.state() != RequestState::Pending || left.is_zero() {
            return Ok(request);
        }
        // Woken in time to see a deadline settled.
        let until_settled = (request.deadline + CLOCK_GUARD).duration_since(app.core.now());
        let until_settled = Duration::try_from(until_settled).unwrap_or_default();
        app.core.clock.sleep(pause.min(left).min(until_settled.max(LOOK_FIRST))).await;
        pause = (pause * 2).min(LOOK_LAST);
    }
}

/// Lists requests.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let Wanted { limit, cursor } = parameters.page();
    let statuses = ["pending", "finished", "cancelled"];
    let status = parameters.parsed("status", "pending, finished or cancelled", |it| {
        statuses.into_iter().find(|status| *status == it)
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
    let mut shown = Shown::default();
    for request in listing.items {
        let is_wanted = is_visible(&request, &caller)
            && status.is_none_or(|it| it == views::request_status(&request))
            && (reference.is_none() || reference == request.question.external_reference_id);
        if !is_wanted {
            continue;
        }
        let delivery = callback_delivery(&app.core.store, &request).await?;
        let view = view(&request, delivery.as_ref(), &caller, app.core.now());
        if shown.push(&view)? {
            next = Some(Cursor::after(request.id, request.created_at));
            break;
        }
    }
    Ok(axum::Json(page(shown.data, next.as_ref())).into_response())
}
