//! `POST /v1/webhooks` creates a webhook, `PUT /v1/webhooks/{id}` creates or replaces one.

use answerback::{
    api::{
        Code, Problem,
        http::{CalledHost, Json},
        views::WebhookView,
    },
    domain::{
        MintedWebhookId, Scope, Webhook, WebhookId,
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
    change, find,
    settings::{NewWebhookBody, URL, WebhookBody},
};
use crate::{
    App, callback,
    idempotency::{self, IdempotentCall},
};

const PATH: &str = "/v1/webhooks";

/// A webhook as it is shown to its creator; its secret is shown once.
#[derive(Serialize)]
struct CreatedWebhookView<'a> {
    #[serde(flatten)]
    view: WebhookView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
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
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let call = idempotency::of_call(&app, caller.owner(), &headers, PATH, &body).await?;
    let NewWebhookBody { id, webhook } = NewWebhookBody::read(body)?;
    let minted = match call {
        Some(it) => MintedWebhookId::from_bits(it.id_bits),
        None => MintedWebhookId::mint(app.core.now(), app.core.entropy.next()),
    };
    let id = id.unwrap_or_else(|| WebhookId::minted(minted));
    match find(&app, &caller, &id).await? {
        Some(found) if !found.is_deleted() => taken(&found, call),
        deleted => store(&app, &caller, &host, FreeId { id, deleted }, webhook, call).await,
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
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let id = WebhookId::parse(&id).ok_or_else(Problem::not_found)?;
    let body = WebhookBody::read(body)?;
    match find(&app, &caller, &id).await? {
        Some(webhook) if !webhook.is_deleted() => {
            change(&app, &caller, &host, webhook, |_| Ok(body.clone())).await
        }
        deleted => store(&app, &caller, &host, FreeId { id, deleted }, body, None).await,
    }
}

async fn store(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    free: FreeId,
    body: WebhookBody,
    call: Option<IdempotentCall>,
) -> Result<Response, Problem> {
    callback::check(app, &body.settings.receiver, URL, body.probe, host).await?;
    let others = app.core.webhooks.all(caller.owner()).await?;
    if others.len() >= WEBHOOKS_MAX {
        let detail = format!("limit of {WEBHOOKS_MAX} webhooks reached; delete one first");
        return Err(Problem::new(Code::TooManyWebhooks, detail));
    }
    let op = app.core.new_op();
    let now = app.core.now();
    let secret = app.core.vault.make(caller.account(), now, &app.core.entropy).await?;
    let first = Webhook::new(NewWebhook {
        id: free.id,
        owner: caller.owner(),
        created_by: op,
        body_hash: call.map(|it| it.body_hash),
        created_at: now,
        settings: body.settings,
        is_enabled: body.is_enabled,
        secret: secret.kept,
    });
    let webhook = free.deleted.map_or_else(|| first.clone(), |deleted| deleted.replaced_by(&first));
    let saved = if webhook.is_first() {
        app.core.store.create(&webhook).await?
    } else {
        app.core.store.save(&webhook).await?
    };
    app.core.webhooks.evict(caller.owner());
    match saved {
        Saved::Saved => (),
        // This call's own write: the SDK repeated it after its answer was lost.
        Saved::Superseded(found) if found.created_by == op => (),
        Saved::Superseded(found) => return taken(&found, call),
        Saved::Gone => return Err(Problem::too_busy()),
    }
    caller.audit("created a webhook", webhook.id.as_str());
    Ok(created(&webhook, Some(&secret.text)))
}

/// The response where the id is taken: by an earlier call with the same key, or by another webhook.
fn taken(found: &Webhook, call: Option<IdempotentCall>) -> Result<Response, Problem> {
    let Some(IdempotentCall { body_hash, .. }) = call.filter(|_| found.body_hash.is_some()) else {
        let detail = format!("a webhook with the id `{}` exists; PUT or PATCH it", found.id);
        return Err(Problem::new(Code::WebhookExists, detail));
    };
    idempotency::check(found.body_hash, body_hash)?;
    let mut response = created(found, None);
    idempotency::mark_replayed(&mut response);
    Ok(response)
}

fn created(webhook: &Webhook, secret: Option<&SecretString>) -> Response {
    let location = format!("{PATH}/{}", webhook.id);
    let location = HeaderValue::from_str(&location).expect("an identifier is ASCII");
    let secret = secret.map(ExposeSecret::expose_secret);
    let view = CreatedWebhookView { view: WebhookView::new(webhook), secret };
    (StatusCode::CREATED, [(LOCATION, location)], axum::Json(view)).into_response()
}
