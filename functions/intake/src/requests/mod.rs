//! Requests: create, cancel, remind, respond for a recipient, use an approval, erase.

pub(crate) mod body;
mod cancel;
mod consume;
mod create;
mod erase;
mod notify;
mod remind;
pub(crate) mod requester;
mod respond;

pub(crate) use cancel::{cancel, cancel_reason, cancel_request};
pub(crate) use consume::consume;
pub(crate) use create::{CreateCall, CreatedRequest, create, create_from};
pub(crate) use erase::erase;
pub(crate) use remind::remind;
pub(crate) use respond::respond;

use answerback::{
    api::Problem,
    domain::Request,
    service::{
        Caller,
        requests::{self, callback_delivery, find, is_visible},
    },
};
use axum::response::{IntoResponse as _, Response};

use crate::App;

/// The caller's request, with a deadline that has passed already settled.
pub(crate) async fn find_settled(app: &App, caller: &Caller, id: &str) -> Result<Request, Problem> {
    let request = find(&app.core.store, caller, id).await?;
    let request = app.core.settled(request).await?;
    // It may have been erased while it was being settled.
    request.filter(|it| is_visible(it, caller)).ok_or_else(Problem::not_found)
}

/// The response to a step that succeeded: the request after it.
async fn show(app: &App, caller: &Caller, request: &Request) -> Response {
    // The step is done, so an unreadable callback status is not worth an error.
    let delivery = callback_delivery(&app.core.store, request).await.unwrap_or_else(|err| {
        tracing::warn!(
            request.id = %request.id,
            error = &err as &(dyn std::error::Error + 'static),
            "could not load the callback's delivery"
        );
        None
    });
    let view = requests::view(request, delivery.as_ref(), caller, app.core.now());
    axum::Json(view).into_response()
}
