//! Rotation of signing secrets. `POST /v1/secret/rotate` rotates the account's; webhooks and
//! channels share the body and the response.

use std::time::Duration;

use answerback::{
    api::{Code, Problem, body, http::OptionalJson, views::SecretView},
    domain::{
        Account, Scope, Secrets,
        secret::{OVERLAP_SECONDS, OVERLAP_SECONDS_MAX, TooManySecrets},
    },
    platform::NewSecret,
    store::keys,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;

use crate::App;

/// Creates a new secret and shows it once. The previous one still signs during the overlap.
pub(crate) async fn rotate(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<OptionalJson, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let overlap = overlap(body?)?;
    let now = app.core.now();
    let new = app.core.vault.make(caller.account(), now, &app.core.entropy).await?;
    let account: Option<Account> = app.core.store.get(keys::account(caller.account())).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    let step = |it: &Account| it.rotate(&new.kept, overlap).map_err(too_many);
    let account = app.core.advance(account, step).await?;
    caller.audit("rotated", "the account's secret");
    rotated(&account.secrets, &new, now)
}

/// The time during which the previous secret still signs.
pub(crate) fn overlap(OptionalJson(body): OptionalJson) -> Result<Duration, Problem> {
    body::read(body, |body| {
        let seconds = body.integer("overlap_seconds", 0..=OVERLAP_SECONDS_MAX);
        Some(Duration::from_secs(seconds.unwrap_or(OVERLAP_SECONDS).into()))
    })
}

/// The problem of a rotation while too many previous secrets still sign.
pub(crate) fn too_many(err: TooManySecrets) -> Problem {
    Problem::new(Code::TooManySecrets, err.to_string())
}

/// The response to a rotation, with the text of the new secret.
pub(crate) fn rotated(
    secrets: &Secrets,
    new: &NewSecret,
    now: Timestamp,
) -> Result<Response, Problem> {
    let view = SecretView::new(secrets, now, Some(&new.text));
    let view = view.ok_or_else(|| Problem::new(Code::Internal, "the secret is missing"))?;
    Ok(axum::Json(view).into_response())
}
