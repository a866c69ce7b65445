//! Channels: made, given another token or another secret, and deleted.

use answerback::{
    api::{
        Fields, Problem,
        body::FieldErrors,
        http::{Json, JsonOrNothing},
    },
    domain::{Channel, ChannelId, Scope, Secrets},
    fronts::ping::{ChannelView, find, new_token, token_hash},
    service::Caller,
    store::keys,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::Value;

use crate::{App, idempotency, secret};

/// Where channels are made.
const PATH: &str = "/v1/channels";
/// Longest name of a channel, in characters.
const NAME_CHARS_MAX: usize = 100;

/// A channel as it is shown to who made it, or its token: these in full, this once.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    view: ChannelView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// Makes a channel; or, under an idempotency key that was used before, finds it again.
pub(crate) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let now = app.core.now();
    let keyed = idempotency::keyed(&app, caller.owner(), &headers, PATH, &body).await?;
    let id = match keyed {
        Some(keyed) => ChannelId::from_bits(keyed.bits),
        None => ChannelId::mint(now, app.core.entropy.next()),
    };
    if let Some(found) = idempotency::find(&app, keyed, keys::channel(id)).await? {
        return replayed(&found);
    }
    let name = read(body)?;
    let token = new_token(id, &app.core.entropy);
    let secret = app.core.vault.make(caller.account(), now, &app.core.entropy).await?;
    let channel = Channel {
        id,
        owner: caller.owner(),
        name,
        token_hash: token_hash(&token),
        secrets: Secrets(vec![secret.kept]),
        created_at: now,
        created_by: app.core.new_op(),
        body_hash: keyed.map(|it| it.body_hash),
        deleted_at: None,
        revision: 0,
    };
    if let Some(found) = idempotency::create(&app, keyed, &channel).await? {
        return replayed(&found);
    }
    caller.audit("made a channel", &id.to_string());
    let secret = Some(secret.text.expose_secret());
    let token = Some(token.expose_secret());
    let made = Made { view: ChannelView::new(&channel), token, secret };
    Ok((StatusCode::CREATED, axum::Json(made)).into_response())
}

/// Gives a channel another token; the one before opens nothing from then on.
pub(crate) async fn regenerate(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let channel = find(&app.core.store, caller.owner(), &id).await?;
    let token = new_token(channel.id, &app.core.entropy);
    let hash = token_hash(&token);
    let channel = change(&app, channel, |it| Ok(it.regenerate(hash))).await?;
    audit(&caller, "regenerated the token of", &channel);
    let token = Some(token.expose_secret());
    let made = Made { view: ChannelView::new(&channel), token, secret: None };
    Ok(axum::Json(made).into_response())
}

/// Deletes a channel: its token opens nothing from then on.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let channel = find(&app.core.store, caller.owner(), &id).await?;
    let now = app.core.now();
    let channel = app.core.advance(channel, |it| Ok::<_, Problem>(it.delete(now))).await?;
    audit(&caller, "deleted", &channel);
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
    let overlap = secret::overlap(body?)?;
    let channel = find(&app.core.store, caller.owner(), &id).await?;
    let now = app.core.now();
    let new = app.core.vault.make(caller.account(), now, &app.core.entropy).await?;
    let step = |it: &Channel| it.rotate(&new.kept, overlap).map_err(secret::too_many);
    let channel = change(&app, channel, step).await?;
    audit(&caller, "rotated the secret of", &channel);
    secret::rotated(&channel.secrets, &new, now)
}

/// Takes a step from a channel, unless it is deleted meanwhile.
async fn change(
    app: &App,
    channel: Channel,
    step: impl Fn(&Channel) -> Result<Option<Channel>, Problem>,
) -> Result<Channel, Problem> {
    let changed = app.core.advance(channel, |it| match it.deleted_at {
        Some(_) => Err(Problem::not_found()),
        None => step(it),
    });
    Ok(changed.await?)
}

fn audit(caller: &Caller, did: &'static str, channel: &Channel) {
    caller.audit(did, &channel.id.to_string());
}

/// What a repeated call made; the token and the secret are not shown again.
fn replayed(channel: &Channel) -> Result<Response, Problem> {
    if channel.deleted_at.is_some() {
        return Err(Problem::not_found());
    }
    let mut response = (StatusCode::CREATED, axum::Json(ChannelView::new(channel))).into_response();
    idempotency::mark_replayed(&mut response);
    Ok(response)
}

/// The name that the body gives, or everything that is wrong with it.
fn read(body: Value) -> Result<String, Problem> {
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let name = fields.required_line("name", 1..=NAME_CHARS_MAX, &mut faults);
    fields.finish(&mut faults);
    match name {
        Some(name) if faults.is_empty() => Ok(name),
        Some(_) | None => Err(Problem::invalid(faults)),
    }
}
