//! APIs of other products. Each creates ordinary requests from its own words.
//!
//! A front translates its body into the body of `POST /v1/requests`, where all rules are applied.
//! Members that it does not know are ignored: its clients send some that have no meaning here.

pub(crate) mod nextks;
pub(crate) mod nextmv;
pub(crate) mod ping;

use answerback::api::{FieldError, FieldErrors, FieldLocation, Problem};
use serde_json::{Map, Value};

use crate::requests::body::{self, NewRequestBody};

/// A body in our words, and the places of its parts in the front's body.
#[derive(Default)]
struct Translation {
    members: Map<String, Value>,
    moves: Vec<Move>,
}

/// A part of a body that the translation moved.
struct Move {
    /// Its pointer in our body.
    ours: String,
    /// Its pointer in the front's body.
    theirs: String,
}

impl Translation {
    /// Adds the member called `name`, which was at `theirs`, unless it is absent.
    fn put(&mut self, name: &str, value: Option<Value>, theirs: &str) {
        if let Some(value) = value {
            self.members.insert(name.to_owned(), value);
        }
        self.moved(format!("/{name}"), theirs);
    }

    /// Notes that the part at `ours` was at `theirs`.
    fn moved(&mut self, ours: String, theirs: impl Into<String>) {
        self.moves.push(Move { ours, theirs: theirs.into() });
    }

    /// Reads the translated body, or lists `errors`, which the front found, and all errors in it.
    fn read(mut self, mut errors: FieldErrors) -> Result<NewRequestBody, Problem> {
        let translated = Value::Object(std::mem::take(&mut self.members));
        let problem = match body::read(translated) {
            Ok(body) if errors.is_empty() => return Ok(body),
            Ok(_) => return Err(Problem::invalid(errors)),
            Err(problem) => problem,
        };
        // One text may have become two members, and then has the same error twice.
        errors.merge(problem.errors(), |error| match &error.location {
            FieldLocation::Pointer(ours) => FieldError::pointer(self.theirs(ours), &error.detail),
            FieldLocation::Parameter(_) => error.clone(),
        });
        Err(Problem::invalid(errors))
    }

    /// The pointer in the front's body of the part at `ours`.
    fn theirs(&self, ours: &str) -> String {
        let rest =
            |it: &str| ours.strip_prefix(it).filter(|it| it.is_empty() || it.starts_with('/'));
        let moved = self.moves.iter().filter_map(|it| Some((&it.theirs, rest(&it.ours)?)));
        let nearest = moved.min_by_key(|(_, rest)| rest.len());
        nearest.map_or_else(|| ours.to_owned(), |(theirs, rest)| format!("{theirs}{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::requests::body::tests::{check_errors, json_of};

    const NAMES: &[&str] = &[
        "message",
        "user_emails",
        "response_request",
        "options",
        "text",
        "value",
        "timeout_minutes",
        "disable",
        "callback_url",
        "title",
        "body",
        "actions",
        "type",
        "label",
        "key",
        "style",
        "min",
        "max",
        "other",
    ];
    const WORDS: &[&str] =
        &["", "a", "\n", "button", "select", "text", "number", "toggle", "url", "onTimeout"];

    proptest! {
        /// Any body is read, or refused with pointers into itself and not into its translation.
        #[test]
        fn a_front_reads_any_body_without_panicking(
            any in json_of(NAMES, WORDS),
            parts in prop::collection::vec(json_of(NAMES, WORDS), 1..4),
            [title, more] in [json_of(NAMES, WORDS), json_of(NAMES, WORDS)],
        ) {
            let notification = json!({
                "message": title,
                "user_emails": ["a@example.com"],
                "response_request": { "options": parts, "timeout_minutes": more },
            });
            let message = json!({ "title": title, "body": more, "actions": parts });
            for body in [&any, &notification, &message] {
                check_errors(body, nextks::body::read)?;
                check_errors(body, ping::body::read)?;
            }
        }
    }
}
