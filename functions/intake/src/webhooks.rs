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
        webhook::{DisableReason, Disabled, WEBHOOKS_MAX},
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

/// A webhook that was created, by this call or by an earlier one with the same idempotency key.
pub(crate) struct CreatedWebhook {
    pub(crate) webhook: Webhook,
    /// Shown by the call that created the webhook only.
    secret: Option<SecretString>,
}

/// The effect of a PUT.
pub(crate) enum Replaced {
    Created(CreatedWebhook),
    Changed(Webhook),
}

/// A call that writes a webhook, and the path of the webhooks that it names.
pub(crate) struct Call<'a> {
    pub(crate) path: &'static str,
    pub(crate) host: &'a CalledHost,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Result<Json, Problem>,
}

#[derive(Serialize)]
struct CreatedView<'a, V> {
    #[serde(flatten)]
    view: V,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// Creates a webhook.
pub(crate) async fn create(
    State(app): State<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let call = Call { path: PATH, host: &host, headers: &headers, body };
    let created = create_webhook(&app, call).await?;
    Ok(created.to_response(PATH, WebhookView::new))
}

/// Creates the webhook that the body describes, or finds it again under its idempotency key.
pub(crate) async fn create_webhook(app: &App, call: Call<'_>) -> Result<CreatedWebhook, Problem> {
    let Call { path, host, headers, body } = call;
    let caller = app.core.accounts.caller(headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let keyed = idempotency::keyed(app, caller.owner(), headers, path, &body).await?;
    let draft = Draft::read(body, true)?;
    let minted = match keyed {
        Some(keyed) => MintedWebhookId::from_bits(keyed.bits),
        None => MintedWebhookId::mint(app.core.now(), app.core.entropy.next()),
    };
    let id = draft.id.clone().unwrap_or_else(|| WebhookId::minted(minted));
    let before = find(app, &caller, &id).await?;
    if let Some(found) = before.as_ref().filter(|it| it.deleted_at.is_none()) {
        return exists(found.clone(), keyed);
    }
    make(app, &caller, host, Target { id, before }, draft, keyed).await
}

/// Replaces the settings of a webhook, or creates it.
pub(crate) async fn put(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let call = Call { path: PATH, host: &host, headers: &headers, body };
    let replaced = replace_webhook(&app, &id, call).await?;
    Ok(replaced.to_response(PATH, WebhookView::new))
}

/// Replaces the settings of the webhook `id`, or creates it.
pub(crate) async fn replace_webhook(
    app: &App,
    id: &str,
    call: Call<'_>,
) -> Result<Replaced, Problem> {
    let Call { host, headers, body, .. } = call;
    let caller = app.core.accounts.caller(headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let id = WebhookId::parse(id).ok_or_else(Problem::not_found)?;
    let draft = Draft::read(body, false)?;
    match find(app, &caller, &id).await? {
        Some(webhook) if webhook.deleted_at.is_none() => {
            let changed = change(app, &caller, host, webhook, |_| Ok(draft.clone())).await?;
            Ok(Replaced::Changed(changed))
        }
        before => {
            let created = make(app, &caller, host, Target { id, before }, draft, None).await?;
            Ok(Replaced::Created(created))
        }
    }
}

/// Changes settings of a webhook.
pub(crate) async fn patch(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let call = Call { path: PATH, host: &host, headers: &headers, body };
    let webhook = patch_webhook(&app, &id, call).await?;
    Ok(axum::Json(WebhookView::new(&webhook)).into_response())
}

/// Changes the settings of the webhook `id` that the body names.
pub(crate) async fn patch_webhook(app: &App, id: &str, call: Call<'_>) -> Result<Webhook, Problem> {
    let Call { host, headers, body, .. } = call;
    let caller = app.core.accounts.caller(headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let webhook = find_there(app, &caller, id).await?;
    change(app, &caller, host, webhook, |it| Draft::patch(it, body.clone())).await
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
    app.core.webhooks.forget(caller.owner());
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

/// The id of a new webhook, and the deleted webhook that had it before.
struct Target {
    id: WebhookId,
    before: Option<Webhook>,
}

async fn make(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    target: Target,
    draft: Draft,
    keyed: Option<IdempotentCall>,
) -> Result<CreatedWebhook, Problem> {
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
        id: target.id,
        owner: caller.owner(),
        created_by: op,
        body_hash: keyed.map(|it| it.body_hash),
        created_at: now,
        updated_by: op,
        updated_at: now,
        disabled: (!draft.enabled).then_some(Disabled { why: DisableReason::ByHand, at: now }),
        settings: draft.settings,
        failing_since: None,
        secrets: Secrets(vec![secret.kept]),
        deleted_at: None,
        revision: 0,
    };
    let webhook = target.before.map_or_else(|| first.clone(), |deleted| deleted.replaced(&first));
    // What is in the place of one that was deleted is written over it.
    let saved = match webhook.revision {
        0 => app.core.store.create(&webhook).await?,
        _ => app.core.store.save(&webhook).await?,
    };
    app.core.webhooks.forget(caller.owner());
    match saved {
        Saved::Saved => (),
        // A write of ours whose answer was lost, come back.
        Saved::Superseded(found) if found.created_by == op => (),
        Saved::Superseded(found) => return exists(found, keyed),
        Saved::Gone => return Err(Problem::too_busy()),
    }
    caller.audit("made a webhook", webhook.id.as_str());
    Ok(CreatedWebhook { webhook, secret: Some(secret.text) })
}

impl CreatedWebhook {
    /// 201 with the webhook in the format of `view`.
    pub(crate) fn to_response<'a, V: Serialize>(
        &'a self,
        path: &str,
        view: impl FnOnce(&'a Webhook) -> V,
    ) -> Response {
        let secret = self.secret.as_ref().map(ExposeSecret::expose_secret);
        let location = format!("{path}/{}", self.webhook.id);
        let location = HeaderValue::from_str(&location).expect("an id is ASCII");
        let body = axum::Json(CreatedView { view: view(&self.webhook), secret });
        let mut response = (StatusCode::CREATED, [(LOCATION, location)], body).into_response();
        if self.secret.is_none() {
            idempotency::mark_replayed(&mut response);
        }
        response
    }
}

impl Replaced {
    /// 200 or 201 with the webhook in the format of `view`.
    pub(crate) fn to_response<'a, V: Serialize>(
        &'a self,
        path: &str,
        view: impl FnOnce(&'a Webhook) -> V,
    ) -> Response {
        match self {
            Self::Created(created) => created.to_response(path, view),
            Self::Changed(webhook) => axum::Json(view(webhook)).into_response(),
        }
    }
}

/// The result where the id is taken: by an earlier attempt of the same call, or by another webhook.
fn exists(found: Webhook, keyed: Option<IdempotentCall>) -> Result<CreatedWebhook, Problem> {
    let Some(IdempotentCall { body_hash, .. }) = keyed.filter(|_| found.body_hash.is_some()) else {
        let detail = format!("there is a webhook called `{}`; PUT or PATCH it", found.id);
        return Err(Problem::new(Code::WebhookExists, detail));
    };
    idempotency::check(found.body_hash, body_hash)?;
    Ok(CreatedWebhook { webhook: found, secret: None })
}

/// Changes a webhook to what `wanted` makes of it; anew, where another change was faster, so that a
/// patch undoes nothing that it does not name.
async fn change(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    webhook: Webhook,
    wanted: impl Fn(&Webhook) -> Result<Draft, Problem>,
) -> Result<Webhook, Problem> {
    let Draft { settings, probe, .. } = wanted(&webhook)?;
    if settings.receiver.url != webhook.settings.receiver.url {
        callback::check(app, &settings.receiver, URL, probe, host).await?;
    }
    let op = app.core.new_op();
    let now = app.core.now();
    let step = |it: &Webhook| match it.deleted_at {
        None => wanted(it).map(|draft| it.change(draft.settings, draft.enabled, now, op)),
        Some(_) => Err(Problem::not_found()),
    };
    let webhook = app.core.advance(webhook, step).await?;
    app.core.webhooks.forget(caller.owner());
    caller.audit("changed a webhook", webhook.id.as_str());
    Ok(webhook)
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
