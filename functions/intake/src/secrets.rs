//! Rotation of signing secrets. `/v1/secret` is the account's for results of requests, and
//! `/v1/events/secret` its secret for posted events. Webhooks and channels share the body and the
//! response.

use std::time::Duration;

use answerback::{
    api::{
        Code, Problem, body,
        http::{NoBody, OptionalJson},
        views::SecretView,
    },
    domain::{
        Account, IdempotentCall, PastCalls, Scope, Secrets, Source,
        secret::{Holder, OVERLAP_SECONDS, OVERLAP_SECONDS_MAX, Rotation},
    },
    platform::NewSecret,
    service::Caller,
    store::keys,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;

use crate::{App, idempotency};

/// A call that rotates a secret.
pub(crate) struct RotateCall {
    pub(crate) caller: Caller,
    overlap: Duration,
    call: Option<IdempotentCall>,
}

/// A rotation, and the text of its new secret.
pub(crate) struct NewRotation {
    pub(crate) rotation: Rotation,
    new: NewSecret,
}

/// Rotates the secret for results of requests.
pub(crate) async fn rotate(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<OptionalJson, Problem>,
) -> Result<Response, Problem> {
    let call = RotateCall::read(&app, &headers, "/v1/secret/rotate", body).await?;
    rotate_account(&app, Source::Requests, call).await
}

/// Rotates the secret for posted events.
pub(crate) async fn rotate_for_events(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<OptionalJson, Problem>,
) -> Result<Response, Problem> {
    let call = RotateCall::read(&app, &headers, "/v1/events/secret/rotate", body).await?;
    rotate_account(&app, Source::Events, call).await
}

/// Ends the overlap of earlier secrets for results of requests.
pub(crate) async fn expire_previous(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<Response, Problem> {
    expire_previous_of_account(&app, Source::Requests, &headers, body).await
}

/// Ends the overlap of earlier secrets for posted events.
pub(crate) async fn expire_previous_for_events(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<Response, Problem> {
    expire_previous_of_account(&app, Source::Events, &headers, body).await
}

async fn rotate_account(app: &App, source: Source, call: RotateCall) -> Result<Response, Problem> {
    let owner = call.caller.owner();
    let account = find(app, &call.caller).await?;
    if call.is_repeated(&account.calls, app.core.now())? {
        return replayed(account.secrets.of(owner.mode, source), app.core.now());
    }
    let new = call.make(app, &Holder::Account(owner, source)).await?;
    let step = |it: &Account| Ok::<_, Problem>(it.rotate(owner.mode, source, &new.rotation));
    let account = app.core.advance(account, step).await?;
    call.caller.audit("rotated", name(source));
    call.rotated(account.secrets.of(owner.mode, source), &new)
}

async fn expire_previous_of_account(
    app: &App,
    source: Source,
    headers: &HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(headers, Scope::WebhooksWrite).await?;
    let NoBody = body?;
    let mode = caller.owner().mode;
    let account = find(app, &caller).await?;
    let step = |it: &Account| Ok::<_, Problem>(it.expire_previous(mode, source));
    let account = app.core.advance(account, step).await?;
    caller.audit("ended the overlap of", name(source));
    show(account.secrets.of(mode, source), app.core.now())
}

async fn find(app: &App, caller: &Caller) -> Result<Account, Problem> {
    let account: Option<Account> = app.core.store.get(keys::account(caller.account())).await?;
    account.ok_or_else(Problem::not_found)
}

fn name(source: Source) -> &'static str {
    match source {
        Source::Requests => "the account's secret for requests",
        Source::Events => "the account's secret for events",
    }
}

impl RotateCall {
    /// Reads the call to `path`.
    pub(crate) async fn read(
        app: &App,
        headers: &HeaderMap,
        path: &str,
        body: Result<OptionalJson, Problem>,
    ) -> Result<Self, Problem> {
        let caller = app.core.accounts.caller(headers, Scope::WebhooksWrite).await?;
        let OptionalJson(body) = body?;
        let call = idempotency::of_call(app, caller.owner(), headers, path, &body).await?;
        let overlap = body::read(body, |body| {
            let seconds = body.integer("overlap_seconds", 0..=OVERLAP_SECONDS_MAX);
            Some(Duration::from_secs(seconds.unwrap_or(OVERLAP_SECONDS).into()))
        })?;
        Ok(Self { caller, overlap, call })
    }

    /// True if one of `calls` was this one.
    pub(crate) fn is_repeated(&self, calls: &PastCalls, now: Timestamp) -> Result<bool, Problem> {
        idempotency::is_repeated(calls, self.call, now)
    }

    /// Makes a new secret for `holder`.
    pub(crate) async fn make(&self, app: &App, holder: &Holder) -> Result<NewRotation, Problem> {
        let new = app.core.vault.make(holder, app.core.now(), &app.core.entropy).await?;
        let rotation = Rotation { new: new.kept.clone(), overlap: self.overlap, call: self.call };
        Ok(NewRotation { rotation, new })
    }

    /// The response with `secrets` after the rotation `new`. The text of a new secret is shown once,
    /// and only to a key that may see secrets.
    pub(crate) fn rotated(
        &self,
        secrets: &Secrets,
        new: &NewRotation,
    ) -> Result<Response, Problem> {
        let now = new.rotation.new.created_at;
        if secrets.live(now).next() != Some(&new.rotation.new) && self.call.is_some() {
            // A concurrent call with the same key was faster.
            return replayed(secrets, now);
        }
        let text = self.caller.may(Scope::SecretsRead).then_some(&new.new.text);
        Ok(axum::Json(view(secrets, now, text)?).into_response())
    }
}

/// The response to a repeated call.
pub(crate) fn replayed(secrets: &Secrets, now: Timestamp) -> Result<Response, Problem> {
    let mut response = show(secrets, now)?;
    idempotency::mark_replayed(&mut response);
    Ok(response)
}

/// The response with a preview of the current secret.
pub(crate) fn show(secrets: &Secrets, now: Timestamp) -> Result<Response, Problem> {
    Ok(axum::Json(view(secrets, now, None)?).into_response())
}

fn view(
    secrets: &Secrets,
    now: Timestamp,
    text: Option<&secrecy::SecretString>,
) -> Result<SecretView, Problem> {
    SecretView::new(secrets, now, text)
        .ok_or_else(|| Problem::new(Code::Internal, "the secret is missing"))
}
