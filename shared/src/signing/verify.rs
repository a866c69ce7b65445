//! Verification of callbacks: what every receiver should do before it trusts one.
//!
//! The development inbox uses [`PresentedSignature`]; tests and the simulation use the function for
//! one scheme.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};

use super::{
    hmac,
    key::decode,
    same_bytes,
    scheme::{ID, SIGNATURE, TIMESTAMP},
    unhex,
};
use crate::domain::profile::{Signature, Unit};

/// The signature in a message's headers, not yet checked.
#[derive(Clone, Copy, Debug)]
pub enum PresentedSignature<'a> {
    /// The three headers of the `standard` scheme.
    Standard {
        /// Message id.
        id: &'a str,
        /// Seconds since the epoch.
        timestamp: &'a str,
        /// Signatures, separated by spaces.
        signatures: &'a str,
    },
    /// A `sha256=<hex>` header over the body alone.
    Body {
        /// Header value.
        signature: &'a str,
    },
    /// A `t=<time>,v1=<hex>` header.
    Timed {
        /// Unit of the time.
        unit: Unit,
        /// Header value.
        signature: &'a str,
    },
}

impl<'a> PresentedSignature<'a> {
    /// Finds the headers of `scheme`. `None`: the message does not have them all.
    pub fn find(scheme: Signature, header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        match scheme {
            Signature::Standard => Some(Self::Standard {
                id: header(ID)?,
                timestamp: header(TIMESTAMP)?,
                signatures: header(SIGNATURE)?,
            }),
            Signature::Body { header: name } => Some(Self::Body { signature: header(name)? }),
            Signature::Timed { header: name, unit, .. } => {
                Some(Self::Timed { unit, signature: header(name)? })
            }
            Signature::None => None,
        }
    }

    /// True if one of the signatures was made of these headers and `body` with `secret`.
    pub fn is_made_with(&self, secret: &str, body: &[u8]) -> bool {
        match self {
            Self::Standard { id, timestamp, signatures } => {
                verify_standard(secret, id, timestamp, body, signatures)
            }
            Self::Body { signature } => verify_body(secret, body, signature),
            Self::Timed { signature, .. } => verify_timed(secret, body, signature).is_some(),
        }
    }

    /// True if the signed time is within `tolerance` of `now`. A scheme without a time has no
    /// protection against replays, so there it is always true.
    pub fn is_recent(&self, now: Timestamp, tolerance: SignedDuration) -> bool {
        let sent_at = match self {
            Self::Body { .. } => return true,
            Self::Standard { timestamp, .. } => {
                timestamp.parse().ok().and_then(|it| Unit::Seconds.timestamp(it))
            }
            Self::Timed { unit, signature } => {
                let time = split_timed(signature).and_then(|it| it.time.parse().ok());
                time.and_then(|it| unit.timestamp(it))
            }
        };
        sent_at.is_some_and(|it| now.duration_since(it).abs() <= tolerance)
    }
}

/// True if one of the signatures in a `webhook-signature` header was made with `secret`.
pub fn verify_standard(
    secret: &str,
    id: &str,
    timestamp: &str,
    body: &[u8],
    signatures: &str,
) -> bool {
    let Some(key) = decode(secret) else { return false };
    let head = format!("{id}.{timestamp}.");
    let mac = hmac(&key, [head.as_bytes(), body]);
    signatures
        .split(' ')
        .filter_map(|it| it.strip_prefix("v1,"))
        .filter_map(|it| STANDARD.decode(it).ok())
        .any(|it| same_bytes(&mac, &it))
}

/// True if a `sha256=<hex>` header was made of `body` with `secret`.
pub fn verify_body(secret: &str, body: &[u8], signature: &str) -> bool {
    let presented = signature.strip_prefix("sha256=").and_then(unhex);
    presented.is_some_and(|it| same_bytes(&hmac(secret.as_bytes(), [body]), &it))
}

/// The time in a `t=<time>,v1=<hex>` header, if one of its signatures, `v1` or `v2`, was made of
/// that time and `body` with `secret`.
pub fn verify_timed(secret: &str, body: &[u8], signature: &str) -> Option<i64> {
    let TimedHeader { time, signatures } = split_timed(signature)?;
    let mac = hmac(secret.as_bytes(), [time.as_bytes(), b".", body]);
    let is_ours = |it: &str| {
        let presented = it.split_once('=').and_then(|(_, hex)| unhex(hex));
        presented.is_some_and(|it| same_bytes(&mac, &it))
    };
    signatures.split(',').any(is_ours).then(|| time.parse().ok())?
}

/// The parts of a `t=<time>,<signatures>` header.
struct TimedHeader<'a> {
    time: &'a str,
    signatures: &'a str,
}

fn split_timed(signature: &str) -> Option<TimedHeader<'_>> {
    let (time, signatures) = signature.strip_prefix("t=")?.split_once(',')?;
    Some(TimedHeader { time, signatures })
}

#[cfg(test)]
mod tests;
