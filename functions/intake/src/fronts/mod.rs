//! APIs of other products. Each creates ordinary requests from its own words.
//!
//! A front translates its body into the body of `POST /v1/requests`, where all rules are applied.
//! Members that it does not know are ignored: its clients send some that have no meaning here.

pub(crate) mod nextks;
pub(crate) mod nextmv;
pub(crate) mod ping;
pub(crate) mod slack;

use answerback::api::{
    FieldError, FieldErrors, FieldLocation, Problem,
    body::{Move, Sent, Source, moved},
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::requests::body::{self, NewRequestBody};

/// A body in our words, and the places of its parts in the front's body.
#[derive(Default)]
pub(crate) struct Translation {
    members: Map<String, Value>,
    moves: Vec<Move>,
}

impl Translation {
    /// Adds the member called `name`, which was at `theirs`, unless it is absent.
    pub(crate) fn put(&mut self, name: &str, value: Option<Value>, theirs: &str) {
        if let Some(value) = value {
            self.members.insert(name.to_owned(), value);
        }
        self.moved(format!("/{name}"), theirs);
    }

    /// The places of its parts.
    pub(crate) fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Notes that the part at `ours` was at `theirs`.
    pub(crate) fn moved(&mut self, ours: String, theirs: impl Into<String>) {
        self.moves.push(Move { to: ours, from: theirs.into() });
    }

    /// Reads the translated body, or lists `errors`, which the front found, and all errors in it.
    pub(crate) fn read(
        self,
        source: Source,
        mut errors: FieldErrors,
        now: Timestamp,
    ) -> Result<NewRequestBody, Problem> {
        let Self { members, moves } = self;
        let translated = Sent::translated(source, members.into(), moves.clone());
        let problem = match body::read(translated, now) {
            Ok(body) if errors.is_empty() => return Ok(body),
            Ok(_) => return Err(Problem::invalid(errors)),
            Err(problem) => problem,
        };
        // One text may have become two members, and then has the same error twice.
        errors.merge(problem.errors(), |error| match &error.location {
            FieldLocation::Pointer(ours) => FieldError::pointer(moved(&moves, ours), &error.detail),
            FieldLocation::Parameter(_) => error.clone(),
        });
        Err(Problem::invalid(errors))
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
