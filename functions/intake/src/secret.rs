//! `POST /v1/secret/rotate` replaces the secret that the account's callbacks are signed with; and
//! what every rotation of a secret has in common.

use std::time::Duration;

use answerback::{
    api::{Code, Fields, Problem, body::FieldErrors, http::JsonOrNothing, views::SecretView},
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
    response::{IntoResponse, Response},
};
use jiff::Timestamp;

use crate::App;

/// Makes a new secret, and shows it this once; the one before signs too until the overlap ends.
pub(crate) async fn rotate(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<JsonOrNothing, Problem>,
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

/// How long the one before goes on signing, as every rotation's body says.
pub(crate) fn overlap(JsonOrNothing(body): JsonOrNothing) -> Result<Duration, Problem> {
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let overlap = fields.integer("overlap_seconds", 0..=OVERLAP_SECONDS_MAX, &mut faults);
    fields.finish(&mut faults);
    if faults.is_empty() {
        Ok(Duration::from_secs(overlap.unwrap_or(OVERLAP_SECONDS).into()))
    } else {
        Err(Problem::invalid(faults))
    }
}

/// Why there can be no other secret yet.
pub(crate) fn too_many(err: TooManySecrets) -> Problem {
    Problem::new(Code::TooManySecrets, err.to_string())
}

/// The answer to a rotation: the new secret in full, this once.
pub(crate) fn rotated(
    secrets: &Secrets,
    new: &NewSecret,
    now: Timestamp,
) -> Result<Response, Problem> {
    let view = SecretView::new(secrets, now, Some(&new.text));
    let view = view.ok_or_else(|| Problem::new(Code::Internal, "there is no secret"))?;
    Ok(axum::Json(view).into_response())
}
