//! Action files: `{"name": …, "args": …}`, the action that an approval is for.

use std::fmt::Write as _;

use answerback::{api::http::read_json, signing::sha256};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, value::RawValue};

use crate::files::read_file;

/// An action as its file has it.
#[derive(Debug)]
pub(crate) struct ActionFile {
    text: Box<RawValue>,
    value: Value,
}

impl ActionFile {
    /// Reads the action in a file. `-` is standard input.
    pub(crate) fn read(path: &str) -> anyhow::Result<Self> {
        let text = read_file(path)?;
        Self::parse(&text).with_context(|| format!("`{path}` (--action-file)"))
    }

    /// Reads an action. Text that two parsers could read as two actions is refused: duplicate
    /// members, and numbers that a double cannot hold.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let value = read_json(text.as_bytes()).context("the action is not valid JSON")?;
        let members = value.as_object().context("the action must be an object")?;
        ensure!(members.get("name").is_some_and(Value::is_string), "`name` must be a text");
        ensure!(members.contains_key("args"), "`args` is missing");
        if let Some(other) = members.keys().find(|it| !["name", "args"].contains(&it.as_str())) {
            bail!("`{other}` is not a member of an action; it has `name` and `args`");
        }
        check_numbers(&value)?;
        let text = RawValue::from_string(text.trim().to_owned()).context("not valid JSON")?;
        Ok(Self { text, value })
    }

    /// The text in the file, which the server checks itself.
    pub(crate) fn text(&self) -> &RawValue {
        &self.text
    }

    /// `sha256:` and the hash of the canonical form (RFC 8785).
    pub(crate) fn digest(&self) -> anyhow::Result<String> {
        let canonical = serde_json_canonicalizer::to_vec(&self.value);
        let hash = sha256(&canonical.context("the action has no canonical form")?);
        let mut digest = "sha256:".to_owned();
        for byte in hash {
            write!(digest, "{byte:02x}").expect("a string takes everything");
        }
        Ok(digest)
    }
}

/// Refuses integers that change when they are read as a double.
fn check_numbers(value: &Value) -> anyhow::Result<()> {
    match value {
        Value::Number(number) => {
            let double = number.as_f64().unwrap_or(f64::NAN);
            let is_same = !(number.is_u64() || number.is_i64())
                || format!("{double:.0}") == number.to_string();
            ensure!(is_same, "the number {number} does not fit a double; write it as a text");
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(check_numbers),
        Value::Object(members) => members.values().try_for_each(check_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> String {
        ActionFile::parse(text).and_then(|it| it.digest()).expect("an action")
    }

    #[test]
    fn digest_depends_on_the_content_only() {
        let first = digest(r#"{"name": "deploy", "args": {"b": 1.0, "a": "\u00e9"}}"#);
        let second = digest("{ \"args\" : {\"a\":\"é\",\"b\":1}, \"name\":\"deploy\" }\n");
        assert_eq!(first, second);
        // printf '{"args":{"a":"é","b":1},"name":"deploy"}' | sha256sum
        assert_eq!(
            first,
            "sha256:c1bef7680587e5eba589db1efa3ec39b53d8de3ccdca301af99daf4b1e79c305"
        );
    }

    #[test]
    fn ambiguous_and_incomplete_actions_are_refused() {
        for (text, expected) in [
            (r#"{"name": "a", "args": {"x": 1, "x": 2}}"#, "duplicated"),
            (r#"{"name": "a", "args": 9007199254740993}"#, "does not fit a double"),
            (r#"{"name": "a", "args": 1e999}"#, "not valid JSON"),
            (r#"{"name": "a"}"#, "`args` is missing"),
            (r#"{"name": 1, "args": {}}"#, "`name` must be a text"),
            (r#"{"name": "a", "args": {}, "extra": 1}"#, "`extra` is not a member"),
            ("[]", "must be an object"),
        ] {
            let error = format!("{:#}", ActionFile::parse(text).expect_err(text));
            assert!(error.contains(expected), "{error}");
        }
        assert!(ActionFile::parse(r#"{"name": "a", "args": [9007199254740992, -5, 0.1]}"#).is_ok());
    }
}
