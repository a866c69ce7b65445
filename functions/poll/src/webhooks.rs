//! Webhooks, their secrets and their attempts.

pub(crate) mod attempts;

use answerback::{
    api::{
        Problem,
        views::{Page, WebhookView},
    },
    domain::{Scope, Webhook, WebhookId, secret::Holder},
    service::Caller,
    store::{self, keys},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    list::Parameters,
    secret::{Extent, SecretReader},
};

/// Lists all webhooks on one page, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let webhooks = load_all(&app, &headers, parameters).await?;
    let data = webhooks.iter().map(WebhookView::new).collect();
    Ok(axum::Json(Page { data, next_cursor: None }).into_response())
}

/// All webhooks of the caller, newest first.
pub(crate) async fn load_all(
    app: &App,
    headers: &HeaderMap,
    parameters: Parameters,
) -> Result<Vec<Webhook>, Problem> {
    let caller = app.core.accounts.caller(headers, Scope::WebhooksRead).await?;
    parameters.finish()?;
    let mut webhooks = app.core.destinations.all(caller.owner()).await?.webhooks;
    webhooks.sort_by(|one, other| (other.created_at, &other.id).cmp(&(one.created_at, &one.id)));
    Ok(webhooks)
}

/// Shows a webhook.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let webhook = load(&app, &headers, &id).await?;
    Ok(axum::Json(WebhookView::new(&webhook)).into_response())
}

/// The caller's webhook `id`.
pub(crate) async fn load(app: &App, headers: &HeaderMap, id: &str) -> Result<Webhook, Problem> {
    let caller = app.core.accounts.caller(headers, Scope::WebhooksRead).await?;
    find(app, &caller, id).await
}

/// Shows the secret of a webhook: a preview, or all of it with `reveal=true`.
pub(crate) async fn show_secret(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reader = SecretReader::identify(&app, &headers, &mut parameters).await?;
    parameters.finish()?;
    let webhook = find(&app, &reader.caller, &id).await?;
    if reader.extent == Extent::Whole {
        reader.caller.audit("revealed the secret of a webhook", &id);
    }
    let holder = Holder::Webhook(webhook.owner, webhook.reference());
    reader.view(&app, &holder, webhook.secrets()).await
}

pub(crate) async fn find(app: &App, caller: &Caller, id: &str) -> Result<Webhook, Problem> {
    let id = WebhookId::parse(id).ok_or_else(Problem::not_found)?;
    find_by_id(app, caller, &id).await?.ok_or_else(Problem::not_found)
}

/// The caller's webhook with this id, unless it was deleted.
pub(crate) async fn find_by_id(
    app: &App,
    caller: &Caller,
    id: &WebhookId,
) -> Result<Option<Webhook>, store::Error> {
    let webhook: Option<Webhook> = app.core.store.get(keys::webhook(caller.owner(), id)).await?;
    Ok(webhook.filter(|it| !it.is_deleted()))
}
