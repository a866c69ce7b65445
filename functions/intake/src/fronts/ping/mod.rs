//! Ping: `POST /v1/send/{token}` sends a message to a channel. The token is the only credential.

pub(super) mod body;
pub(crate) mod channels;

use answerback::{
    api::{
        Code, Problem,
        http::{CalledHost, JsonText},
    },
    domain::MessageId,
    fronts::ping::{PingProblem, of_token},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use crate::{
    App, idempotency,
    requests::{CreateCall, CreatedRequest, create_from},
};

/// Creates a request from a message.
pub(crate) async fn send(
    State(app): State<App>,
    Path(token): Path<String>,
    host: Result<CalledHost, Problem>,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Result<Response, PingProblem> {
    let channel = of_token(&app.core.store, &token).await?;
    let (host, body) = (host?, body?);
    let call = CreateCall {
        owner: channel.owner,
        asker: None,
        path: &format!("/v1/send/{}", channel.id),
        host: &host,
        headers: &headers,
        channel: Some(channel.id),
    };
    let created = create_from(&app, call, body, body::read).await.map_err(without_details)?;
    let CreatedRequest { request, is_replayed, .. } = created;
    let view = json!({ "ok": true, "id": MessageId::of(request.id).to_string() });
    let mut response = axum::Json(view).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

/// Replaces the reason for which a callback URL is refused. A client with the token of a channel
/// could otherwise explore names and addresses.
fn without_details(problem: Problem) -> Problem {
    if problem.code() != Code::CallbackUrlNotAllowed {
        return problem;
    }
    let detail = "must be an https URL of a public server, in normal form";
    Problem::callback_url_not_allowed("/callback_url", detail)
}
