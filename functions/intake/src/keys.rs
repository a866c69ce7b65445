//! API keys: `POST /v1/keys` creates one, `DELETE /v1/keys/{id}` revokes one.

use answerback::{
    api::{
        Code, Problem,
        body::{self, Object, must_be_one_of},
        http::{Json, NoBody},
        views::KeyView,
    },
    domain::{
        AccountId, ApiKey, EmailPattern, KeyId, Mode, Owner, Requester, Scope,
        account::{
            ASKS_PER_HOUR_MAX, CALLS_PER_MINUTE_MAX, KEY_MAKERS_MAX, KEYS_MAX, KeyWishes,
            RECIPIENT_PATTERNS_MAX,
        },
        limits::NAME_CHARS_MAX,
    },
    service::{Caller, NewKey},
    store::{Listed, Listing, keys},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::{App, idempotency, requests::requester};

const PATH: &str = "/v1/keys";
/// Keys that are read at a time.
const PAGE_LEN: i32 = 100;

/// A key as its creator describes it.
struct NewKeyBody {
    name: Option<String>,
    scopes: Vec<Scope>,
    mode: Mode,
    wishes: KeyWishes,
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
    let NewKeyBody { name, scopes, mode, wishes } = read(body, &caller, now)?;
    if caller.api_key().makers.len() >= KEY_MAKERS_MAX {
        let detail =
            format!("this key descends from {KEY_MAKERS_MAX} others and cannot create keys");
        return Err(Problem::new(Code::Forbidden, detail));
    }
    if of_account(&app, caller.account()).await?.iter().filter(|it| it.is_valid(now)).count()
        >= KEYS_MAX
    {
        let detail = format!("limit of {KEYS_MAX} keys reached; revoke one first");
        return Err(Problem::new(Code::TooManyKeys, detail));
    }
    let owner = Owner { account: caller.account(), mode };
    let NewKey { key, text } = NewKey::make_as(id, owner, scopes, now, &app.core.entropy);
    let body_hash = call.map(|it| it.body_hash);
    let key = ApiKey { name, body_hash, ..key }.made_by(caller.api_key(), &wishes);
    if let Some(found) = idempotency::create(&app, call, &key).await? {
        return replayed(&found);
    }
    caller.audit("created a key", &key.id.to_string());
    Ok(created(&key, Some(&text)))
}

/// Revokes a key and its descendants. Functions that cached one refuse it within seconds.
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
    if !key.is_within(caller.api_key()) {
        let detail = "the key to revoke has a scope that this key lacks, or wider limits";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let now = app.core.now();
    app.core.advance(key, |it| Ok::<_, Problem>(it.revoke(now))).await?;
    app.core.accounts.evict(id);
    caller.audit("revoked a key", &id.to_string());
    // Its descendants have no rights from now on. This only shows it in lists.
    let all = of_account(&app, caller.account()).await?;
    for key in all.into_iter().filter(|it| it.makers.contains(&id)) {
        app.core.advance(key, |it| Ok::<_, Problem>(it.revoke(now))).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The keys of an account, live and test.
async fn of_account(app: &App, account: AccountId) -> Result<Vec<ApiKey>, Problem> {
    let mut keys = Vec::new();
    for owner in [Owner::live(account), Owner::test(account)] {
        let mut cursor = None;
        loop {
            let Listing { items, next } =
                app.core.store.list(owner, Listed::Keys, PAGE_LEN, cursor.as_ref()).await?;
            keys.extend(items);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(keys)
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

fn read(body: Value, caller: &Caller, now: Timestamp) -> Result<NewKeyBody, Problem> {
    body::read(body, |body| {
        Some(NewKeyBody {
            name: body.optional_text("name", NAME_CHARS_MAX),
            mode: mode(body, caller),
            scopes: scopes(body, caller),
            wishes: KeyWishes {
                rate_limit_per_minute: rate_limit_per_minute(body, caller),
                asks_per_hour: asks_per_hour(body, caller),
                recipients_allowed: recipients_allowed(body, caller),
                requester: fixed_requester(body, caller),
                expires_at: expires_at(body, now),
            },
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
    let scopes = scopes.unwrap_or_default();
    if let Err(err) = Scope::check(&scopes) {
        body.error("scopes", err.to_string());
    }
    scopes
}

/// Reads the end. It comes no later than that of the calling key.
fn expires_at(body: &mut Object<'_>, now: Timestamp) -> Option<Timestamp> {
    let end = body.time("expires_at")?;
    if end <= now {
        body.error("expires_at", "must be in the future");
    }
    Some(end)
}

/// Reads the rate limit: at most that of the calling key, which is also the default.
fn rate_limit_per_minute(body: &mut Object<'_>, caller: &Caller) -> Option<u32> {
    let own = caller.rate_limit_per_minute();
    let calls = 1..=own.unwrap_or(CALLS_PER_MINUTE_MAX);
    body.integer("rate_limit_per_minute", calls)
}

/// Reads the limit of requests: at most that of the calling key, which is also the default.
fn asks_per_hour(body: &mut Object<'_>, caller: &Caller) -> Option<u32> {
    let own = caller.api_key().asks_per_hour();
    body.integer("asks_per_hour", 1..=own.unwrap_or(ASKS_PER_HOUR_MAX))
}

/// Reads the recipients that the key may ask: at most those of the calling key, which are also the
/// default.
fn recipients_allowed(body: &mut Object<'_>, caller: &Caller) -> Option<Vec<EmailPattern>> {
    let own = caller.api_key().recipients_allowed.as_deref();
    let is_within = |it: &EmailPattern| own.is_none_or(|own| own.iter().any(|own| own.covers(it)));
    body.distinct("recipients_allowed", 1..=RECIPIENT_PATTERNS_MAX, |value| {
        match value.as_str().and_then(EmailPattern::parse) {
            Some(pattern) if is_within(&pattern) => Ok(pattern),
            Some(_) => Err("must be within those of the calling key".to_owned()),
            None => Err("must be an address or a pattern such as `*@corp.example`".to_owned()),
        }
    })
}

/// Reads the requester of all requests of the key. That of the calling key cannot change.
fn fixed_requester(body: &mut Object<'_>, caller: &Caller) -> Option<Requester> {
    let requester = requester::read(body);
    let own = caller.api_key();
    if requester.is_some() && own.requester.is_some() {
        body.error("requester", "must not be set: the calling key has a fixed requester");
    } else if requester.is_some() && own.is_confined() {
        body.error("requester", "must not be set: the calling key may only ask");
    }
    requester
}
