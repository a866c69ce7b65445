//! Webhooks are made, changed and deleted here, their secrets rotated, and what they missed sent
//! once more.

mod recover;
mod settings;
mod trigger;

pub(crate) use recover::recover;
pub(crate) use trigger::trigger;

use std::time::Duration;

use answerback::{
    api::{
        Code, Problem,
        http::{CalledHost, Json, JsonOrNothing},
        views::WebhookView,
    },
    domain::{
        MintedWebhookId, Scope, Secrets, Webhook, WebhookId,
        webhook::{Change, DisableReason, Disabled, WEBHOOKS_MAX},
    },
    service::Caller,
    store::{Saved, keys},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use self::settings::{Draft, URL};
use crate::{
    App, callback,
    idempotency::{self, IdempotentCall},
    secret,
};

/// Where webhooks are made.
const PATH: &str = "/v1/webhooks";

/// A webhook as it is shown when it is made; its secret this once.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    view: WebhookView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// Makes a webhook.
pub(crate) async fn create(
    State(app): State<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let keyed = idempotency::keyed(&app, caller.owner(), &headers, PATH, &body).await?;
    let draft = Draft::read(body, true)?;
    let minted = match keyed {
        Some(keyed) => MintedWebhookId::from_bits(keyed.bits),
        None => MintedWebhookId::mint(app.core.now(), app.core.entropy.next()),
    };
    let id = draft.id.clone().unwrap_or_else(|| WebhookId::minted(minted));
    let before = find(&app, &caller, &id).await?;
    if let Some(found) = before.as_ref().filter(|it| it.deleted_at.is_none()) {
        return exists(found, keyed);
    }
    make(&app, &caller, &host, Place { id, before }, draft, keyed).await
}

/// Replaces what is decided of a webhook, or makes one of this name.
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
    let draft = Draft::read(body, false)?;
    match find(&app, &caller, &id).await? {
        Some(webhook) if webhook.deleted_at.is_none() => {
            change(&app, &caller, &host, webhook, |_| Ok(draft.clone())).await
        }
        before => make(&app, &caller, &host, Place { id, before }, draft, None).await,
    }
}

/// Changes some of what is decided of a webhook.
pub(crate) async fn patch(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let webhook = find_there(&app, &caller, &id).await?;
    change(&app, &caller, &host, webhook, |it| Draft::patch(it, body.clone())).await
}

/// Deletes a webhook. What is on its way to it is cancelled when its time comes.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let webhook = find_there(&app, &caller, &id).await?;
    let now = app.core.now();
    app.core.advance(webhook, |it| Ok::<_, Problem>(it.delete(now))).await?;
    app.core.webhooks.evict(caller.owner());
    caller.audit("deleted a webhook", &id);
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new secret, and shows it this once; the one before signs too until the overlap ends.
pub(crate) async fn rotate(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<JsonOrNothing, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let overlap: Duration = secret::overlap(body?)?;
    let webhook = find_there(&app, &caller, &id).await?;
    let now = app.core.now();
    let new = app.core.vault.make(caller.account(), now, &app.core.entropy).await?;
    let step = |it: &Webhook| match it.deleted_at {
        None => it.rotate(&new.kept, overlap).map_err(secret::too_many),
        Some(_) => Err(Problem::not_found()),
    };
    let webhook = app.core.advance(webhook, step).await?;
    caller.audit("rotated the secret of a webhook", &id);
    secret::rotated(&webhook.secrets, &new, now)
}

/// A name, and what has it, or had.
struct Place {
    id: WebhookId,
    before: Option<Webhook>,
}

async fn make(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    place: Place,
    draft: Draft,
    keyed: Option<IdempotentCall>,
) -> Result<Response, Problem> {
    callback::check(app, &draft.settings.receiver, URL, draft.probe, host).await?;
    let others = app.core.webhooks.all(caller.owner()).await?;
    if others.len() >= WEBHOOKS_MAX {
        let detail = format!("an account has at most {WEBHOOKS_MAX} webhooks; delete one first");
        return Err(Problem::new(Code::TooManyWebhooks, detail));
    }
    let op = app.core.new_op();
    let now = app.core.now();
    let secret = app.core.vault.make(caller.account(), now, &app.core.entropy).await?;
    let first = Webhook {
        id: place.id,
        owner: caller.owner(),
        created_by: op,
        body_hash: keyed.map(|it| it.body_hash),
        created_at: now,
        updated_by: op,
        updated_at: now,
        disabled: (!draft.enabled).then_some(Disabled { reason: DisableReason::ByHand, at: now }),
        settings: draft.settings,
        failing_since: None,
        secrets: Secrets(vec![secret.kept]),
        deleted_at: None,
        revision: 0,
    };
    let webhook = place.before.map_or_else(|| first.clone(), |deleted| deleted.replaced_by(&first));
    // What is in the place of one that was deleted is written over it.
    let saved = match webhook.revision {
        0 => app.core.store.create(&webhook).await?,
        _ => app.core.store.save(&webhook).await?,
    };
    app.core.webhooks.evict(caller.owner());
    match saved {
        Saved::Saved => (),
        // A write of ours whose answer was lost, come back.
        Saved::Superseded(found) if found.created_by == op => (),
        Saved::Superseded(found) => return exists(&found, keyed),
        Saved::Gone => return Err(Problem::too_busy()),
    }
    caller.audit("made a webhook", webhook.id.as_str());
    Ok(created(&webhook, Some(&secret.text)))
}

fn created(webhook: &Webhook, secret: Option<&SecretString>) -> Response {
    let secret = secret.map(ExposeSecret::expose_secret);
    let location = format!("{PATH}/{}", webhook.id);
    let location = HeaderValue::from_str(&location).expect("an identifier is ASCII");
    let made = Made { view: WebhookView::new(webhook), secret };
    (StatusCode::CREATED, [(LOCATION, location)], axum::Json(made)).into_response()
}

/// The answer where the name is taken: by the same call made before, or by another.
fn exists(found: &Webhook, keyed: Option<IdempotentCall>) -> Result<Response, Problem> {
    let Some(IdempotentCall { body_hash, .. }) = keyed.filter(|_| found.body_hash.is_some()) else {
        let detail = format!("there is a webhook called `{}`; PUT or PATCH it", found.id);
        return Err(Problem::new(Code::WebhookExists, detail));
    };
    idempotency::check(found.body_hash, body_hash)?;
    let mut response = created(found, None);
    idempotency::mark_replayed(&mut response);
    Ok(response)
}

/// Changes a webhook to what `wanted` makes of it; anew, where another change was faster, so that a
/// patch undoes nothing that it does not name.
async fn change(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    webhook: Webhook,
    wanted: impl Fn(&Webhook) -> Result<Draft, Problem>,
) -> Result<Response, Problem> {
    let Draft { settings, probe, .. } = wanted(&webhook)?;
    if settings.receiver.url != webhook.settings.receiver.url {
        callback::check(app, &settings.receiver, URL, probe, host).await?;
    }
    let op = app.core.new_op();
    let now = app.core.now();
    let step = |it: &Webhook| match it.deleted_at {
        None => wanted(it).map(|Draft { settings, enabled, .. }| {
            it.change(Change { settings, is_enabled: enabled }, now, op)
        }),
        Some(_) => Err(Problem::not_found()),
    };
    let webhook = app.core.advance(webhook, step).await?;
    app.core.webhooks.evict(caller.owner());
    caller.audit("changed a webhook", webhook.id.as_str());
    Ok(axum::Json(WebhookView::new(&webhook)).into_response())
}

async fn find(app: &App, caller: &Caller, id: &WebhookId) -> Result<Option<Webhook>, Problem> {
    let key = keys::webhook(caller.owner(), id);
    Ok(app.core.store.get(key).await?)
}

/// The webhook of this name, which must be there.
async fn find_there(app: &App, caller: &Caller, id: &str) -> Result<Webhook, Problem> {
    let id = WebhookId::parse(id).ok_or_else(Problem::not_found)?;
    let webhook = find(app, caller, &id).await?.filter(|it| it.deleted_at.is_none());
    webhook.ok_or_else(Problem::not_found)
}

/// The same, and enabled.
async fn find_enabled(app: &App, caller: &Caller, id: &str) -> Result<Webhook, Problem> {
    let webhook = find_there(app, caller, id).await?;
    if webhook.is_enabled() {
        return Ok(webhook);
    }
    let detail = "the webhook is disabled; enable it first with PATCH {\"enabled\": true}";
    Err(Problem::new(Code::WebhookDisabled, detail))
}
