//! The headers of a callback: its identification, its sender, and its signature.

use answerback::{
    domain::{
        Delivery, NotificationId,
        delivery::{Credentials, Receiver, SealedHeader, Target},
        profile::{Header, Spec},
        secret::Sealed,
    },
    egress::{HeaderMap, HeaderName, HeaderValue, USER_AGENT},
    signing::{self, Message, SigningKeys},
};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::endpoint::Endpoint;
use crate::{App, Error};

/// Shown in place of a secret value.
const MASK: &str = "***";

/// The headers that the receiver wants in addition to ours.
pub(in crate::transport) struct AddedHeaders {
    auth: Option<SecretHeader>,
    headers: Vec<SecretHeader>,
}

struct SecretHeader {
    name: HeaderName,
    value: HeaderValue,
}

/// A header that we generate, which is always ASCII.
struct OwnHeader {
    name: &'static str,
    value: String,
}

/// The headers of one attempt at `at`, signed with `keys`.
///
/// Ours replace the receiver's `added` ones of the same name, and a profile's replace ours.
pub(in crate::transport) fn signed(
    keys: &SigningKeys,
    delivery: &Delivery,
    receiver: &Receiver,
    added: AddedHeaders,
    body: &[u8],
    at: Timestamp,
) -> HeaderMap {
    let spec = receiver.spec();
    let mut own = own_headers(delivery);
    own.extend(profile_headers(&spec, delivery, at));
    let message = Message { id: &shown_id(delivery), sent_at: at, body };
    let signatures = signing::sign(spec.signature, keys, &message).into_iter();
    own.extend(signatures.map(|it| OwnHeader { name: it.name, value: it.value }));

    let mut map = HeaderMap::with_capacity(own.len() + added.headers.len() + 1);
    map.extend(added.headers.into_iter().map(|it| (Some(it.name), it.value)));
    for OwnHeader { name, value } in own {
        let value = HeaderValue::from_str(&value).expect("our own values are ASCII");
        map.insert(HeaderName::from_static(name), value);
    }
    if let Some(SecretHeader { name, value }) = added.auth {
        map.insert(name, value);
    }
    map
}

/// Opens the credentials of the receiver.
pub(in crate::transport) async fn open(
    app: &App,
    endpoint: &Endpoint,
    at: Timestamp,
) -> Result<AddedHeaders, Error> {
    let Credentials { auth, headers } = &endpoint.receiver.credentials;
    let open = async |name: &str, value: &Sealed| -> Result<SecretHeader, Error> {
        let vault = &app.core.vault;
        let value = vault.open_credential(&endpoint.credentials_of, value, at).await?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::Header)?;
        Ok(SecretHeader { name, value: secret(value.expose_secret())? })
    };
    let mut added = AddedHeaders { auth: None, headers: Vec::with_capacity(headers.len()) };
    if let Some(auth) = auth {
        added.auth = Some(open(auth.kind.header(), &auth.value).await?);
    }
    for SealedHeader { name, value } in headers {
        added.headers.push(open(name, value).await?);
    }
    Ok(added)
}

/// The headers for an attempt's record, with secret values masked.
pub(super) fn masked(headers: &HeaderMap) -> Vec<(String, String)> {
    let masked = headers.iter().map(|(name, value)| {
        let value = if value.is_sensitive() {
            MASK.to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        (name.to_string(), value)
    });
    masked.collect()
}

/// The identifier of a delivery, which is a notification if it is a message.
fn shown_id(delivery: &Delivery) -> String {
    match delivery.target {
        Target::Message(_) | Target::Test(_) | Target::Update(_) => {
            NotificationId(delivery.id).to_string()
        }
        Target::Https(_) | Target::Bus | Target::Erased => delivery.id.to_string(),
    }
}

/// The headers that every profile has.
fn own_headers(delivery: &Delivery) -> Vec<OwnHeader> {
    let header = |name, value| OwnHeader { name, value };
    let mut headers = vec![
        header("content-type", "application/json".to_owned()),
        header("user-agent", USER_AGENT.to_owned()),
        header("answerback-delivery", shown_id(delivery)),
        header("answerback-event", delivery.event_type.as_str().to_owned()),
        header("answerback-attempt", delivery.attempt.to_string()),
    ];
    // Only if the caller sent a trace: the receiver adopts its sampling decision.
    let attempt = delivery.id.attempt(delivery.attempt);
    headers.extend(delivery.trace.map(|it| header("traceparent", it.traceparent(attempt))));
    headers
}

/// The headers that the profile adds.
fn profile_headers(spec: &Spec, delivery: &Delivery, at: Timestamp) -> Vec<OwnHeader> {
    let headers = spec.headers.iter().map(|(name, header)| {
        let value = match header {
            Header::Request => match delivery.request() {
                Some(request) => request.to_string(),
                None => delivery.event().to_string(),
            },
            Header::EventName => spec.event_name(delivery.event_type.as_str()).to_owned(),
            Header::DeliveryUuid => delivery.id.to_uuid(),
            Header::Second => at.as_second().to_string(),
            Header::Text(text) => (*text).to_owned(),
        };
        OwnHeader { name, value }
    });
    headers.collect()
}

/// A value that records and logs do not show. Customers put passwords into their own headers.
fn secret(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Error::Header)?;
    value.set_sensitive(true);
    Ok(value)
}
