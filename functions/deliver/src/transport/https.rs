//! HTTPS: posts the body to a request's callback URL or to a webhook.
//!
//! ```text
//!  endpoint ─▶ headers ─▶ egress ─▶ verdict
//!  URL and     signed     one POST  accepted, retry, or permanent
//!  secrets now
//! ```

mod endpoint;
pub(super) mod headers;
mod verdict;

use answerback::{
    domain::{
        CallbackUrl, Delivery, Webhook,
        attempt::{AttemptError, ErrorKind, Exchange, RESPONSE_EXCERPT_BYTES_MAX, Response},
        callback_url::CallbackUrlError,
        delivery::{AttemptVerdict, DeliveryEnd, FailureReason, Target},
    },
    egress::Post,
};
use jiff::Timestamp;

use super::{Exchanged, Sent};
use crate::{App, Error, breaker};
pub(super) use endpoint::{Endpoint, Signer, callback_signer};
use verdict::{HostKind, Judgement, judge};

/// Most response headers in an attempt's record.
const KEPT_HEADERS_MAX: usize = 50;
/// Bytes of the response headers in an attempt's record, names and values together.
const KEPT_HEADER_BYTES_MAX: usize = 8_192;

/// Posts `delivery` to its receiver.
pub(super) async fn send(
    app: &App,
    delivery: &Delivery,
    known: &[Webhook],
    at: Timestamp,
) -> Result<Sent, Error> {
    let (Target::Https(receiver), Some(body)) = (&delivery.target, &delivery.body) else {
        return Ok(Sent::Unsent(DeliveryEnd::Cancelled));
    };
    let endpoint = match Endpoint::find(app, delivery, receiver, known).await? {
        Ok(endpoint) => endpoint,
        Err(end) => return Ok(Sent::Unsent(end)),
    };
    let posting = Box::pin(post(app, delivery, &endpoint, body, at));
    let mut exchanged = breaker::watch(app, delivery, posting).await?;
    exchanged.webhook = endpoint.webhook;
    Ok(Sent::Exchanged(exchanged))
}

async fn post(
    app: &App,
    delivery: &Delivery,
    endpoint: &Endpoint,
    body: &[u8],
    at: Timestamp,
) -> Result<Box<Exchanged>, Error> {
    let receiver = &endpoint.receiver;
    let url = match CallbackUrl::parse(&receiver.url, &app.rules) {
        Ok(url) => url,
        Err(err) => return Ok(Box::new(blocked(&receiver.url, &err))),
    };
    let Signer { holder, secrets } = &endpoint.signer;
    // Boxed, because they are large and over before the call begins.
    let keys = Box::pin(app.core.vault.signing_keys(holder, secrets, at)).await?;
    let added = Box::pin(headers::open(app, endpoint, at)).await?;
    let headers = headers::signed(&keys, delivery, receiver, added, body, at);
    let shown = headers::masked(&headers);
    let host = HostKind::of(&url);
    let timeout = delivery.timeout();
    let answer = app.egress.post(Post { url, headers, body: body.to_vec(), timeout }).await;

    let Judgement { verdict, error, reply } = judge(answer, receiver, host, app.core.now());
    let response = reply.map(|it| Response {
        status: it.status,
        headers: kept_headers(it.headers),
        body: excerpt(&it.body),
    });
    let exchange = Exchange { url: receiver.url.clone(), headers: shown, response };
    let (webhook, refused, copy) = (None, None, None);
    Ok(Box::new(Exchanged { verdict, exchange, error, webhook, refused, copy }))
}

/// The result for a URL that the rules no longer allow. Nothing is sent.
fn blocked(url: &str, err: &CallbackUrlError) -> Exchanged {
    Exchanged {
        verdict: AttemptVerdict::Permanent(FailureReason::BlockedAddress),
        exchange: Exchange { url: url.to_owned(), headers: Vec::new(), response: None },
        error: Some(AttemptError { kind: ErrorKind::BlockedAddress, message: err.to_string() }),
        webhook: None,
        refused: None,
        copy: None,
    }
}

/// The first headers, within both limits, for people to read.
fn kept_headers(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut n_bytes = 0;
    let is_kept = |(name, value): &(String, String)| {
        n_bytes += name.len() + value.len();
        n_bytes <= KEPT_HEADER_BYTES_MAX
    };
    headers.into_iter().take(KEPT_HEADERS_MAX).take_while(is_kept).collect()
}

/// The beginning of a body, as text.
fn excerpt(body: &[u8]) -> String {
    let end = body.len().min(RESPONSE_EXCERPT_BYTES_MAX);
    String::from_utf8_lossy(&body[..end]).into_owned()
}
