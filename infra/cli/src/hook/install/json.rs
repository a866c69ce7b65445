//! Places in a text of JSON, so that a change keeps every other byte.

use std::{fmt, ops::Range};

use anyhow::{anyhow, ensure};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// The members of an object, in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

/// The value at a place in a text.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    text: &'a str,
    raw: &'a str,
}

impl<'a> Node<'a> {
    /// The value in a text.
    pub(super) fn root(text: &'a str) -> anyhow::Result<Self> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|err| {
            // The parser's text has the place, and quotes nothing.
            anyhow!("it is not valid JSON: {err}")
        })?;
        Ok(Self { text, raw: raw.get() })
    }

    /// The member of an object with this name.
    pub(super) fn member(self, name: &str) -> anyhow::Result<Option<Self>> {
        let Members(members) = self.read("an object")?;
        let mut found = members.iter().filter(|(it, _)| it == name).map(|(_, raw)| raw.get());
        let first = found.next();
        ensure!(found.next().is_none(), "`{name}` is duplicated");
        Ok(first.map(|raw| Self { raw, ..self }))
    }

    /// The elements of an array.
    pub(super) fn elements(self) -> anyhow::Result<Vec<Self>> {
        let elements: Vec<&RawValue> = self.read("an array")?;
        Ok(elements.into_iter().map(|raw| Self { raw: raw.get(), ..self }).collect())
    }

    /// The last value in an object or array.
    fn last(self) -> anyhow::Result<Option<Self>> {
        if self.raw.starts_with('[') {
            return Ok(self.elements()?.pop());
        }
        let Members(members) = self.read("an object")?;
        Ok(members.last().map(|(_, raw)| Self { raw: raw.get(), ..self }))
    }

    /// The value.
    pub(super) fn value(self) -> Value {
        serde_json::from_str(self.raw).unwrap_or_default()
    }

    /// The value's place in the text.
    pub(super) fn place(self) -> Range<usize> {
        let start = self.raw.as_ptr().addr() - self.text.as_ptr().addr();
        start..start + self.raw.len()
    }

    /// The text with an entry at the end of this object or array, in the layout of the others.
    pub(super) fn append(self, entry: &str) -> anyhow::Result<String> {
        let place = self.place();
        let outer = indent_of(self.text, place.start);
        let unit = unit_of(self.text);
        let (at, before, after) = match self.last()? {
            Some(last) => {
                let end = last.place().end;
                let is_on_lines = self.raw.contains('\n');
                let gap = if is_on_lines { format!("\n{outer}{unit}") } else { " ".to_owned() };
                (end..end, format!(",{gap}"), String::new())
            }
            None => {
                (place.start + 1..place.end - 1, format!("\n{outer}{unit}"), format!("\n{outer}"))
            }
        };
        let entry = entry.replace('\n', &format!("\n{outer}{unit}"));
        let mut added = format!("{before}{entry}{after}");
        if self.text.contains("\r\n") {
            added = added.replace('\n', "\r\n");
        }
        Ok(replaced(self.text, at, &added))
    }

    /// The value as one of this kind.
    fn read<T: Deserialize<'a>>(self, kind: &str) -> anyhow::Result<T> {
        serde_json::from_str(self.raw).map_err(|_| {
            let before = &self.text[..self.place().start];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            anyhow!("the value at line {line} column {column} must be {kind}")
        })
    }
}

/// The text with another part at a place.
pub(super) fn replaced(text: &str, place: Range<usize>, part: &str) -> String {
    [&text[..place.start], part, &text[place.end..]].concat()
}

/// One step of the text's indentation.
pub(super) fn unit_of(text: &str) -> &str {
    let indents = text.lines().map(|line| &line[..line.len() - line.trim_start().len()]);
    indents.into_iter().find(|it| !it.is_empty()).unwrap_or("  ")
}

/// The indentation of the line with this place.
fn indent_of(text: &str, place: usize) -> &str {
    let start = text[..place].rfind('\n').map_or(0, |it| it + 1);
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, raw)) = map.next_entry()? {
                    members.push((name, raw));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
