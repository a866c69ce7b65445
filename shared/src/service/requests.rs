//! Requests as API callers see them: finding, showing, refusing.

use crate::{
    api::{
        Code, Problem,
        views::{self, RequestView, Viewer},
    },
    domain::{
        Delivery, OpId, Request, RequestId, Scope,
        delivery::CALLBACK,
        request::{Refusal, RequestState},
    },
    service::Caller,
    store::{Error, Store, keys},
};
use jiff::Timestamp;

/// The request `id`, if it belongs to the caller and was not erased.
///
/// The caller gets the same answer for a malformed identifier, an unknown one, and another
/// account's.
pub async fn find(store: &Store, caller: &Caller, id: &str) -> Result<Request, Problem> {
    let id: RequestId = id.parse().map_err(|_| Problem::not_found())?;
    let request: Option<Request> = store.get(keys::request(id)).await?;
    request.filter(|it| is_visible(it, caller)).ok_or_else(Problem::not_found)
}

/// `caller` may see `request`.
pub fn is_visible(request: &Request, caller: &Caller) -> bool {
    request.owner == caller.owner() && !matches!(request.state, RequestState::Erased { .. })
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

/// Logs what `op` did to `request`, and the outcome if it ended the request.
pub fn log_step(request: &Request, op: OpId, did: &str) {
    let has_ended = request.was_ended_by(op);
    tracing::info!(
        request.id = %request.id,
        account.id = %request.owner.account,
        Outcome = has_ended.then(|| views::request_outcome(request)).flatten(),
        RequestsFinished = has_ended.then_some(1),
        "{did}"
    );
}

/// The view of `request` for `caller`.
pub fn view<'a>(
    request: &'a Request,
    delivery: Option<&'a Delivery>,
    caller: &Caller,
    now: Timestamp,
) -> RequestView<'a> {
    let sees_links = caller.may(Scope::RequestsWrite);
    RequestView::new(request, Viewer { now, sees_links, delivery })
}

/// The problem for a refused step of a sender or recipient.
pub fn refused(request: &Request, row: Option<usize>, refusal: &Refusal) -> Problem {
    let code = match refusal {
        Refusal::AlreadyAnswered(_) => Code::AlreadyAnswered,
        Refusal::AlreadyFinished => Code::AlreadyFinished,
        Refusal::Ended => Code::RequestEnded,
        Refusal::TooBusy => Code::TooBusy,
        Refusal::Erased => return Problem::not_found(),
    };
    let problem = Problem::new(code, refusal.to_string());
    if code == Code::TooBusy {
        return problem;
    }
    let problem = problem
        .with("request_status", views::request_status(request))
        .with("outcome", views::request_outcome(request));
    match (refusal, row) {
        (Refusal::AlreadyAnswered(_), Some(row)) => {
            problem.with("response", views::ResponseView::of_row(request, row))
        }
        _ => problem,
    }
}
