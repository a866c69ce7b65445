//! Notifiers, without their secrets.

use answerback::{
    api::{
        Problem,
        http::CalledHost,
        views::{NotifierView, Page},
    },
    domain::{Notifier, NotifierKind, Scope},
    store::keys,
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use serde_json::json;

use crate::{App, list::Parameters};

/// Rights of the bot: to write messages and direct messages, and to find users by their e-mail addresses.
const SLACK_SCOPES: [&str; 4] = ["chat:write", "im:write", "users:read", "users:read.email"];

/// Lists all notifiers on one page, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::NotifiersRead).await?;
    parameters.finish()?;
    let mut notifiers = app.core.destinations.all(caller.owner()).await?.notifiers;
    notifiers.sort_by_key(|it| std::cmp::Reverse((it.created_at, it.id)));
    let data = notifiers.iter().map(NotifierView::new).collect();
    Ok(axum::Json(Page { data, next_cursor: None }).into_response())
}

/// Shows a notifier.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let notifier = find(&app, &headers, &id).await?;
    Ok(axum::Json(NotifierView::new(&notifier)).into_response())
}

/// The description of the Slack app that a notifier needs, which Slack makes the app from.
///
/// <https://docs.slack.dev/reference/app-manifest>
pub(crate) async fn slack_manifest(
    State(app): State<App>,
    Path(id): Path<String>,
    CalledHost(host): CalledHost,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let notifier = find(&app, &headers, &id).await?;
    if notifier.kind() != NotifierKind::Slack {
        return Err(Problem::not_found());
    }
    let manifest = json!({
        "display_information": {
            "name": "Answerback",
            "description": "Questions that need your answer",
        },
        "features": { "bot_user": { "display_name": "Answerback", "always_online": true } },
        "oauth_config": { "scopes": { "bot": SLACK_SCOPES } },
        "settings": {
            "interactivity": {
                "is_enabled": true,
                "request_url": format!("https://{host}/v1/slack/{}", notifier.id),
            },
            "org_deploy_enabled": false,
            "socket_mode_enabled": false,
            "token_rotation_enabled": false,
        },
    });
    Ok(axum::Json(manifest).into_response())
}

async fn find(app: &App, headers: &HeaderMap, id: &str) -> Result<Notifier, Problem> {
    let caller = app.core.accounts.caller(headers, Scope::NotifiersRead).await?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let notifier: Option<Notifier> = app.core.store.get(keys::notifier(caller.owner(), id)).await?;
    notifier.filter(|it| !it.is_deleted()).ok_or_else(Problem::not_found)
}
