//! The secret that the account's callbacks are signed with.

use answerback::{
    api::{Code, Problem, views::SecretView},
    domain::{Scope, Secrets},
    service::Caller,
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
    let (caller, reveals) = caller(&app, &headers, &mut parameters).await?;
    parameters.finish()?;
    let account = app.core.accounts.account_now(caller.account()).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    if reveals {
        caller.audit("revealed", "the account's secret");
    }
    view(&app, &caller, &account.secrets, reveals).await
}

/// Who wants to see a secret, and whether all of it.
pub(crate) async fn caller(
    app: &App,
    headers: &HeaderMap,
    parameters: &mut Parameters,
) -> Result<(Caller, bool), Problem> {
    let reveals = parameters.parsed("reveal", "true or false", |it| it.parse::<bool>().ok());
    let reveals = reveals.unwrap_or(false);
    let scope = if reveals { Scope::SecretsRead } else { Scope::WebhooksRead };
    Ok((app.core.accounts.caller(headers, scope).await?, reveals))
}

/// The secret that signs now.
pub(crate) async fn view(
    app: &App,
    caller: &Caller,
    secrets: &Secrets,
    reveals: bool,
) -> Result<Response, Problem> {
    let now = app.core.now();
    let current = secrets.live(now).next().filter(|_| reveals);
    let text = match current {
        Some(current) => {
            Some(app.core.vault.open(caller.account(), current, app.core.now()).await?)
        }
        None => None,
    };
    let view = SecretView::new(secrets, now, text.as_ref());
    let view = view.ok_or_else(|| Problem::new(Code::Internal, "there is no secret"))?;
    Ok(axum::Json(view).into_response())
}
