//! Action files: `{"name": …, "args": …}`, the action that an approval is for.

use answerback::{
    api::{http::read_json, json},
    domain::action::ActionDigest,
};
use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::files::read_file;

/// An action as its file has it.
#[derive(Debug)]
pub(crate) struct ActionFile {
    text: Box<RawValue>,
    digest: ActionDigest,
}

/// The members of an action.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    name: String,
    #[serde(borrow)]
    args: &'a RawValue,
}

/// The members of an action, to be written.
#[derive(Serialize)]
struct Sent<'a> {
    name: &'a str,
    args: &'a RawValue,
}

impl ActionFile {
    /// Reads the action in a file. `-` is standard input.
    pub(crate) fn read(path: &str) -> anyhow::Result<Self> {
        let text = read_file(path)?;
        Self::parse(&text).with_context(|| format!("`{path}` (--action-file)"))
    }

    /// The action of this name with these arguments.
    pub(crate) fn of(name: &str, args: &RawValue) -> anyhow::Result<Self> {
        Self::parse(&serde_json::to_string(&Sent { name, args })?)
    }

    /// Reads an action. Text that two parsers could read as two actions is refused: duplicate
    /// members, and numbers that a double cannot hold.
    fn parse(text: &str) -> anyhow::Result<Self> {
        read_json(text.as_bytes()).context("the action is not valid JSON")?;
        let members: Members<'_> =
            serde_json::from_str(text).context("an action has `name` and `args`")?;
        let args = json::read(members.args.get()).map_err(|number| {
            let (text, place) = (number.text, number.pointer);
            anyhow!("the number {text} at `/args{place}` does not fit a double; write it as a text")
        })?;
        let digest = ActionDigest::of(&members.name, args);
        let text = RawValue::from_string(text.trim().to_owned()).context("not valid JSON")?;
        Ok(Self { text, digest })
    }

    /// The text in the file, which the server checks itself.
    pub(crate) fn text(&self) -> &RawValue {
        &self.text
    }

    /// The digest that binds the approval to the action.
    pub(crate) fn digest(&self) -> ActionDigest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> String {
        ActionFile::parse(text).expect("an action").digest().to_string()
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
            (r#"{"name": "a"}"#, "missing field `args`"),
            (r#"{"name": 1, "args": {}}"#, "invalid type: integer `1`, expected a string"),
            (r#"{"name": "a", "args": {}, "extra": 1}"#, "unknown field `extra`"),
            ("[]", "an action has `name` and `args`"),
        ] {
            let error = format!("{:#}", ActionFile::parse(text).expect_err(text));
            assert!(error.contains(expected), "{error}");
        }
        assert!(ActionFile::parse(r#"{"name": "a", "args": [9007199254740992, -5, 0.1]}"#).is_ok());
    }
}
