//! `POST /v1/keys` makes a key, `DELETE /v1/keys/{id}` revokes one.

use answerback::{
    api::{
        Fields, Problem,
        body::{FieldErrors, note},
        http::Json,
        views::KeyView,
    },
    domain::{ApiKey, KeyId, Mode, Owner, Scope, account::CALLS_PER_MINUTE_MAX},
    service::{Caller, NewKey},
    store::keys,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::{App, idempotency, question::optional_text};

/// Where keys are made.
const PATH: &str = "/v1/keys";
/// Longest name of a key, in characters.
const NAME_CHARS_MAX: usize = 100;

/// What a caller decides of a new key.
struct Draft {
    name: Option<String>,
    scopes: Vec<Scope>,
    mode: Mode,
    rate_limit_per_minute: Option<u32>,
}

/// A key as it is shown when it is made; the text this once.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    view: KeyView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

/// Makes a key, which may no more than the caller's own.
pub(crate) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::KeysWrite).await?;
    let Json(body) = body?;
    let now = app.core.now();
    let keyed = idempotency::keyed(&app, caller.owner(), &headers, PATH, &body).await?;
    let id = match keyed {
        Some(keyed) => KeyId::from_bits(keyed.bits),
        None => KeyId::mint(now, app.core.entropy.next()),
    };
    if let Some(found) = idempotency::find(&app, keyed, keys::api_key(id)).await? {
        return Ok(created(&found, None));
    }
    let Draft { name, scopes, mode, rate_limit_per_minute } = read(body, &caller)?;
    let NewKey { key, text } = NewKey::make_as(
        id,
        Owner { account: caller.account(), mode },
        scopes,
        now,
        &app.core.entropy,
    );
    let body_hash = keyed.map(|it| it.body_hash);
    let key = ApiKey { name, body_hash, rate_limit_per_minute, ..key };
    if let Some(found) = idempotency::create(&app, keyed, &key).await? {
        return Ok(created(&found, None));
    }
    caller.audit("made a key", &key.id.to_string());
    Ok(created(&key, Some(&text)))
}

/// Revokes a key; it opens nothing any more within seconds, wherever it is remembered.
pub(crate) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::KeysWrite).await?;
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

fn created(key: &ApiKey, text: Option<&SecretString>) -> Response {
    let made = Made { view: KeyView::new(key), key: text.map(ExposeSecret::expose_secret) };
    let mut response = (StatusCode::CREATED, axum::Json(made)).into_response();
    if text.is_none() {
        idempotency::mark_replayed(&mut response);
    }
    response
}

/// What the body asks for, or everything that is wrong with it.
fn read(body: Value, caller: &Caller) -> Result<Draft, Problem> {
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let name = optional_text(&mut fields, "name", NAME_CHARS_MAX, &mut faults);
    let livemode = fields.flag("livemode", &mut faults).unwrap_or(caller.owner().mode.is_live());
    if livemode && !caller.owner().mode.is_live() {
        fields.fault("livemode", "must be false: yours is a test key", &mut faults);
    }
    if !fields.has("scopes") {
        fields.fault("scopes", "is required", &mut faults);
    }
    let mut scopes = Vec::new();
    let listed = fields.list("scopes", 1..=Scope::ALL.len(), &mut faults);
    for (pointer, value) in listed.unwrap_or_default() {
        match value.as_str().and_then(Scope::parse) {
            Some(scope) if scopes.contains(&scope) => {
                note(&mut faults, pointer, "is there twice");
            }
            Some(scope) if !caller.may(scope) => {
                note(&mut faults, pointer, "is more than your own key may");
            }
            Some(scope) => scopes.push(scope),
            None => {
                let all = Scope::ALL.map(Scope::as_str).join(", ");
                note(&mut faults, pointer, format!("must be one of {all}"));
            }
        }
    }
    // Whose own calls are limited makes keys that are no less so.
    let most = caller.rate_limit_per_minute();
    let calls = 1..=most.unwrap_or(CALLS_PER_MINUTE_MAX);
    let rate_limit_per_minute =
        fields.integer("rate_limit_per_minute", calls, &mut faults).or(most);
    fields.finish(&mut faults);
    if faults.is_empty() {
        Ok(Draft { name, scopes, mode: Mode::of_livemode(livemode), rate_limit_per_minute })
    } else {
        Err(Problem::invalid(faults))
    }
}
