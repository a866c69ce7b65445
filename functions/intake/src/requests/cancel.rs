//! `POST /v1/requests/{id}/cancel`.

use answerback::{
    api::{
        Problem,
        body::{self, Object},
        http::OptionalJson,
    },
    domain::{Request, Scope, request::CANCEL_REASON_CHARS_MAX, text::is_blank},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use super::{find_settled, show};
use crate::{
    App,
    step::{log_step, refused},
};

/// Cancels a request.
pub(crate) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<OptionalJson, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsAsk).await?;
    let OptionalJson(body) = body?;
    let reason = body::read(body, |body| Some(cancel_reason(body)))?;
    let request = find_settled(&app, &caller, &id).await?;
    let request = cancel_request(&app, request, reason.as_deref()).await?;
    Ok(show(&app, &caller, &request).await)
}

/// Reads the reason for a cancellation.
pub(crate) fn cancel_reason(body: &mut Object<'_>) -> Option<String> {
    let reason = body.optional_text("reason", CANCEL_REASON_CHARS_MAX)?;
    if is_blank(&reason) {
        body.error("reason", "must not be blank");
    }
    Some(reason)
}

/// Cancels a request that was pending a moment ago.
pub(crate) async fn cancel_request(
    app: &App,
    request: Request,
    reason: Option<&str>,
) -> Result<Request, Problem> {
    // Before anything else takes time: a request that reaches its deadline now is canceled.
    let now = app.core.now();
    let subscriptions = app.core.destinations.subscriptions(request.owner).await;
    let op = app.core.new_op();
    let request = app
        .core
        .advance(request, |it| {
            it.cancel(reason, subscriptions, now, op).map_err(|refusal| refused(it, None, &refusal))
        })
        .await?;
    app.core.hints.send_for_request(&request).await;
    log_step(&request, op, "cancelled a request");
    Ok(request)
}
