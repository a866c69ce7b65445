//! The signature schemes of callbacks: the bytes that are signed and the header text.
//!
//! | profile | headers | signed bytes | key |
//! |---|---|---|---|
//! | `standard` | `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>`, one for each live secret | `{id}.{seconds}.{body}` | the base64 after `whsec_` |
//! | `nextks` | `x-nextks-signature: sha256=<hex>`, with the oldest live secret | `{body}` | the secret's text |
//! | `nextmv` | `nextmv-signature: t=<ms>,v1=<hex>`, one `v1` for each live secret | `{ms}.{body}` | the secret's text |
//! | `ping` | `x-ping-signature: t=<seconds>,v1=<hex>`, one `v1` for each live secret | `{seconds}.{body}` | the secret's text |
//! | `noukai` | `x-noukai-signature: t=<seconds>,v1=<hex>`, and `v2` with the latest previous secret | `{seconds}.{body}` | the secret's text |
//! | `notify` | none; the receiver checks a bearer token | | |
//!
//! A profile's row is data in [`crate::domain::profile`]; [`sign`] turns it into headers, and
//! `verify` checks them.

use jiff::Timestamp;

use super::{SigningKey, SigningKeys};
use crate::domain::profile::{Previous, Signature};

/// The id header of the `standard` scheme.
pub(super) const ID: &str = "webhook-id";
/// The time header of the `standard` scheme, in seconds.
pub(super) const TIMESTAMP: &str = "webhook-timestamp";
/// The signature header of the `standard` scheme.
pub(super) const SIGNATURE: &str = "webhook-signature";

/// A message to sign.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The identifier by which the receiver recognizes a repeated message.
    pub id: &'a str,
    /// The time of this attempt.
    pub sent_at: Timestamp,
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// A header that carries a signature or a part of what was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeader {
    /// Lowercase header name.
    pub name: &'static str,
    /// Header value, in ASCII.
    pub value: String,
}

/// The headers that sign `message` under `scheme`.
pub fn sign(scheme: Signature, keys: &SigningKeys, message: &Message<'_>) -> Vec<SignatureHeader> {
    let header = |name, value| SignatureHeader { name, value };
    match scheme {
        Signature::Standard => {
            let second = message.sent_at.as_second();
            let head = format!("{}.{second}.", message.id);
            let parts = [head.as_bytes(), message.body];
            let signatures = keys.iter().map(|it| format!("v1,{}", it.mac_base64(parts)));
            vec![
                header(ID, message.id.to_owned()),
                header(TIMESTAMP, second.to_string()),
                header(SIGNATURE, signatures.collect::<Vec<_>>().join(" ")),
            ]
        }
        Signature::Body { header: name } => {
            // There is room for one. The receiver switches when the overlap ends.
            let mac = keys.oldest().mac_hex([message.body, b""]);
            vec![header(name, format!("sha256={mac}"))]
        }
        Signature::Timed { header: name, unit, previous } => {
            let time = unit.count(message.sent_at);
            let head = format!("{time}.");
            let sign = |mark: &str, key: &SigningKey| {
                format!(",{mark}={}", key.mac_hex([head.as_bytes(), message.body]))
            };
            let current = sign("v1", &keys.current);
            let previous: String = match previous {
                Previous::Alike => keys.previous.iter().map(|it| sign("v1", it)).collect(),
                Previous::Apart => keys.previous.iter().take(1).map(|it| sign("v2", it)).collect(),
            };
            vec![header(name, format!("t={time}{current}{previous}"))]
        }
        Signature::None => Vec::new(),
    }
}
