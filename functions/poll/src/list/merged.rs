//! A list that is merged from two indexes, each with its own position in the cursor.

use answerback::{
    api::cursor::{parse_position, position_text},
    store::Cursor,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The parts of a cursor are separated by this.
const SEPARATOR: char = '|';
/// The text of [`Position::End`].
const END: &str = "-";

/// A position in one of the two indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Position {
    /// Before the first entry.
    #[default]
    Start,
    /// Right after an entry.
    After(Cursor),
    /// After the last entry.
    End,
}

/// A position in a merged list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions(pub(crate) [Position; 2]);

impl Positions {
    /// The `next_cursor` of a page that ends here. `None`: the list does.
    pub(crate) fn text(&self) -> Option<String> {
        let [one, other] = &self.0;
        let is_over = *one == Position::End && *other == Position::End;
        let text = || format!("{}{SEPARATOR}{}", one.text(), other.text());
        (!is_over).then(|| URL_SAFE_NO_PAD.encode(text()))
    }

    /// The position that [`Self::text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        /// Several times the length of four keys in base64.
        const TEXT_CHARS_MAX: usize = 2_048;
        let bytes = (text.len() <= TEXT_CHARS_MAX).then(|| URL_SAFE_NO_PAD.decode(text).ok())??;
        let text = String::from_utf8(bytes).ok()?;
        let (one, other) = text.split_once(SEPARATOR)?;
        let positions = Self([Position::parse(one)?, Position::parse(other)?]);
        // A page has no cursor at the start or the end.
        (positions != Self::default() && positions.text().is_some()).then_some(positions)
    }
}

impl Position {
    fn text(&self) -> String {
        match self {
            Self::Start => String::new(),
            Self::After(cursor) => position_text(cursor),
            Self::End => END.to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::Start),
            END => Some(Self::End),
            _ => parse_position(text).map(Self::After),
        }
    }
}

#[cfg(test)]
mod tests {
    use answerback::store::Key;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn positions_survive_a_round_trip() {
        let key = Key { pk: "dlv_01".to_owned(), sk: "-".to_owned() };
        let after = Position::After(Cursor::after(key, Timestamp::UNIX_EPOCH));
        let all = [Position::Start, after, Position::End];
        for one in &all {
            for other in &all {
                let positions = Positions([one.clone(), other.clone()]);
                let Some(text) = positions.text() else { continue };
                let expected = (positions != Positions::default()).then_some(positions);
                assert_eq!(Positions::parse(&text), expected);
            }
        }
        for text in ["", "-|-", "|", "a", "dlv_01 - 0", "|-|-", "dlv_01 - x|-"] {
            assert_eq!(Positions::parse(&URL_SAFE_NO_PAD.encode(text)), None, "{text}");
        }
    }
}
