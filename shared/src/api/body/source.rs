//! The text of a body, for the parts of it that are kept as they were sent.
//!
//! `Value` reads numbers as 64-bit integers or floats, and sorts the members of objects. Both change
//! what the client sent. So numbers and objects that are passed on are cut out of the text.

use std::{borrow::Cow, collections::BTreeMap};

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A parsed body, and its text.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The parsed body.
    pub value: Value,
    /// Its text. Without one, the texts of parts are made from their values.
    pub(super) source: Source,
}

/// The text of a body.
#[derive(Clone, Debug, Default)]
pub struct Source {
    text: Bytes,
    /// The places of parts that a front moved.
    moves: Vec<Move>,
}

/// A part of a body that a translation moved.
#[derive(Clone, Debug)]
pub struct Move {
    /// Its pointer in the translated body.
    pub to: String,
    /// Its pointer in the text.
    pub from: String,
}

/// The members of an object, as text.
pub(super) type Texts<'t> = BTreeMap<Cow<'t, str>, &'t RawValue>;

impl Sent {
    /// The body `value`, which was read from `text`.
    pub fn new(value: Value, text: Bytes) -> Self {
        Self { value, source: Source { text, moves: Vec::new() } }
    }

    /// `value`, which was translated from this body. The moves say where its parts were.
    pub fn translated(source: Source, value: Value, moves: Vec<Move>) -> Self {
        Self { value, source: Source { moves, ..source } }
    }

    /// The body and its text.
    pub fn into_parts(self) -> (Value, Source) {
        (self.value, self.source)
    }
}

impl From<Value> for Sent {
    fn from(value: Value) -> Self {
        Self { value, source: Source::default() }
    }
}

impl Source {
    /// The text of the value at `pointer`. `None` if the body has no text.
    pub(super) fn at(&self, pointer: &str) -> Option<&RawValue> {
        let place = moved(&self.moves, pointer);
        let mut text: &RawValue = serde_json::from_slice(&self.text).ok()?;
        for name in place.split('/').skip(1) {
            let name = name.replace("~1", "/").replace("~0", "~");
            text = if text.get().starts_with('[') {
                let items: Vec<&RawValue> = serde_json::from_str(text.get()).ok()?;
                *items.get(name.parse::<usize>().ok()?)?
            } else {
                members(text)?.get(name.as_str()).copied()?
            };
        }
        Some(text)
    }

    /// The text of the value at `pointer`, as it was sent. `None` if the body has no text.
    pub fn text_at(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).map(RawValue::get)
    }

    /// The texts of the members of the object at `pointer`.
    pub(super) fn members_at(&self, pointer: &str) -> Texts<'_> {
        self.at(pointer).and_then(members).unwrap_or_default()
    }
}

fn members(object: &RawValue) -> Option<Texts<'_>> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Members<'t>(#[serde(borrow)] Texts<'t>);
    serde_json::from_str(object.get()).ok().map(|Members(it)| it)
}

/// The place of the part at `pointer` before the moves. The nearest part that was moved decides.
pub fn moved(moves: &[Move], pointer: &str) -> String {
    let rest = |it: &str| pointer.strip_prefix(it).map(str::len).filter(|_| is_whole(pointer, it));
    let nearest = moves
        .iter()
        .filter_map(|it| Some((&it.from, rest(&it.to)?)))
        .min_by_key(|(_, n_rest)| *n_rest);
    nearest.map_or_else(
        || pointer.to_owned(),
        |(from, n_rest)| format!("{from}{}", &pointer[pointer.len() - n_rest..]),
    )
}

/// `beginning` ends where a part of `pointer` ends.
fn is_whole(pointer: &str, beginning: &str) -> bool {
    let rest = &pointer[beginning.len()..];
    rest.is_empty() || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &'static str) -> Source {
        Sent::new(Value::Null, Bytes::from_static(text.as_bytes())).source
    }

    #[test]
    fn part_has_the_text_that_was_sent() {
        let source =
            source(r#"{"m": {"z": 1.10, "a":[ 98765432109876543210 ]}, "a/b":[{"\u007e":5.0}]}"#);
        let at = |pointer| source.at(pointer).map(RawValue::get);
        assert_eq!(at("/m"), Some(r#"{"z": 1.10, "a":[ 98765432109876543210 ]}"#));
        assert_eq!(at("/m/a/0"), Some("98765432109876543210"));
        assert_eq!(at("/a~1b/0/~0"), Some("5.0"));
        for nowhere in ["/x", "/m/a/1", "/m/a/x", "/m/z/x"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
        assert!(Source::default().at("/m").is_none());
    }

    #[test]
    fn nearest_move_leads_to_the_original_place() {
        let a_move = |to: &str, from: &str| Move { to: to.to_owned(), from: from.to_owned() };
        let moves = [a_move("/fields", "/actions"), a_move("/fields/0", "/actions/3")];
        let moves = [&moves[..], &[a_move("/fields/0/default", "/actions/3/value")]].concat();
        for (to, from) in [
            ("/fields/0/default", "/actions/3/value"),
            ("/fields/0/min", "/actions/3/min"),
            ("/fields/01", "/actions/01"),
            ("/title", "/title"),
        ] {
            assert_eq!(moved(&moves, to), from);
        }
    }
}
