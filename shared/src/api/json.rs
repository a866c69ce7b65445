//! JSON from text, with numbers that keep their digits until they are checked.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::pointer;
use crate::domain::json::{Double, Json};

/// A number that changes when it is read as a double.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InexactNumber {
    /// Its place in the value.
    pub pointer: String,
    /// Its text.
    pub text: String,
}

/// Reads `text`, which is JSON without duplicated members.
pub fn read(text: &str) -> Result<Json, InexactNumber> {
    // `null` for text that is not JSON: the callers have parsed it before.
    serde_json::from_str(text).map_or(Ok(Json::Null), |it| value(it, ""))
}

fn value(raw: &RawValue, place: &str) -> Result<Json, InexactNumber> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Members<'t>(#[serde(borrow)] BTreeMap<Cow<'t, str>, &'t RawValue>);
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let Ok(Members(members)) = serde_json::from_str(text) else { return Ok(Json::Null) };
            let members = members.into_iter().map(|(name, raw)| {
                let value = value(raw, &pointer::member(place, &name))?;
                Ok((name.into_owned(), value))
            });
            Ok(Json::Object(members.collect::<Result<_, _>>()?))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
            let items = items.into_iter().enumerate();
            let items = items.map(|(number, raw)| value(raw, &pointer::entry(place, number)));
            Ok(Json::List(items.collect::<Result<_, _>>()?))
        }
        Some(b'"') => Ok(Json::Text(serde_json::from_str(text).unwrap_or_default())),
        Some(b't') => Ok(Json::Flag(true)),
        Some(b'f') => Ok(Json::Flag(false)),
        Some(b'-' | b'0'..=b'9') => {
            let inexact = || InexactNumber { pointer: place.to_owned(), text: text.to_owned() };
            Double::parse(text).map(Json::Number).ok_or_else(inexact)
        }
        Some(_) | None => Ok(Json::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_its_canonical_form() {
        let text = "{ \"b\": [1.0, -0, 1E2, \"\\u00e9\\n\"], \"a\\/\": {\"\": null}, \"c\": true }";
        let expected = "{\"a/\":{\"\":null},\"b\":[1,0,100,\"é\\n\"],\"c\":true}";
        assert_eq!(read(text).map(|it| it.canonical()), Ok(expected.to_owned()));
    }

    #[test]
    fn inexact_number_is_named_with_its_place() {
        let fault = read("{\"a\":[0,{\"b/c\":9007199254740993}]}").expect_err("it is inexact");
        assert_eq!(fault.pointer, "/a/1/b~1c");
        assert_eq!(fault.text, "9007199254740993");
    }
}
