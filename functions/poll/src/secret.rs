//! The secret that the account's callbacks are signed with.

use answerback::{
    domain::Scope,
    service::{Code, Problem, wire::SecretView},
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{App, list::Parameters};

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
    let account = app.accounts.account_now(caller.account()).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    if reveals {
        caller.audit("revealed", "the account's secret");
    }
    let view = SecretView::new(account.live_secrets(app.clock.now()), reveals);
    let view = view.ok_or_else(|| Problem::new(Code::Internal, "there is no secret"))?;
    Ok(axum::Json(view).into_response())
}
