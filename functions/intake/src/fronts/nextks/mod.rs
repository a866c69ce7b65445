//! `POST /api/notify`: interactive notifications of `NextKS`.

pub(super) mod body;

use answerback::{
    api::{
        Problem,
        http::{CalledHost, JsonText},
    },
    domain::Scope,
    fronts::nextks::NextKsProblem,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use crate::{
    App, idempotency,
    requests::{CreateCall, CreatedRequest, create_from},
};

const PATH: &str = "/api/notify";

/// Creates a request from a notification.
pub(crate) async fn notify(
    State(app): State<App>,
    host: Result<CalledHost, Problem>,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Result<Response, NextKsProblem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsAsk).await?;
    let (host, body) = (host?, body?);
    let owner = caller.owner();
    let asker = Some(&caller);
    let call =
        CreateCall { owner, asker, path: PATH, host: &host, headers: &headers, channel: None };
    let created = create_from(&app, call, body, body::read).await;
    // The callback URL and the rights of the key are checked after the translation.
    let created = created.map_err(|it| it.map_pointers(sent_pointer))?;
    let CreatedRequest { request, is_replayed, .. } = created;
    let view = json!({ "status": "ok", "request_id": request.id.to_string() });
    let mut response = axum::Json(view).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

/// The pointer in a notification of a member of `POST /v1/requests`.
fn sent_pointer(pointer: &str) -> String {
    match pointer {
        "/callback_url" => "/response_request/callback_url".to_owned(),
        other => match other.strip_prefix("/recipients") {
            Some(rest) => format!("/user_emails{rest}"),
            None => other.to_owned(),
        },
    }
}
