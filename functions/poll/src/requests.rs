//! One request and the list of requests.

use answerback::{
    api::{Problem, views},
    domain::{Request, Scope, question::REFERENCE_CHARS_MAX},
    service::{
        Caller, Hold,
        requests::{callback_delivery, is_visible, view, wait_for_end},
    },
    store::{Cursor, Listed, Listing, keys},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    list::{PageBuilder, PageQuery, Parameters, Room, page},
    notifications,
};

/// Most requests that a page looks at to find those that match.
const LOOKED_AT_MAX: usize = 1_000;
/// Requests that are read at a time after the first ones of a page did not fill it.
const LOOKED_AT_ONCE: i32 = 100;

const STATUSES: [&str; 3] = ["pending", "finished", "cancelled"];

/// The filters of a list of requests.
struct Filters {
    status: Option<&'static str>,
    reference: Option<String>,
}

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
    let request = wait_for_end(&app.core, &caller, &id, &mut hold).await?;
    let delivery = callback_delivery(&app.core.store, &request).await?;
    let statuses = notifications::statuses(&app, &request).await?;
    let view = view(&request, delivery.as_ref(), &caller, app.core.now());
    let view = view.with_notifications(&statuses);
    Ok(hold.finish(axum::Json(view).into_response()))
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

    let filters = Filters { status, reference };
    filters.page(&app, &caller, PageQuery { limit, cursor }).await
}

impl Filters {
    /// The page of the requests that match and that the caller may see. It is filled up to its limit,
    /// unless [`LOOKED_AT_MAX`] requests were looked at.
    async fn page(
        &self,
        app: &App,
        caller: &Caller,
        PageQuery { limit, mut cursor }: PageQuery,
    ) -> Result<Response, Problem> {
        let (owner, store) = (caller.owner(), &app.core.store);
        let n_wanted = usize::try_from(limit).unwrap_or_default();
        let mut builder = PageBuilder::default();
        let (mut n_read, mut n_looked_at) = (limit, 0);
        loop {
            let Listing { items, next } =
                store.list::<Request>(owner, Listed::Requests, n_read, cursor.as_ref()).await?;
            n_looked_at += items.len();
            for request in items.iter().filter(|it| self.has(it, caller)) {
                if builder.data.len() == n_wanted {
                    return Ok(axum::Json(page(builder.data, cursor.as_ref())).into_response());
                }
                cursor = Some(Cursor::after(keys::request(request.id), request.created_at));
                let delivery = callback_delivery(store, request).await?;
                let view = view(request, delivery.as_ref(), caller, app.core.now());
                if builder.push(&view)? == Room::None {
                    return Ok(axum::Json(page(builder.data, cursor.as_ref())).into_response());
                }
            }
            let is_full = builder.data.len() == n_wanted || n_looked_at >= LOOKED_AT_MAX;
            if next.is_none() || is_full {
                return Ok(axum::Json(page(builder.data, next.as_ref())).into_response());
            }
            (cursor, n_read) = (next, LOOKED_AT_ONCE);
        }
    }

    fn has(&self, request: &Request, caller: &Caller) -> bool {
        is_visible(request, caller)
            && self.status.is_none_or(|it| it == views::request_status(request))
            && (self.reference.is_none()
                || self.reference == request.question.external_reference_id)
    }
}
