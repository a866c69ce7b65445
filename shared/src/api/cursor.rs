//! Cursors: positions in lists, which callers pass back as they got them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

use crate::store::{Cursor, Key};

/// The text of a position in a list, as `next_cursor` has it.
pub fn text(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(position_text(cursor))
}

/// The position with this text.
pub fn parse(text: &str) -> Option<Cursor> {
    /// Several times the length of two keys in base64.
    const TEXT_CHARS_MAX: usize = 1_024;
    let bytes = (text.len() <= TEXT_CHARS_MAX).then(|| URL_SAFE_NO_PAD.decode(text).ok())??;
    parse_position(&String::from_utf8(bytes).ok()?)
}

/// A position as readable text.
pub fn position_text(cursor: &Cursor) -> String {
    let Key { pk, sk } = &cursor.key;
    let created_at = cursor.created_at.map(|it| format!(" {}", it.as_millisecond()));
    format!("{pk} {sk}{}", created_at.unwrap_or_default())
}

/// The position with this readable text.
pub fn parse_position(text: &str) -> Option<Cursor> {
    let is_key = |it: &str| {
        !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"_#-".contains(&it))
    };
    let (pk, rest) = text.split_once(' ')?;
    let (sk, created_at) = match rest.split_once(' ') {
        None => (rest, None),
        Some((sk, created_at)) => {
            let is_number = created_at.bytes().all(|it| it.is_ascii_digit());
            let number = is_number.then(|| created_at.parse().ok())??;
            let at = Timestamp::from_millisecond(number).ok()?;
            // One position has one text.
            (sk, Some(at).filter(|it| it.as_millisecond().to_string() == created_at).map(Some)?)
        }
    };
    let key = Key { pk: pk.to_owned(), sk: sk.to_owned() };
    (is_key(pk) && is_key(sk)).then_some(Cursor { key, created_at })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cursor_survives_a_round_trip() {
        let key = Key { pk: "req_01".to_owned(), sk: "att#0000001".to_owned() };
        for created_at in [None, Some(Timestamp::UNIX_EPOCH)] {
            let cursor = Cursor { key: key.clone(), created_at };
            assert_eq!(parse(&text(&cursor)), Some(cursor));
        }
    }

    proptest! {
        #[test]
        fn cursor_has_one_spelling_and_holds_table_keys(
            text in r"\PC*|[A-Za-z0-9_-]{0,40}|[A-Za-z0-9_+/=]{4,12}",
            keys in r"\PC*|[a-z0-9_#-]{0,12} [a-z0-9_#-]{0,12}( [0-9]{0,15})?|[a-z]{1,400} [a-z]{300,400}",
        ) {
            for text in [text, URL_SAFE_NO_PAD.encode(keys)] {
                let Some(cursor) = parse(&text) else { continue };
                // DynamoDB's limits for keys.
                prop_assert!((1..=1_024).contains(&cursor.key.pk.len()));
                prop_assert!((1..=1_024).contains(&cursor.key.sk.len()));
                prop_assert_eq!(super::text(&cursor), text);
            }
        }
    }
}
