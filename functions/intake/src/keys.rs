//! API keys: `POST /v1/keys` creates one, `DELETE /v1/keys/{id}` revokes one.

use answerback::{
    api::{
        Problem,
        body::{self, Object, must_be_one_of},
        http::{Json, NoBody},
        views::KeyView,
    },
    domain::{
        ApiKey, KeyId, Mode, Owner, Scope, account::CALLS_PER_MINUTE_MAX, limits::NAME_CHARS_MAX,
    },
    service::{Caller, NewKey},
    store::keys,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::{App, idempotency};

const PATH: &str = "/v1/keys";

/// A key as its creator describes it.
struct NewKeyBody {
    name: Option<String>,
    scopes: Vec<Scope>,
    mode: Mode,
    rate_limit_per_minute: Option<u32>,
}

/// A key as it is shown to its creator; its text is shown once.
#[derive(Serialize)]
struct CreatedKeyView<'a> {
    #[serde(flatten)]
    view: KeyView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

/// Creates a key with at most the rights of the caller's own.
pub(crate) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::KeysWrite).await?;
    let Json(body) = body?;
    let now = app.core.now();
    let call = idempotency::of_call(&app, caller.owner(), &headers, PATH, &body).await?;
    let id = match call {
        Some(it) => KeyId::from_bits(it.id_bits),
        None => KeyId::mint(now, app.core.entropy.next()),
    };
    if let Some(found) = idempotency::find(&app, call, keys::api_key(id)).await? {
        return replayed(&found);
    }
    let NewKeyBody { name, scopes, mode, rate_limit_per_minute } = read(body, &caller)?;
    let owner = Owner { account: caller.account(), mode };
    let NewKey { key, text } = NewKey::make_as(id, owner, scopes, now, &app.core.entropy);
    let body_hash = call.map(|it| it.body_hash);
    let key = ApiKey { name, body_hash, rate_limit_per_minute, ..key };
    if let Some(found) = idempotency::create(&app, call, &key).await? {
        return replayed(&found);
    }
    caller.audit("created a key", &key.id.to_string());
    Ok(created(&key, Some(&text)))
}

/// Revokes a key. Functions that cached it refuse it within seconds.
pub(crate) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::KeysWrite).await?;
    let NoBody = body?;
    let id: KeyId = id.parse().map_err(|_| Problem::not_found())?;
    let key: Option<ApiKey> = app.core.store.get(keys::api_key(id)).await?;
    let is_own = |it: &ApiKey| {
        it.owner.account == caller.account()
            && (it.owner.mode == caller.owner().mode || caller.owner().mode.is_live())
    };
    let key = key.filter(is_own).ok_or_else(Problem::not_found)?;
    let now = app.core.now();
    app.core.advance(key, |it| Ok::<_, Problem>(it.revoke(now))).await?;
    app.core.accounts.evict(id);
    caller.audit("revoked a key", &id.to_string());
    Ok(StatusCode::NO_CONTENT)
}

/// The response to a creation.
fn created(key: &ApiKey, text: Option<&SecretString>) -> Response {
    let view = KeyView::new(key);
    let view = CreatedKeyView { view, key: text.map(ExposeSecret::expose_secret) };
    (StatusCode::CREATED, axum::Json(view)).into_response()
}

/// The response to a repeated call, without the text.
fn replayed(key: &ApiKey) -> Result<Response, Problem> {
    if key.revoked_at.is_some() {
        return Err(idempotency::gone());
    }
    let mut response = created(key, None);
    idempotency::mark_replayed(&mut response);
    Ok(response)
}

fn read(body: Value, caller: &Caller) -> Result<NewKeyBody, Problem> {
    body::read(body, |body| {
        Some(NewKeyBody {
            name: body.optional_text("name", NAME_CHARS_MAX),
            mode: mode(body, caller),
            scopes: scopes(body, caller),
            rate_limit_per_minute: rate_limit_per_minute(body, caller),
        })
    })
}

fn mode(body: &mut Object<'_>, caller: &Caller) -> Mode {
    let own = caller.owner().mode;
    let mode = body.flag("livemode").map_or(own, Mode::of_livemode);
    if mode.is_live() && !own.is_live() {
        body.error("livemode", "must be false: the calling key is a test key");
    }
    mode
}

fn scopes(body: &mut Object<'_>, caller: &Caller) -> Vec<Scope> {
    body.require("scopes");
    let scopes = body.distinct("scopes", 1..=Scope::ALL.len(), |value| {
        match value.as_str().and_then(Scope::parse) {
            Some(scope) if caller.may(scope) => Ok(scope),
            Some(_) => Err("must be a scope of the calling key".to_owned()),
            None => Err(must_be_one_of(&Scope::ALL.map(Scope::as_str))),
        }
    });
    scopes.unwrap_or_default()
}

/// Reads the rate limit: at most that of the calling key, which is also the default.
fn rate_limit_per_minute(body: &mut Object<'_>, caller: &Caller) -> Option<u32> {
    let own = caller.rate_limit_per_minute();
    let calls = 1..=own.unwrap_or(CALLS_PER_MINUTE_MAX);
    body.integer("rate_limit_per_minute", calls).or(own)
}
