//! Channels: create, give a new token or secret, delete.

use answerback::{
    api::{
        Code, Problem, body,
        http::{Json, NoBody, OptionalJson},
    },
    domain::{
        Channel, ChannelId, Owner, Scope,
        channel::{CHANNELS_MAX, NewChannel},
        limits::NAME_CHARS_MAX,
        secret::Holder,
    },
    fronts::ping::{ChannelView, find, new_token, token_hash},
    service::Caller,
    store::{Listed, Listing, keys},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::Value;

use crate::{
    App, idempotency,
    secrets::{self, RotateCall},
};

const PATH: &str = "/v1/channels";

/// A channel as it is shown to its creator. Its token and secret are shown once.
#[derive(Serialize)]
struct CreatedChannelView<'a> {
    #[serde(flatten)]
    view: ChannelView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// Creates a channel.
pub(crate) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let now = app.core.now();
    let call = idempotency::of_call(&app, caller.owner(), &headers, PATH, &body).await?;
    let id = match call {
        Some(it) => ChannelId::from_bits(it.id_bits),
        None => ChannelId::mint(now, app.core.entropy.next()),
    };
    if let Some(found) = idempotency::find(&app, call, keys::channel(id)).await? {
        return replayed(&found);
    }
    let name = read(body)?;
    refuse_too_many(&app, caller.owner()).await?;
    let token = new_token(id, &app.core.entropy);
    let holder = Holder::Channel(caller.owner(), id);
    let secret = app.core.vault.make(&holder, now, &app.core.entropy).await?;
    let channel = Channel::new(NewChannel {
        id,
        owner: caller.owner(),
        name,
        token_hash: token_hash(&token),
        secret: secret.kept,
        created_at: now,
        created_by: app.core.new_op(),
        body_hash: call.map(|it| it.body_hash),
    });
    if let Some(found) = idempotency::create(&app, call, &channel).await? {
        return replayed(&found);
    }
    audit(&caller, "created a channel", &channel);
    let view = CreatedChannelView {
        view: ChannelView::new(&channel),
        token: Some(token.expose_secret()),
        secret: Some(secret.text.expose_secret()),
    };
    Ok((StatusCode::CREATED, axum::Json(view)).into_response())
}

/// Refuses another channel if the account has reached its limit in this mode. Calls at the same
/// moment do not see each other, so the limit may be exceeded by a few.
async fn refuse_too_many(app: &App, owner: Owner) -> Result<(), Problem> {
    let max = i32::try_from(CHANNELS_MAX).unwrap_or(i32::MAX);
    let all: Listing<Channel> = app.core.store.list(owner, Listed::Channels, max, None).await?;
    if all.items.len() < CHANNELS_MAX {
        return Ok(());
    }
    let detail = format!("limit of {CHANNELS_MAX} channels reached; delete one first");
    Err(Problem::new(Code::TooManyChannels, detail))
}

/// Gives a channel a new token. The previous one stops working at once.
pub(crate) async fn regenerate(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let NoBody = body?;
    let path = format!("{PATH}/{id}/regenerate");
    let call = idempotency::of_call(&app, caller.owner(), &headers, &path, &Value::Null).await?;
    let channel = find(&app.core.store, caller.owner(), &id).await?;
    let token = new_token(channel.id, &app.core.entropy);
    let (hash, now) = (token_hash(&token), app.core.now());
    let channel = change(&app, channel, |it| Ok(it.regenerate(hash, call, now))).await?;
    audit(&caller, "regenerated the token of a channel", &channel);
    let is_new = channel.token_hash == hash;
    let token = is_new.then(|| token.expose_secret());
    let view = CreatedChannelView { view: ChannelView::new(&channel), token, secret: None };
    let mut response = axum::Json(view).into_response();
    if !is_new {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

/// Deletes a channel. Its token stops working at once.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let NoBody = body?;
    let channel = find(&app.core.store, caller.owner(), &id).await?;
    let now = app.core.now();
    let channel = app.core.advance(channel, |it| Ok::<_, Problem>(it.delete(now))).await?;
    audit(&caller, "deleted a channel", &channel);
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
    let channel = find(&app.core.store, call.caller.owner(), &id).await?;
    if call.is_repeated(channel.calls(), app.core.now())? {
        return secrets::replayed(channel.secrets(), app.core.now());
    }
    let new = call.make(&app, &Holder::Channel(channel.owner, channel.id)).await?;
    let channel = change(&app, channel, |it| Ok(it.rotate(&new.rotation))).await?;
    audit(&call.caller, "rotated the secret of a channel", &channel);
    call.rotated(channel.secrets(), &new)
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
    let channel = find(&app.core.store, caller.owner(), &id).await?;
    let channel = change(&app, channel, |it| Ok(it.expire_previous())).await?;
    audit(&caller, "ended the overlap of the secrets of a channel", &channel);
    secrets::show(channel.secrets(), app.core.now())
}

/// Takes `step` from a channel, unless it was deleted.
async fn change(
    app: &App,
    channel: Channel,
    step: impl Fn(&Channel) -> Result<Option<Channel>, Problem>,
) -> Result<Channel, Problem> {
    let changed = app.core.advance(channel, |it| {
        if it.is_deleted() {
            return Err(Problem::not_found());
        }
        step(it)
    });
    Ok(changed.await?)
}

fn audit(caller: &Caller, did: &'static str, channel: &Channel) {
    caller.audit(did, &channel.id.to_string());
}

/// The response to a repeated call, without token and secret.
fn replayed(channel: &Channel) -> Result<Response, Problem> {
    if channel.is_deleted() {
        return Err(idempotency::gone());
    }
    let mut response = (StatusCode::CREATED, axum::Json(ChannelView::new(channel))).into_response();
    idempotency::mark_replayed(&mut response);
    Ok(response)
}

/// Reads the name.
fn read(body: Value) -> Result<String, Problem> {
    body::read(body, |body| body.required_line("name", 1..=NAME_CHARS_MAX))
}
