//! Webhooks: create, change, delete, rotate the secret, send a test event, recover failed deliveries.

mod create;
mod recover;
mod settings;
mod trigger;

pub(crate) use create::{ChangedWebhook, create, create_from, put, put_from};
pub(crate) use recover::recover;
pub(crate) use trigger::trigger;

use answerback::{
    api::{
        Code, FieldError, Problem,
        http::{CalledHost, Json, NoBody, OptionalJson},
        views::WebhookView,
    },
    domain::{
        Scope, Source, Webhook, WebhookId, WebhookRef,
        delivery::Receiver,
        secret::Holder,
        webhook::{Settings, WebhookUpdate},
    },
    service::Caller,
    store::keys,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};

use self::settings::{URL, WebhookBody};
use crate::{
    App,
    callback::{self, PendingProbe, Previous, Submission},
    secrets::{self, RotateCall},
};

/// Path of the webhooks.
const PATH: &str = "/v1/webhooks";

/// A call that creates or changes a webhook.
pub(crate) struct WebhookCall<'a> {
    /// Path of the webhooks. Idempotency keys are apart by path.
    pub(crate) path: &'static str,
    pub(crate) host: &'a CalledHost,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Result<Json, Problem>,
}

/// Changes the settings that the body names.
pub(crate) async fn patch(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let call = WebhookCall { path: PATH, host: &host, headers: &headers, body };
    Ok(patch_from(&app, &id, call).await?.to_response(WebhookView::new))
}

/// Changes the settings of the webhook `id` that the body of `call` names.
pub(crate) async fn patch_from(
    app: &App,
    id: &str,
    call: WebhookCall<'_>,
) -> Result<ChangedWebhook, Problem> {
    let WebhookCall { host, headers, body, .. } = call;
    let caller = app.core.accounts.caller(headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let webhook = find_existing(app, &caller, id).await?;
    change(app, &caller, host, webhook, |it| WebhookBody::patch(it, body.clone())).await
}

/// Deletes a webhook. Its pending deliveries are canceled when they are due.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let NoBody = body?;
    let webhook = find_existing(&app, &caller, &id).await?;
    let now = app.core.now();
    app.core.advance(webhook, |it| Ok::<_, Problem>(it.delete(now))).await?;
    app.core.destinations.evict(caller.owner());
    caller.audit("deleted a webhook", &id);
    Ok(StatusCode::NO_CONTENT)
}

/// Creates a new secret and shows it once. The previous one still signs during the overlap.
pub(crate) async fn rotate(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<OptionalJson, Problem>,
) -> Result<Response, Problem> {
    let path = format!("{PATH}/{id}/secret/rotate");
    let call = RotateCall::read(&app, &headers, &path, body).await?;
    let webhook = find_existing(&app, &call.caller, &id).await?;
    if call.is_repeated(webhook.calls(), app.core.now())? {
        return secrets::replayed(webhook.secrets(), app.core.now());
    }
    let reference = webhook.reference();
    let new = call.make(&app, &Holder::Webhook(webhook.owner, reference.clone())).await?;
    let step = |it: &Webhook| {
        refuse_other(it, &reference)?;
        Ok(it.rotate(&new.rotation))
    };
    let webhook = app.core.advance(webhook, step).await?;
    call.caller.audit("rotated the secret of a webhook", &id);
    call.rotated(webhook.secrets(), &new)
}

/// Ends the overlap of earlier secrets.
pub(crate) async fn expire_previous(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let NoBody = body?;
    let webhook = find_existing(&app, &caller, &id).await?;
    let reference = webhook.reference();
    let step = |it: &Webhook| {
        refuse_other(it, &reference)?;
        Ok(it.expire_previous())
    };
    let webhook = app.core.advance(webhook, step).await?;
    caller.audit("ended the overlap of the secrets of a webhook", &id);
    secrets::show(webhook.secrets(), app.core.now())
}

/// Changes a webhook to what `read` makes of it. After a lost race `read` gets the winner's state,
/// so that a patch undoes nothing that it does not name.
async fn change(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    webhook: Webhook,
    read: impl Fn(&Webhook) -> Result<WebhookBody, Problem>,
) -> Result<ChangedWebhook, Problem> {
    let WebhookBody { settings, credentials, probe, .. } = read(&webhook)?;
    let pending = if settings.receiver.url == webhook.settings.receiver.url {
        PendingProbe::Done(None)
    } else {
        let (receiver, account) = (&settings.receiver, caller.owner().account);
        callback::check(app, Submission { receiver, name: URL, probe, account, host }).await?
    };
    let reference = webhook.reference();
    let holder = Holder::Webhook(webhook.owner, reference.clone());
    let new = credentials.new.seal(app, &holder).await?;
    let op = app.core.new_op();
    let now = app.core.now();
    let step = |it: &Webhook| {
        refuse_other(it, &reference)?;
        let WebhookBody { mut settings, credentials, is_enabled, .. } = read(it)?;
        refuse_other_source(it, &settings)?;
        let Receiver { url, credentials: before, .. } = &it.settings.receiver;
        let before = Previous { url, credentials: before };
        settings.receiver.credentials = credentials.apply(before, &settings.receiver.url, &new);
        Ok(it.change(WebhookUpdate { settings, is_enabled }, now, op))
    };
    let (probe, changed) = futures::join!(pending.finish(app), app.core.advance(webhook, step));
    let webhook = changed?;
    app.core.destinations.evict(caller.owner());
    caller.audit("changed a webhook", webhook.id.as_str());
    Ok(ChangedWebhook { webhook, probe })
}

/// Refuses a change to or from a body for posted events only.
///
/// Such a body is what the account posted, byte for byte. It must never be signed with a secret that
/// a receiver trusts for results of requests.
fn refuse_other_source(webhook: &Webhook, settings: &Settings) -> Result<(), Problem> {
    let is_posted_only = |it: &Receiver| it.spec().body.source() == Some(Source::Events);
    if is_posted_only(&webhook.settings.receiver) == is_posted_only(&settings.receiver) {
        return Ok(());
    }
    let pointer = format!("/{}", callback::body_member(&settings.receiver));
    let detail = "must not change to or from a body for posted events only; create another webhook";
    Err(Problem::invalid(vec![FieldError::pointer(pointer, detail)]))
}

/// Refuses a webhook that was deleted, also if another one has its name by now: what was sealed for
/// one does not open for the other.
fn refuse_other(webhook: &Webhook, reference: &WebhookRef) -> Result<(), Problem> {
    let is_same = !webhook.is_deleted() && webhook.reference() == *reference;
    if is_same { Ok(()) } else { Err(Problem::not_found()) }
}

/// The webhook with this id, deleted or not.
async fn find(app: &App, caller: &Caller, id: &WebhookId) -> Result<Option<Webhook>, Problem> {
    let key = keys::webhook(caller.owner(), id);
    Ok(app.core.store.get(key).await?)
}

async fn find_existing(app: &App, caller: &Caller, id: &str) -> Result<Webhook, Problem> {
    let id = WebhookId::parse(id).ok_or_else(Problem::not_found)?;
    let webhook = find(app, caller, &id).await?.filter(|it| !it.is_deleted());
    webhook.ok_or_else(Problem::not_found)
}

async fn find_enabled(app: &App, caller: &Caller, id: &str) -> Result<Webhook, Problem> {
    let webhook = find_existing(app, caller, id).await?;
    if webhook.is_enabled() {
        return Ok(webhook);
    }
    let detail = "the webhook is disabled; enable it first with PATCH {\"enabled\": true}";
    Err(Problem::new(Code::WebhookDisabled, detail))
}
