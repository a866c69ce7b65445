//! `/nextmv/v1/webhooks` takes webhooks in the format of Nextmv. Deletion, test events and secrets work
//! as under `/v1`, so their routes share its handlers.

use answerback::{
    api::{
        Problem,
        http::{CalledHost, Json},
    },
    fronts::nextmv::{NextmvProblem, NextmvWebhookView, new_webhook, webhook_patch},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use crate::{
    App,
    webhooks::{WebhookCall, create_from, patch_from, put_from},
};

/// Path of the webhooks.
const PATH: &str = "/nextmv/v1/webhooks";

/// Creates a webhook.
pub(crate) async fn create(
    State(app): State<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, NextmvProblem> {
    let body = body.map(|Json(it)| Json(new_webhook(it)));
    let call = WebhookCall { path: PATH, host: &host, headers: &headers, body };
    let created = create_from(&app, call).await?;
    Ok(created.to_response(PATH, NextmvWebhookView::new))
}

/// Replaces the settings of a webhook, or creates it.
pub(crate) async fn put(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, NextmvProblem> {
    let body = body.map(|Json(it)| Json(new_webhook(it)));
    let call = WebhookCall { path: PATH, host: &host, headers: &headers, body };
    let replaced = put_from(&app, &id, call).await?;
    Ok(replaced.to_response(PATH, NextmvWebhookView::new))
}

/// Changes settings of a webhook.
pub(crate) async fn patch(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, NextmvProblem> {
    let body = body.map(|Json(it)| Json(webhook_patch(it)));
    let call = WebhookCall { path: PATH, host: &host, headers: &headers, body };
    Ok(patch_from(&app, &id, call).await?.to_response(NextmvWebhookView::new))
}
