//! Idempotency keys: a call that is repeated creates one object.
//!
//! The identifier of the object is derived from the key. So a repeated call finds the object
//! without an extra write, and concurrent calls meet in one conditional write.

use answerback::{
    api::{Code, FieldError, Problem, REPLAYED},
    domain::{
        ApiKey, BodyHash, Channel, Event, EventId, IdempotentCall, OpId, Owner, PastCalls, Request,
        idempotency::PastCall,
    },
    signing,
    store::{Item, Key, Saved},
};
use axum::http::{HeaderMap, HeaderValue, Response};
use jiff::Timestamp;
use serde_json::Value;

use crate::App;

/// Longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// The idempotent call to `path` with this body, if it has a key.
///
/// Each account, mode and path has its own keys. White space and the order of members do not count.
pub(crate) async fn of_call(
    app: &App,
    owner: Owner,
    headers: &HeaderMap,
    path: &str,
    body: &Value,
) -> Result<Option<IdempotentCall>, Problem> {
    let Some(key) = key(headers)? else { return Ok(None) };
    let account = app.core.accounts.account_of(owner).await?;
    let mode = owner.mode.as_str();
    let account_id = owner.account.to_string();
    let parts = [account_id.as_bytes(), mode.as_bytes(), path.as_bytes(), key.as_bytes()];
    let hash = signing::sha256(body.to_string().as_bytes());
    Ok(Some(IdempotentCall {
        id_bits: signing::derive_bits(&account.id_key.0, &parts),
        body_hash: BodyHash(hash[..16].try_into().expect("16 of 32 bytes")),
    }))
}

/// An object that a call with a key creates once.
pub(crate) trait Creation: Item {
    /// The operation that created it.
    fn created_by(&self) -> OpId;
    /// The hash of the body that it was created from, if the call had a key.
    fn body_hash(&self) -> Option<BodyHash>;
}

macro_rules! creations {
    ($($item:ty),*) => {$(
        impl Creation for $item {
            fn created_by(&self) -> OpId {
                self.created_by
            }

            fn body_hash(&self) -> Option<BodyHash> {
                self.body_hash
            }
        }
    )*};
}

creations!(ApiKey, Channel, Event, Request);

/// The identifier of the event that a call creates.
pub(crate) fn event_id(app: &App, call: Option<IdempotentCall>, now: Timestamp) -> EventId {
    match call {
        Some(it) => EventId::from_bits(it.id_bits),
        None => EventId::mint(now, app.core.entropy.next()),
    }
}

/// The object that an earlier call with the same key created.
///
/// Looked up before the receiver is probed: a repeated call succeeds although the receiver is down.
pub(crate) async fn find<T: Creation>(
    app: &App,
    call: Option<IdempotentCall>,
    key: Key,
) -> Result<Option<T>, Problem> {
    let Some(IdempotentCall { body_hash, .. }) = call else { return Ok(None) };
    let Some(found) = app.core.store.get::<T>(key).await? else { return Ok(None) };
    check(found.body_hash(), body_hash)?;
    Ok(Some(found))
}

/// Stores `first`, or returns the object of a concurrent call with the same key that was faster.
pub(crate) async fn create<T: Creation>(
    app: &App,
    call: Option<IdempotentCall>,
    first: &T,
) -> Result<Option<T>, Problem> {
    let op = first.created_by();
    match app.core.store.create(first).await? {
        Saved::Saved => Ok(None),
        // This call's own write: the SDK repeated it after its answer was lost.
        Saved::Superseded(found) if found.created_by() == op => Ok(None),
        Saved::Superseded(found) => {
            let Some(IdempotentCall { body_hash, .. }) = call else {
                return Err(Problem::too_busy());
            };
            check(found.body_hash(), body_hash)?;
            Ok(Some(found))
        }
        Saved::Gone => Err(Problem::too_busy()),
    }
}

/// True if `call` is one of the `calls` that an object remembers. Refuses a new call with a key that
/// the object could not remember.
pub(crate) fn is_repeated(
    calls: &PastCalls,
    call: Option<IdempotentCall>,
    now: Timestamp,
) -> Result<bool, Problem> {
    let Some(call) = call else { return Ok(false) };
    let Some(PastCall { call: first, is_of_earlier, .. }) = calls.find(call) else {
        return calls.full_until(now).map_or(Ok(false), |until| Err(too_many_keys(until, now)));
    };
    check(Some(first.body_hash), call.body_hash)?;
    if is_of_earlier { Err(gone()) } else { Ok(true) }
}

fn too_many_keys(until: Timestamp, now: Timestamp) -> Problem {
    let detail = "too many calls with an Idempotency-Key changed this object in 24 hours";
    let wait = u32::try_from(until.as_second() - now.as_second()).unwrap_or(1);
    Problem::new(Code::RateLimited, detail).retry_after(wait.max(1))
}

/// The problem of a repeated call whose object is gone.
pub(crate) fn gone() -> Problem {
    Problem::not_found().replayed()
}

/// Refuses a key that was used with another body.
pub(crate) fn check(found: Option<BodyHash>, body_hash: BodyHash) -> Result<(), Problem> {
    if found == Some(body_hash) {
        return Ok(());
    }
    let detail = "this Idempotency-Key was already used with another body";
    Err(Problem::new(Code::IdempotencyKeyReused, detail))
}

/// Marks the response of a repeated call.
pub(crate) fn mark_replayed<T>(response: &mut Response<T>) {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let is_printable = |it: &&str| {
        (1..=KEY_CHARS_MAX).contains(&it.len()) && it.bytes().all(|it| (b' '..=b'~').contains(&it))
    };
    let key = value.to_str().ok().filter(is_printable);
    key.map(Some).ok_or_else(|| {
        let detail = format!("must be 1 to {KEY_CHARS_MAX} printable ASCII characters");
        Problem::invalid(vec![FieldError::parameter("Idempotency-Key", detail)])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_short_printable_keys_are_accepted(
            text in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..4),
                prop::collection::vec(b' '..=b'~', 250..260),
            ],
        ) {
            let Ok(value) = HeaderValue::from_bytes(&text) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", value);
            let is_printable = text.iter().all(|it| (b' '..=b'~').contains(it));
            let read = key(&headers).map(|it| it.map(str::as_bytes));
            let is_wanted = is_printable && (1..=255).contains(&text.len());
            prop_assert_eq!(read.ok(), is_wanted.then_some(Some(&*text)));
        }
    }
}
