//! The account of the calling key.

use answerback::{
    api::{Problem, views::AccountView},
    domain::Scope,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};

use crate::{App, list::Parameters};

/// Shows the account.
pub(crate) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::Admin).await?;
    parameters.finish()?;
    let account = app.core.accounts.account_now(caller.account()).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    Ok(axum::Json(AccountView::new(&account)).into_response())
}
