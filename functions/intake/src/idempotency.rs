//! Idempotency keys: the same call made twice makes one thing.
//!
//! A key stands for the identifier of what is made under it, so that finding it again costs no
//! write, and concurrent calls meet in one conditional write.

use answerback::{
    api::{Code, FieldError, Problem},
    domain::{ApiKey, BodyHash, Channel, Event, OpId, Owner, Request, Webhook},
    signing,
    store::{Item, Key, Saved},
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::Value;

use crate::App;

/// Longest idempotency key, in characters.
const CHARS_MAX: usize = 255;
/// Says that nothing new was made.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a call under an idempotency key makes.
#[derive(Clone, Copy)]
pub(crate) struct IdempotentCall {
    /// What its identifier is made from.
    pub(crate) bits: u128,
    /// What it is made from.
    pub(crate) body_hash: BodyHash,
}

/// What a call to `path` with this body makes, if there is a key.
///
/// Keys are apart by account, mode and path. White space and the order of members do not count.
pub(crate) async fn keyed(
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
        bits: signing::derive_bits(&account.id_key.0, &parts),
        body_hash: BodyHash(hash[..16].try_into().expect("16 of 32 bytes")),
    }))
}

/// Something that a call makes once under a key, and that says by which operation it was made.
pub(crate) trait Made: Item {
    /// The operation that made it.
    fn made_by(&self) -> OpId;
    /// What it was made from, if under a key.
    fn body_hash(&self) -> Option<BodyHash>;
}

macro_rules! made {
    ($($item:ty),*) => {$(
        impl Made for $item {
            fn made_by(&self) -> OpId {
                self.created_by
            }

            fn body_hash(&self) -> Option<BodyHash> {
                self.body_hash
            }
        }
    )*};
}

made!(ApiKey, Channel, Event, Request, Webhook);

/// What a call before has made under the same key, if there was one.
///
/// Looked up before anything is tried out: what was accepted once is not to be refused for a
/// receiver that is down.
pub(crate) async fn find<T: Made>(
    app: &App,
    keyed: Option<IdempotentCall>,
    key: Key,
) -> Result<Option<T>, Problem> {
    let Some(IdempotentCall { body_hash, .. }) = keyed else { return Ok(None) };
    let Some(found) = app.core.store.get::<T>(key).await? else { return Ok(None) };
    check(found.body_hash(), body_hash)?;
    Ok(Some(found))
}

/// Writes `first`. Gives what another call under the same key has made meanwhile, if it was faster.
pub(crate) async fn create<T: Made>(
    app: &App,
    keyed: Option<IdempotentCall>,
    first: &T,
) -> Result<Option<T>, Problem> {
    let op = first.made_by();
    match app.core.store.create(first).await? {
        Saved::Saved => Ok(None),
        // A write of ours whose answer was lost, come back.
        Saved::Superseded(found) if found.made_by() == op => Ok(None),
        Saved::Superseded(found) => {
            let Some(IdempotentCall { body_hash, .. }) = keyed else {
                return Err(Problem::too_busy());
            };
            check(found.body_hash(), body_hash)?;
            Ok(Some(found))
        }
        Saved::Gone => Err(Problem::too_busy()),
    }
}

/// Refuses a key that was used before for something else.
pub(crate) fn check(found: Option<BodyHash>, body_hash: BodyHash) -> Result<(), Problem> {
    let detail = "this Idempotency-Key was used before, with another body";
    let is_same = found == Some(body_hash);
    if is_same { Ok(()) } else { Err(Problem::new(Code::IdempotencyKeyReused, detail)) }
}

/// Says that nothing new was made.
pub(crate) fn mark_replayed<T>(response: &mut Response<T>) {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let is_printable = |it: &&str| {
        (1..=CHARS_MAX).contains(&it.len()) && it.bytes().all(|it| (b' '..=b'~').contains(&it))
    };
    let key = value.to_str().ok().filter(is_printable);
    key.map(Some).ok_or_else(|| {
        let detail = format!("must have 1 to {CHARS_MAX} printable characters");
        Problem::invalid(vec![FieldError::parameter("Idempotency-Key", detail)])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_idempotency_key_is_short_and_printable_or_refused(
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
