//! What stands above a callback's body: who it is from, what it is, and the proof of both.

use answerback::{
    domain::{
        Delivery,
        delivery::Receiver,
        profile::{Header, Previous, Signature},
    },
    egress::{HeaderMap, HeaderName, HeaderValue},
    signing::SigningKey,
};
use jiff::Timestamp;

use crate::Error;

/// Who we say that we are, unless the profile says otherwise.
const USER_AGENT: &str = concat!("Answerback/", env!("CARGO_PKG_VERSION"));

/// The headers of one attempt at `now`, signed with each of `keys`, of which the current one is
/// first.
pub(crate) fn headers(
    keys: &[SigningKey],
    delivery: &Delivery,
    receiver: &Receiver,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderMap, Error> {
    let spec = receiver.spec();
    let added = &receiver.headers.0;

    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("answerback-delivery", delivery.id.to_string()),
        ("answerback-event", delivery.event_type.as_str().to_owned()),
        ("answerback-attempt", delivery.attempt.to_string()),
    ];
    // Only a trace that somebody keeps: a receiver takes up what it says of sampling.
    let attempt = delivery.id.attempt(delivery.attempt);
    headers.extend(delivery.trace.map(|it| ("traceparent", it.traceparent(attempt))));
    headers.extend(spec.headers.iter().map(|(name, header)| {
        let value = match header {
            Header::Request => match delivery.request() {
                Some(request) => request.to_string(),
                None => delivery.event.to_string(),
            },
            Header::EventName => spec.event_name(delivery.event_type.as_str()).to_owned(),
            Header::DeliveryUuid => delivery.id.to_uuid(),
            Header::Second => now.as_second().to_string(),
            Header::Text(text) => (*text).to_owned(),
        };
        (*name, value)
    }));
    headers.extend(signatures(spec.signature, keys, delivery, body, now)?);

    let mut map = HeaderMap::with_capacity(headers.len() + added.len() + 1);
    for (name, value) in added {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::Secret)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| Error::Secret)?;
        // Nobody knows what they are for, so they are not shown.
        value.set_sensitive(true);
        map.insert(name, value);
    }
    for (name, value) in headers {
        let value = HeaderValue::from_str(&value).expect("our own values are ASCII");
        map.insert(HeaderName::from_static(name), value);
    }
    if let Some(token) = &receiver.bearer_token {
        let value = format!("Bearer {}", token.0);
        let mut value = HeaderValue::from_str(&value).map_err(|_| Error::Secret)?;
        value.set_sensitive(true);
        map.insert("authorization", value);
    }
    Ok(map)
}

/// The proof that `body` is ours: made with each of `keys`, of which the current one is first.
fn signatures(
    scheme: Signature,
    keys: &[SigningKey],
    delivery: &Delivery,
    body: &[u8],
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, Error> {
    let (current, previous) = keys.split_first().ok_or(Error::Secret)?;
    Ok(match scheme {
        Signature::Standard => {
            let second = now.as_second();
            let signatures = keys.iter().map(|it| it.sign_standard(delivery.id, second, body));
            vec![
                ("webhook-id", delivery.id.to_string()),
                ("webhook-timestamp", second.to_string()),
                ("webhook-signature", signatures.collect::<Vec<_>>().join(" ")),
            ]
        }
        Signature::Body { header } => {
            vec![(header, format!("sha256={}", current.sign_hex(&[body])))]
        }
        Signature::Timed { header, unit, previous: marked } => {
            let time = unit.count(now);
            let head = format!("{time}.");
            let sign = |mark: &str, key: &SigningKey| {
                format!(",{mark}={}", key.sign_hex(&[head.as_bytes(), body]))
            };
            let previous: String = match marked {
                Previous::Alike => previous.iter().map(|it| sign("v1", it)).collect(),
                Previous::Apart => previous.iter().take(1).map(|it| sign("v2", it)).collect(),
            };
            vec![(header, format!("t={time}{}{previous}", sign("v1", current)))]
        }
        Signature::None => Vec::new(),
    })
}
