//! `GET /api/notify/status/{request_id}` shows a request in the format of `NextKS`.

use std::time::Duration;

use answerback::{
    domain::Scope,
    fronts::nextks::{NextKsProblem, NextKsView},
    service::{Hold, requests::wait_for_end},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::App;

/// Shows the status of a request.
pub(crate) async fn status(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, NextKsProblem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let mut hold = Hold::new(Duration::ZERO, app.core.now());
    let request = wait_for_end(&app.core, &caller, &id, &mut hold).await?;
    Ok(axum::Json(NextKsView::of_request(&request, app.core.now())).into_response())
}
