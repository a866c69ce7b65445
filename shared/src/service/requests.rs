//! Requests as API callers see them: finding and showing.

use crate::{
    api::{
        Problem,
        views::{RequestView, Viewer},
    },
    domain::{Delivery, Request, RequestId, Scope, delivery::CALLBACK, request::RequestState},
    service::Caller,
    store::{Error, Store, keys},
};
use jiff::Timestamp;

/// The request `id`, if the caller may see it and it was not erased.
///
/// The caller gets the same answer for a malformed identifier, an unknown one, another account's, and
/// for a key that sees only its own family's requests, another key's.
pub async fn find(store: &Store, caller: &Caller, id: &str) -> Result<Request, Problem> {
    let id: RequestId = id.parse().map_err(|_| Problem::not_found())?;
    let request: Option<Request> = store.get(keys::request(id)).await?;
    request.filter(|it| is_visible(it, caller)).ok_or_else(Problem::not_found)
}

/// `caller` may see `request`.
pub fn is_visible(request: &Request, caller: &Caller) -> bool {
    caller.sees(request) && !matches!(request.state, RequestState::Erased { .. })
}

/// The latest delivery to the callback of `request`, if one was dispatched.
pub async fn callback_delivery(
    store: &Store,
    request: &Request,
) -> Result<Option<Delivery>, Error> {
    let Some(number) = request.callback_event else { return Ok(None) };
    let id = Delivery::id_of(request.id.event(number), request.created_by, CALLBACK);
    store.get(keys::delivery(id)).await
}

/// The view of `request` for `caller`.
pub fn view<'a>(
    request: &'a Request,
    delivery: Option<&'a Delivery>,
    caller: &Caller,
    now: Timestamp,
) -> RequestView<'a> {
    let sees_links = caller.may(Scope::LinksRead);
    RequestView::new(request, Viewer { now, sees_links, delivery })
}
