//! The built-in receiver: verifies callbacks as a customer's receiver would, and shows them.
//!
//! | call | response |
//! |------|----------|
//! | `POST /inbox…` | 204, or the status in `?status=503`, to try out retries |
//! | `HEAD /inbox…` | 204, for the probe of a callback URL |
//! | `GET /inbox…`  | the received callbacks, newest first, as a page or as JSON |

mod page;
mod signature;

use answerback::{
    api::http::header,
    domain::{Account, AccountId, Channel, Owner, Secrets, Source, Webhook, secret::Holder},
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

/// The largest accepted callback. The service never sends one this large.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The part of a body that is kept and shown.
const SHOWN_BYTES_MAX: usize = 64 * 1024;
/// Channels whose secrets are tried. Callbacks of older channels count as forged.
const CHANNELS_MAX: i32 = 100;
/// Callbacks that are kept. Older ones are dropped.
const CALLBACKS_MAX: usize = 200;

/// The received callbacks.
pub(super) struct Inbox {
    store: Store,
    vault: Vault,
    clock: Clock,
    account: AccountId,
    received: Mutex<VecDeque<Arc<Callback>>>,
}

/// A received callback.
#[derive(Serialize)]
struct Callback {
    received_at: Timestamp,
    path: String,
    /// The type of its event.
    event: Option<String>,
    delivery_id: Option<String>,
    attempt: Option<u32>,
    /// The status of our response.
    status: u16,
    verified: bool,
    /// The reason why it is not verified.
    problem: Option<Unverified>,
    body: ShownBody,
}

/// The body of a callback, as the inbox shows it.
enum ShownBody {
    /// The JSON as it was sent, with its members in the same order.
    Json(Box<RawValue>),
    /// Anything else, or truncated JSON.
    Text(String),
}

/// The query parameters of the inbox.
#[derive(Deserialize)]
pub(super) struct Parameters {
    /// The status to respond with.
    status: Option<u16>,
    /// Seconds between reloads of the page. 0 turns them off.
    refresh: Option<u32>,
}

impl Inbox {
    /// An empty inbox for callbacks that are signed with a secret of `account`, its channels or its
    /// webhooks.
    pub(super) fn new(system: &System, account: AccountId) -> Self {
        let System { store, vault, clock, .. } = system.clone();
        Self { store, vault, clock, account, received: Mutex::default() }
    }

    /// Verifies and keeps a callback that is responded to with `status`.
    async fn receive(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
        status: u16,
    ) -> anyhow::Result<()> {
        let now = self.clock.now();
        // Read on every callback, because a secret may have been rotated.
        let account: Option<Account> = self.store.get(keys::account(self.account)).await?;
        let channels = self
            .store
            .list::<Channel>(Owner::live(self.account), Listed::Channels, CHANNELS_MAX, None)
            .await?
            .items;
        let mut webhooks = self.store.destinations(Owner::live(self.account)).await?.webhooks;
        webhooks.extend(self.store.destinations(Owner::test(self.account)).await?.webhooks);
        let mut texts = Vec::new();
        for (holder, secrets) in holders(account.as_ref(), &channels, &webhooks) {
            for secret in secrets.live(now) {
                texts.push(self.vault.open(&holder, secret, now).await?);
            }
        }
        let secrets: Vec<_> = texts.iter().collect();
        let verified = signature::verify(&secrets, headers, body, now);
        let text = |name| header(headers, name).map(str::to_owned);
        let received = Callback {
            received_at: now,
            path: uri.path_and_query().map_or(String::new(), ToString::to_string),
            event: text("answerback-event"),
            delivery_id: text("answerback-delivery"),
            attempt: header(headers, "answerback-attempt").and_then(|it| it.parse().ok()),
            status,
            verified: verified.is_ok(),
            problem: verified.err(),
            body: ShownBody::of(body),
        };
        let mut all = self.received.lock().expect("no holder panics");
        all.push_front(Arc::new(received));
        all.truncate(CALLBACKS_MAX);
        Ok(())
    }

    /// The received callbacks, newest first.
    fn received(&self) -> Vec<Arc<Callback>> {
        self.received.lock().expect("no holder panics").iter().cloned().collect()
    }
}

/// Everything whose secrets may sign a callback.
fn holders<'a>(
    account: Option<&'a Account>,
    channels: &'a [Channel],
    webhooks: &'a [Webhook],
) -> Vec<(Holder, &'a Secrets)> {
    let of_account = account.into_iter().flat_map(|account| {
        let owners = [Owner::live(account.id), Owner::test(account.id)];
        owners.into_iter().flat_map(|owner| {
            [Source::Requests, Source::Events].map(|source| {
                (Holder::Account(owner, source), account.secrets.of(owner.mode, source))
            })
        })
    });
    let channel = |it: &'a Channel| (Holder::Channel(it.owner, it.id), it.secrets());
    let webhook = |it: &'a Webhook| (Holder::Webhook(it.owner, it.reference()), it.secrets());
    of_account.chain(channels.iter().map(channel)).chain(webhooks.iter().map(webhook)).collect()
}

/// Responds to any call to the inbox.
pub(super) async fn respond(
    State(inbox): State<Arc<Inbox>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(Query(parameters)) = parameters else {
        return (StatusCode::BAD_REQUEST, "`status` and `refresh` must be numbers\n")
            .into_response();
    };
    match method {
        Method::HEAD => StatusCode::NO_CONTENT.into_response(),
        Method::GET => show(&inbox.received(), &headers, parameters.refresh),
        Method::POST => {
            let status = parameters.status.map_or(Ok(StatusCode::NO_CONTENT), StatusCode::from_u16);
            let Some(status) = status.ok().filter(|it| !it.is_informational()) else {
                let text = "`status` must be an HTTP status from 200 to 999\n";
                return (StatusCode::BAD_REQUEST, text).into_response();
            };
            if let Err(err) = inbox.receive(&uri, &headers, &body, status.as_u16()).await {
                let error: &(dyn std::error::Error + 'static) = err.as_ref();
                tracing::error!(error, "could not read the account's secrets");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            status.into_response()
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD, POST")]).into_response(),
    }
}

fn show(received: &[Arc<Callback>], headers: &HeaderMap, refresh: Option<u32>) -> Response {
    let accepted = header(headers, "accept").unwrap_or_default();
    if accepted.contains("application/json") {
        // Not through a `Value`: serde_json reserves some member names that a body may contain.
        return axum::Json(BTreeMap::from([("data", received)])).into_response();
    }
    page::render(received, refresh)
}

impl ShownBody {
    fn of(body: &[u8]) -> Self {
        if body.len() <= SHOWN_BYTES_MAX
            && let Ok(value) = serde_json::from_slice(body)
        {
            return Self::Json(value);
        }
        let head = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES_MAX)]);
        let more = body.len().saturating_sub(SHOWN_BYTES_MAX);
        let note = if more > 0 { format!("\n… {more} more bytes") } else { String::new() };
        Self::Text(format!("{head}{note}"))
    }
}

impl Serialize for ShownBody {
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
    async fn reserved_json_names_are_shown_unchanged() {
        const BODY: &str = r#"{"$serde_json::private::RawValue":1}"#;
        let received = Callback {
            received_at: Timestamp::UNIX_EPOCH,
            path: "/inbox".to_owned(),
            event: None,
            delivery_id: None,
            attempt: None,
            status: 204,
            verified: true,
            problem: None,
            body: ShownBody::of(BODY.as_bytes()),
        };
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(axum::http::header::ACCEPT, json)]);
        let response = show(&[Arc::new(received)], &headers, None);
        let body =
            to_bytes(response.into_body(), BODY_BYTES_MAX).await.expect("the body is in memory");
        let text = std::str::from_utf8(&body).expect("JSON is UTF-8");
        assert!(text.starts_with(r#"{"data":[{"#) && text.contains(BODY), "{text}");
    }
}
