//! `POST /v1/requests/{id}/remind`: the sender reminds the recipients who have not answered.

use answerback::{
    api::{Problem, http::NoBody},
    domain::{Request, Scope},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use serde_json::Value;

use super::{find_settled, show};
use crate::{
    App, idempotency,
    step::{log_step, refused},
};

/// Reminds the recipients.
pub(crate) async fn remind(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsAsk).await?;
    let NoBody = body?;
    let request = find_settled(&app, &caller, &id).await?;
    let path = format!("/v1/requests/{}/remind", request.id);
    let call = idempotency::of_call(&app, caller.owner(), &headers, &path, &Value::Null).await?;
    let now = app.core.now();
    let subscriptions = app.core.destinations.subscriptions(request.owner).await;
    let op = app.core.new_op();
    let step = |it: &Request| {
        if idempotency::is_repeated(it.reminder_calls(), call, now)? {
            return Ok(None);
        }
        it.remind(call, subscriptions, now, op).map_err(|refusal| refused(it, None, &refusal))
    };
    if let Some(next) = step(&request)? {
        let n_messages = next.n_messages_to_send() - request.n_messages_to_send();
        app.core.accounts.count_messages(request.owner, n_messages).await?;
    }
    let request = app.core.advance(request, step).await?;
    // The first call may have died before it sent its hint.
    app.core.hints.send_for_request(&request).await;
    let is_new = request.was_reminded_by(op);
    if is_new {
        log_step(&request, op, "reminded the recipients");
    }
    let mut response = show(&app, &caller, &request).await;
    if !is_new && call.is_some_and(|it| request.reminder_calls().find(it).is_some()) {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}
