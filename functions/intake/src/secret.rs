//! `POST /v1/secret/rotate` replaces the secret that the account's callbacks are signed with.

use std::time::Duration;

use answerback::{
    domain::{
        Account, Scope,
        account::{OVERLAP_SECONDS, OVERLAP_SECONDS_MAX, TooManySecrets},
    },
    service::{
        Code, Fields, Problem, advance, fields::Faults, http::JsonOrNothing, wire::SecretView,
    },
    signing,
    store::keys,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::App;

/// Makes a new secret, and shows it this once; the one before signs too until the overlap ends.
pub(crate) async fn rotate(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<JsonOrNothing, Problem>,
) -> Result<Response, Problem> {
    let caller = app.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let JsonOrNothing(body) = body?;
    let mut faults = Faults::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let overlap = fields.integer("overlap_seconds", 0..=OVERLAP_SECONDS_MAX, &mut faults);
    fields.finish(&mut faults);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let overlap = Duration::from_secs(overlap.unwrap_or(OVERLAP_SECONDS).into());

    let account: Option<Account> = app.store.get(keys::account(caller.account())).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    let now = app.clock.now();
    let new = signing::new_secret(app.entropy.next_secret());
    let full = |it: TooManySecrets| Problem::new(Code::TooManySecrets, it.to_string());
    let step = |it: &Account| it.rotate(&new, overlap, now).map_err(full);
    let account = advance(&app.store, account, step).await?;
    caller.audit("rotated", "the account's secret");
    let view = SecretView::new(account.live_secrets(now), true);
    let view = view.ok_or_else(|| Problem::new(Code::Internal, "there is no secret"))?;
    Ok(axum::Json(view).into_response())
}
