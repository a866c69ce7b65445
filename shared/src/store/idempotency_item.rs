//! The encoding of the calls that an object remembers.

use super::reader::DecodeError;
use crate::domain::{BodyHash, IdempotentCall, PastCalls, idempotency::PastCall};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The attribute that holds them.
pub(crate) const CALLS: &str = "calls";

#[derive(Serialize, Deserialize)]
pub(crate) struct CallItem {
    /// Hexadecimal.
    id: String,
    /// Hexadecimal.
    body: String,
    at: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_of_earlier: bool,
}

pub(crate) fn encode(calls: &PastCalls) -> Vec<CallItem> {
    let encode = |it: &PastCall| CallItem {
        id: format!("{:032x}", it.call.id_bits),
        body: format!("{:032x}", u128::from_be_bytes(it.call.body_hash.0)),
        at: it.at.as_millisecond(),
        is_of_earlier: it.is_of_earlier,
    };
    calls.0.iter().map(encode).collect()
}

pub(crate) fn decode(items: Vec<CallItem>) -> Result<PastCalls, DecodeError> {
    let bits = |it: &str| u128::from_str_radix(it, 16).map_err(|_| DecodeError::of(CALLS));
    let decode = |it: CallItem| {
        let call = IdempotentCall {
            id_bits: bits(&it.id)?,
            body_hash: BodyHash(bits(&it.body)?.to_be_bytes()),
        };
        let at = Timestamp::from_millisecond(it.at).map_err(|_| DecodeError::of(CALLS))?;
        Ok(PastCall { call, at, is_of_earlier: it.is_of_earlier })
    };
    items.into_iter().map(decode).collect::<Result<_, _>>().map(PastCalls)
}
