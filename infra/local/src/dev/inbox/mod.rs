//! The built-in receiver: does what a customer's would do, and shows what arrived.
//!
//! | call | answer |
//! |------|--------|
//! | `POST /inbox…` | 204, or what `?status=503` asks for, so that retries can be tried out |
//! | `HEAD /inbox…` | 204, for the look that is taken before a request is stored |
//! | `GET /inbox…`  | what arrived, newest first: a page, or JSON where that is accepted |

mod page;
mod signature;

use answerback::{
    api::http::header,
    domain::{Account, AccountId, Channel, Owner},
    platform::{Clock, Vault},
    store::{Listed, Store, keys},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, Method, StatusCode, Uri, header::ALLOW},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::System;

use signature::Unverified;

/// The largest callback that is taken: more than we ever send.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How much of a body is kept for showing.
const SHOWN_BYTES_MAX: usize = 64 * 1024;
/// Callbacks of older channels are taken for forged.
const CHANNELS_MAX: i32 = 100;
/// Older ones are forgotten.
const RECEIVED_MAX: usize = 200;

/// What arrived.
pub(super) struct Inbox {
    store: Store,
    vault: Vault,
    clock: Clock,
    account: AccountId,
    received: Mutex<VecDeque<Arc<Arrival>>>,
}

/// One callback as it arrived.
#[derive(Serialize)]
struct Arrival {
    received_at: Timestamp,
    path: String,
    /// What kind of event it tells of.
    event: Option<String>,
    delivery_id: Option<String>,
    attempt: Option<u32>,
    /// What we answered.
    status: u16,
    verified: bool,
    /// Why it is not verified.
    problem: Option<Unverified>,
    body: Shown,
}

/// A body as it is shown.
enum Shown {
    /// As it came, in the order in which it came.
    Json(Box<RawValue>),
    /// Not JSON, or cut.
    Text(String),
}

/// What a caller may ask of the inbox.
#[derive(Deserialize)]
pub(super) struct Wishes {
    status: Option<u16>,
    refresh: Option<u32>,
}

impl Inbox {
    /// An empty one, for callbacks that are signed with a secret of `account` or its channels.
    pub(super) fn new(system: &System, account: AccountId) -> Self {
        let System { store, vault, clock, .. } = system.clone();
        Self { store, vault, clock, account, received: Mutex::default() }
    }

    async fn receive(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
        status: u16,
    ) -> anyhow::Result<()> {
        let now = self.clock.now();
        // Read anew each time: the secret may have been rotated.
        let account: Option<Account> = self.store.get(keys::account(self.account)).await?;
        let channels = self
            .store
            .list::<Channel>(Owner::live(self.account), Listed::Channels, CHANNELS_MAX, None)
            .await?
            .items;
        let mut webhooks = self.store.webhooks(Owner::live(self.account)).await?;
        webhooks.extend(self.store.webhooks(Owner::test(self.account)).await?);
        let secrets = account.iter().map(|it| &it.secrets);
        let secrets = secrets.chain(channels.iter().map(|it| it.secrets()));
        let secrets = secrets.chain(webhooks.iter().map(|it| it.secrets()));
        let mut texts = Vec::new();
        for secret in secrets.flat_map(|it| it.live(now)) {
            texts.push(self.vault.open(self.account, secret, now).await?);
        }
        let secrets: Vec<_> = texts.iter().collect();
        let verified = signature::check(&secrets, headers, body, now);
        let text = |name| header(headers, name).map(str::to_owned);
        let received = Arrival {
            received_at: now,
            path: uri.path_and_query().map_or(String::new(), ToString::to_string),
            event: text("answerback-event"),
            delivery_id: text("answerback-delivery"),
            attempt: header(headers, "answerback-attempt").and_then(|it| it.parse().ok()),
            status,
            verified: verified.is_ok(),
            problem: verified.err(),
            body: Shown::of(body),
        };
        let mut all = self.received.lock().expect("no holder panics");
        all.push_front(Arc::new(received));
        all.truncate(RECEIVED_MAX);
        Ok(())
    }

    /// Newest first.
    fn received(&self) -> Vec<Arc<Arrival>> {
        self.received.lock().expect("no holder panics").iter().cloned().collect()
    }
}

/// Answers whatever comes to the inbox.
pub(super) async fn answer(
    State(inbox): State<Arc<Inbox>>,
    wishes: Result<Query<Wishes>, QueryRejection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(Query(wishes)) = wishes else {
        return (StatusCode::BAD_REQUEST, "`status` and `refresh` are numbers\n").into_response();
    };
    match method {
        Method::HEAD => StatusCode::NO_CONTENT.into_response(),
        Method::GET => show(&inbox.received(), &headers, wishes.refresh),
        Method::POST => {
            let status = wishes.status.map_or(Ok(StatusCode::NO_CONTENT), StatusCode::from_u16);
            let Some(status) = status.ok().filter(|it| !it.is_informational()) else {
                let text = "`status` must be a final HTTP status\n";
                return (StatusCode::BAD_REQUEST, text).into_response();
            };
            if let Err(err) = inbox.receive(&uri, &headers, &body, status.as_u16()).await {
                let error: &(dyn std::error::Error + 'static) = err.as_ref();
                tracing::error!(error, "the inbox could not read the account's secrets");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            status.into_response()
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD, POST")]).into_response(),
    }
}

fn show(received: &[Arc<Arrival>], headers: &HeaderMap, refresh: Option<u32>) -> Response {
    let accepted = header(headers, "accept").unwrap_or_default();
    if accepted.contains("application/json") {
        // Not by way of a `Value`, which takes some names in what arrived for its own.
        return axum::Json(BTreeMap::from([("data", received)])).into_response();
    }
    page::render(received, refresh)
}

impl Shown {
    fn of(body: &[u8]) -> Self {
        if body.len() <= SHOWN_BYTES_MAX
            && let Ok(value) = serde_json::from_slice(body)
        {
            return Self::Json(value);
        }
        let head = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES_MAX)]);
        let more = body.len().saturating_sub(SHOWN_BYTES_MAX);
        let note = if more > 0 { format!("\n… and {more} bytes more") } else { String::new() };
        Self::Text(format!("{head}{note}"))
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(value) => value.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::HeaderValue};

    use super::*;

    #[tokio::test]
    async fn what_arrived_is_shown_with_whatever_names_it_has() {
        const BODY: &str = r#"{"$serde_json::private::RawValue":1}"#;
        let received = Arrival {
            received_at: Timestamp::UNIX_EPOCH,
            path: "/inbox".to_owned(),
            event: None,
            delivery_id: None,
            attempt: None,
            status: 204,
            verified: true,
            problem: None,
            body: Shown::of(BODY.as_bytes()),
        };
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(axum::http::header::ACCEPT, json)]);
        let response = show(&[Arc::new(received)], &headers, None);
        let body = to_bytes(response.into_body(), BODY_BYTES_MAX).await.expect("it is all here");
        let text = std::str::from_utf8(&body).expect("JSON is UTF-8");
        assert!(text.starts_with(r#"{"data":[{"#) && text.contains(BODY), "{text}");
    }
}
