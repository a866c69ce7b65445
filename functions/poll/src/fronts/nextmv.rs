//! `/nextmv/v1/webhooks` shows webhooks in the format of Nextmv. Secrets and attempts look as they do
//! under `/v1`, so their routes share its handlers.

use answerback::{
    api::{Problem, views::Page},
    fronts::nextmv::NextmvWebhookView,
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{App, list::Parameters, webhooks};

/// Lists all webhooks on one page, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let webhooks = webhooks::load_all(&app, &headers, parameters).await?;
    let data = webhooks.iter().map(NextmvWebhookView::new).collect();
    Ok(axum::Json(Page { data, next_cursor: None }).into_response())
}

/// Shows a webhook.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let webhook = webhooks::load(&app, &headers, &id).await?;
    Ok(axum::Json(NextmvWebhookView::new(&webhook)).into_response())
}
