//! `PATCH /v1/account`.

use answerback::{
    api::{Code, Problem, body, http::JsonText, views::AccountView},
    domain::{Account, Scope, account::ACCOUNT_NAME_CHARS_MAX},
    store::keys,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};

use crate::App;

/// Renames the account. A null name takes it away.
pub(crate) async fn patch(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::Admin).await?;
    // `None`: the name stays.
    let name: Option<Option<String>> = body::read(body?, |body| {
        let is_mentioned = body.mentions("name");
        let name = body.optional_line("name", ACCOUNT_NAME_CHARS_MAX);
        Some(is_mentioned.then_some(name))
    })?;
    if !caller.owner().mode.is_live() {
        let detail = "a key of test mode must not change what live pages show";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let account: Option<Account> = app.core.store.get(keys::account(caller.account())).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    let step = |it: &Account| Ok::<_, Problem>(name.clone().and_then(|name| it.rename(name)));
    let account = app.core.advance(account, step).await?;
    app.core.accounts.evict_account(account.id);
    caller.audit("changed", "the account's name");
    Ok(axum::Json(AccountView::new(&account)).into_response())
}
