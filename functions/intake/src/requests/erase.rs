//! `DELETE /v1/requests/{id}`.

use answerback::{
    api::{Problem, http::NoBody},
    domain::Scope,
    service::requests::find,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};

use crate::App;

/// Erases a request's content and answers; a worker erases its deliveries.
pub(crate) async fn erase(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsWrite).await?;
    let NoBody = body?;
    let request = find(&app.core.store, &caller, &id).await?;
    let now = app.core.now();
    let request = app.core.advance(request, |it| Ok::<_, Problem>(it.erase(now))).await?;
    app.core.hints.send_for_request(&request).await;
    tracing::info!(request.id = %request.id, account.id = %request.owner.account, "erased a request");
    Ok(StatusCode::NO_CONTENT)
}
