//! `POST /v1/webhooks` creates a webhook, `PUT /v1/webhooks/{id}` creates or replaces one.

use answerback::{
    api::{
        Code, Problem,
        http::{CalledHost, Json},
        views::{ProbeView, WebhookView},
    },
    domain::{
        IdempotentCall, MintedWebhookId, Scope, Webhook, WebhookId, WebhookRef,
        secret::Holder,
        webhook::{NewWebhook, WEBHOOKS_MAX},
    },
    service::Caller,
    store::Saved,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{
    PATH, WebhookCall, change, find,
    settings::{NewWebhookBody, URL, WebhookBody},
};
use crate::{
    App,
    callback::{self, Submission},
    idempotency,
};

/// A webhook that this call created, or an earlier one with the same idempotency key.
pub(crate) struct CreatedWebhook {
    webhook: Webhook,
    /// `None` in a replay.
    secret: Option<SecretString>,
    probe: Option<ProbeView>,
}

/// A webhook that this call changed.
pub(crate) struct ChangedWebhook {
    pub(super) webhook: Webhook,
    /// `None` if its URL is the same as before.
    pub(super) probe: Option<ProbeView>,
}

/// The effect of a PUT.
pub(crate) enum PutWebhook {
    Created(CreatedWebhook),
    Changed(ChangedWebhook),
}

/// A webhook as it is shown to the client that wrote it; its secret is shown once.
#[derive(Serialize)]
struct WrittenWebhookView<'a, V> {
    #[serde(flatten)]
    view: V,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    probe: Option<ProbeView>,
}

/// An id that is free, and the deleted webhook that had it before.
struct FreeId {
    id: WebhookId,
    deleted: Option<Webhook>,
}

/// Creates a webhook.
pub(crate) async fn create(
    State(app): State<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let call = WebhookCall { path: PATH, host: &host, headers: &headers, body };
    Ok(create_from(&app, call).await?.to_response(PATH, WebhookView::new))
}

/// Creates the webhook of `call`, or finds it under its idempotency key.
pub(crate) async fn create_from(
    app: &App,
    call: WebhookCall<'_>,
) -> Result<CreatedWebhook, Problem> {
    let WebhookCall { path, host, headers, body } = call;
    let caller = app.core.accounts.caller(headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let call = idempotency::of_call(app, caller.owner(), headers, path, &body).await?;
    let NewWebhookBody { id, webhook } = NewWebhookBody::read(body)?;
    let minted = match call {
        Some(it) => MintedWebhookId::from_bits(it.id_bits),
        None => MintedWebhookId::mint(app.core.now(), app.core.entropy.next()),
    };
    let id = id.unwrap_or_else(|| WebhookId::minted(minted));
    let now = app.core.now();
    match find(app, &caller, &id).await? {
        Some(found) if idempotency::is_repeated(found.calls(), call, now)? => replayed(found),
        Some(found) if !found.is_deleted() => Err(exists(&found)),
        deleted => store(app, &caller, host, FreeId { id, deleted }, webhook, call).await,
    }
}

/// Replaces the settings of a webhook, or creates one with this id.
pub(crate) async fn put(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let call = WebhookCall { path: PATH, host: &host, headers: &headers, body };
    Ok(put_from(&app, &id, call).await?.to_response(PATH, WebhookView::new))
}

/// Replaces the settings of the webhook `id` by those of `call`, or creates it.
pub(crate) async fn put_from(
    app: &App,
    id: &str,
    call: WebhookCall<'_>,
) -> Result<PutWebhook, Problem> {
    let WebhookCall { host, headers, body, .. } = call;
    let caller = app.core.accounts.caller(headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let id = WebhookId::parse(id).ok_or_else(Problem::not_found)?;
    let body = WebhookBody::read(body)?;
    match find(app, &caller, &id).await? {
        Some(webhook) if !webhook.is_deleted() => {
            let changed = change(app, &caller, host, webhook, |_| Ok(body.clone())).await?;
            Ok(PutWebhook::Changed(changed))
        }
        deleted => {
            let free = FreeId { id, deleted };
            let created = store(app, &caller, host, free, body, None).await?;
            Ok(PutWebhook::Created(created))
        }
    }
}

async fn store(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    free: FreeId,
    body: WebhookBody,
    call: Option<IdempotentCall>,
) -> Result<CreatedWebhook, Problem> {
    let (receiver, account) = (&body.settings.receiver, caller.owner().account);
    let submission = Submission { receiver, name: URL, probe: body.probe, account, host };
    let pending = callback::check(app, submission).await?;
    let (probe, stored) =
        futures::join!(pending.finish(app), store_checked(app, caller, free, body, call));
    Ok(CreatedWebhook { probe, ..stored? })
}

/// Stores a webhook whose URL is allowed.
async fn store_checked(
    app: &App,
    caller: &Caller,
    free: FreeId,
    body: WebhookBody,
    call: Option<IdempotentCall>,
) -> Result<CreatedWebhook, Problem> {
    let others = app.core.destinations.all(caller.owner()).await?.webhooks;
    if others.len() >= WEBHOOKS_MAX {
        let detail = format!("limit of {WEBHOOKS_MAX} webhooks reached; delete one first");
        return Err(Problem::new(Code::TooManyWebhooks, detail));
    }
    let op = app.core.new_op();
    let now = app.core.now();
    let reference = WebhookRef { id: free.id.clone(), created_by: op };
    let holder = Holder::Webhook(caller.owner(), reference);
    let secret = app.core.vault.make(&holder, now, &app.core.entropy).await?;
    let mut settings = body.settings;
    settings.receiver.credentials = body.credentials.new.seal(app, &holder).await?;
    let first = Webhook::new(NewWebhook {
        id: free.id,
        owner: caller.owner(),
        created_by: op,
        call,
        created_at: now,
        settings,
        is_enabled: body.is_enabled,
        secret: secret.kept,
    });
    let webhook = free.deleted.map_or_else(|| first.clone(), |deleted| deleted.replaced_by(&first));
    let saved = if webhook.is_first() {
        app.core.store.create(&webhook).await?
    } else {
        app.core.store.save(&webhook).await?
    };
    app.core.destinations.evict(caller.owner());
    match saved {
        Saved::Saved => (),
        // This call's own write: the SDK repeated it after its answer was lost.
        Saved::Superseded(found) if found.created_by == op => (),
        Saved::Superseded(found) if idempotency::is_repeated(found.calls(), call, now)? => {
            return replayed(found);
        }
        Saved::Superseded(found) => return Err(exists(&found)),
        Saved::Gone => return Err(Problem::too_busy()),
    }
    caller.audit("created a webhook", webhook.id.as_str());
    Ok(CreatedWebhook { webhook, secret: Some(secret.text), probe: None })
}

/// The webhook of an earlier call with the same key, unless it was deleted.
fn replayed(found: Webhook) -> Result<CreatedWebhook, Problem> {
    if found.is_deleted() {
        return Err(idempotency::gone());
    }
    Ok(CreatedWebhook { webhook: found, secret: None, probe: None })
}

/// The problem where another webhook has the id.
fn exists(found: &Webhook) -> Problem {
    let detail = format!("a webhook with the id `{}` exists; PUT or PATCH it", found.id);
    Problem::new(Code::WebhookExists, detail)
}

impl CreatedWebhook {
    /// 201 with the webhook as `view` shows it.
    pub(crate) fn to_response<'a, V: Serialize>(
        &'a self,
        path: &str,
        view: impl FnOnce(&'a Webhook) -> V,
    ) -> Response {
        let location = format!("{path}/{}", self.webhook.id);
        let location = HeaderValue::from_str(&location).expect("an identifier is ASCII");
        let secret = self.secret.as_ref().map(ExposeSecret::expose_secret);
        let probe = self.probe.filter(|_| secret.is_some());
        let view = WrittenWebhookView { view: view(&self.webhook), secret, probe };
        let body = axum::Json(view);
        let mut response = (StatusCode::CREATED, [(LOCATION, location)], body).into_response();
        if self.secret.is_none() {
            idempotency::mark_replayed(&mut response);
        }
        response
    }
}

impl ChangedWebhook {
    /// 200 with the webhook as `view` shows it.
    pub(crate) fn to_response<'a, V: Serialize>(
        &'a self,
        view: impl FnOnce(&'a Webhook) -> V,
    ) -> Response {
        let Self { webhook, probe } = self;
        let view = WrittenWebhookView { view: view(webhook), secret: None, probe: *probe };
        axum::Json(view).into_response()
    }
}

impl PutWebhook {
    /// 200 or 201 with the webhook as `view` shows it.
    pub(crate) fn to_response<'a, V: Serialize>(
        &'a self,
        path: &str,
        view: impl FnOnce(&'a Webhook) -> V,
    ) -> Response {
        match self {
            Self::Created(created) => created.to_response(path, view),
            Self::Changed(changed) => changed.to_response(view),
        }
    }
}
