//! Short spellings of attributes, because DynamoDB charges for every kilobyte of an item.
//!
//! The files of the item kinds use whole words. In the table an attribute has the short name given
//! here, and a long text or body is deflated.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use miniz_oxide::{
    deflate::{CompressionLevel, compress_to_vec},
    inflate::decompress_to_vec_with_limit,
};

/// An item's attributes by name.
pub type Attributes = HashMap<String, AttributeValue>;

/// Shortest text that is deflated, in bytes. Shorter ones seldom shrink.
const DEFLATED_BYTES_MIN: usize = 300;
/// Longest text or body after inflating, in bytes. It is more than any item can be made from.
const INFLATED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The name in the table of an attribute, by the name in the code. Other names are the same.
///
/// Keys, keys of indexes and attributes in expressions keep their names.
pub(super) const NAMES: [(&str, &str); 42] = [
    ("answers", "a"),
    ("attempt", "n_att"),
    ("base_url", "u"),
    ("body", "b"),
    ("body_hash", "bh"),
    ("breaker_wait_ms", "bw"),
    ("callback", "cb"),
    ("callback_event", "ce"),
    ("channel", "ch"),
    ("codes", "co"),
    ("counted", "ct"),
    ("created_by", "by"),
    ("data", "da"),
    ("deadline", "dl"),
    ("disables", "di"),
    ("duration_ms", "ms"),
    ("ended", "e"),
    ("erased", "er"),
    ("error_kind", "ek"),
    ("error_message", "em"),
    ("event", "ev"),
    ("event_type", "et"),
    ("exchange", "x"),
    ("expedited_by", "xb"),
    ("failures", "f"),
    ("family", "fa"),
    ("happened_at", "h"),
    ("leftovers", "lo"),
    ("link_secret", "ls"),
    ("n_events", "ne"),
    ("outbox", "o"),
    ("policy", "p"),
    ("private", "pr"),
    ("published", "pu"),
    ("question", "q"),
    ("redelivered_since", "rs"),
    ("redeliveries", "rd"),
    ("reference", "rf"),
    ("starts", "st"),
    ("steps", "sp"),
    ("target", "t"),
    ("trace", "tr"),
];

/// The name in the table of the attribute `name`.
pub(super) fn stored_name(name: &str) -> &str {
    NAMES.binary_search_by_key(&name, |it| it.0).map_or(name, |it| NAMES[it].1)
}

/// A text, deflated if that makes it shorter.
pub(super) fn text(text: String) -> AttributeValue {
    if text.len() < DEFLATED_BYTES_MIN {
        return AttributeValue::S(text);
    }
    let deflated = deflate(text.as_bytes());
    if deflated.len() < text.len() {
        AttributeValue::B(Blob::new(deflated))
    } else {
        AttributeValue::S(text)
    }
}

/// Bytes that are usually a text. A short text is not deflated.
pub(super) fn bytes(bytes: &[u8]) -> AttributeValue {
    match str::from_utf8(bytes) {
        Ok(text) if text.len() < DEFLATED_BYTES_MIN => AttributeValue::S(text.to_owned()),
        Ok(_) | Err(_) => AttributeValue::B(Blob::new(deflate(bytes))),
    }
}

/// The content of an attribute that [`bytes`] made. `None`: it is malformed.
pub(super) fn read_bytes(value: AttributeValue) -> Option<Vec<u8>> {
    match value {
        AttributeValue::S(text) => Some(text.into_bytes()),
        AttributeValue::B(bytes) => inflate(bytes.as_ref()),
        _ => None,
    }
}

/// The text of an attribute that [`text`] made. `None`: it is malformed.
pub(super) fn read_text(value: AttributeValue) -> Option<String> {
    match value {
        AttributeValue::S(text) => Some(text),
        value => String::from_utf8(read_bytes(value)?).ok(),
    }
}

/// The content of an attribute for checks that search a table: as it is stored and, where that can be
/// inflated, inflated after it.
pub fn plain(value: &AttributeValue) -> Option<Vec<u8>> {
    match value {
        AttributeValue::S(text) => Some(text.clone().into_bytes()),
        AttributeValue::B(bytes) => {
            let mut content = bytes.as_ref().to_vec();
            content.extend(inflate(bytes.as_ref()).unwrap_or_default());
            Some(content)
        }
        _ => None,
    }
}

/// `bytes`, deflated.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::DefaultLevel as u8)
}

/// The bytes that were deflated. `None`: they are malformed, or too long.
fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    decompress_to_vec_with_limit(bytes, INFLATED_BYTES_MAX).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_sorted_and_no_two_are_the_same() {
        assert!(NAMES.is_sorted_by(|one, other| one.0 < other.0));
        let stored: BTreeSet<&str> = NAMES.iter().map(|it| it.1).collect();
        assert_eq!(stored.len(), NAMES.len());
        let taken = ["pk", "sk", "v", "n", "id", "ttl"];
        assert!(taken.iter().all(|it| !stored.contains(it) && stored_name(it) == *it));
    }

    proptest! {
        #[test]
        fn text_is_read_back_and_never_grows(part in r"\PC{0,40}", count in 0_usize..60) {
            let whole = part.repeat(count);
            let value = text(whole.clone());
            let n_bytes = value.as_s().map_or_else(
                |it| it.as_b().map_or(usize::MAX, |it| it.as_ref().len()),
                String::len,
            );
            prop_assert!(n_bytes <= whole.len());
            prop_assert!(plain(&value).is_some_and(|it| it.ends_with(whole.as_bytes())));
            prop_assert_eq!(read_text(value), Some(whole));
        }

        #[test]
        fn malformed_bytes_are_never_a_panic(bytes: Vec<u8>) {
            inflate(&bytes);
            prop_assert_eq!(read_bytes(super::bytes(&bytes)), Some(bytes));
        }
    }
}
