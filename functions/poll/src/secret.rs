//! The secret that the account's callbacks are signed with.

use answerback::{
    domain::Scope,
    service::{Code, Problem, wire::Time},
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::{App, list::Parameters};

/// How much of a secret's end is shown.
const SHOWN_CHARS: usize = 4;

#[derive(Serialize)]
struct View {
    preview: String,
    created_at: Time,
    previous_expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Shows the secret's ends, or all of it to who may see it.
pub(crate) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reveals = parameters.parsed("reveal", "true or false", |it| it.parse::<bool>().ok());
    let reveals = reveals.unwrap_or(false);
    let scope = if reveals { Scope::SecretsRead } else { Scope::WebhooksRead };
    let caller = app.accounts.caller(&headers, scope).await?;
    parameters.finish()?;
    let account = app.accounts.account_of(&caller).await?;
    let mut secrets = account.live_secrets(app.clock.now());
    let current = secrets.next();
    let current = current.ok_or_else(|| Problem::new(Code::Internal, "there is no secret"))?;
    let text = current.text.expose_secret();
    let end = text.char_indices().nth_back(SHOWN_CHARS - 1).map_or(text, |(at, _)| &text[at..]);
    if reveals {
        tracing::info!(account.id = %account.id, key.id = %caller.key(), "revealed the secret");
    }
    let view = View {
        preview: format!("whsec_…{end}"),
        created_at: Time(current.created_at),
        previous_expires_at: secrets.filter_map(|it| it.expires_at).max().map(Time),
        secret: reveals.then(|| text.to_owned()),
    };
    Ok(([("cache-control", "no-store")], axum::Json(view)).into_response())
}
