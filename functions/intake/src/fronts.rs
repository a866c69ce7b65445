//! The APIs of other products, which make ordinary requests in words of their own.
//!
//! Each front translates a body into that of `POST /v1/requests`; all rules are applied there. What
//! a front does not know it leaves out: clients say things that mean nothing here.

pub(crate) mod nextks;
pub(crate) mod nextmv;
pub(crate) mod ping;

use answerback::api::{
    FieldLocation, Problem,
    body::{FieldErrors, note},
};
use serde_json::{Map, Value};

use crate::create::{self, Draft};

/// A body in our own words, and where its parts stand in the front's.
#[derive(Default)]
struct Translation {
    members: Map<String, Value>,
    places: Vec<(String, String)>,
}

impl Translation {
    /// Adds a member, if there is one, and where it stood.
    fn put(&mut self, name: &str, value: Option<Value>, place: &str) {
        if let Some(value) = value {
            self.members.insert(name.to_owned(), value);
        }
        self.moved(format!("/{name}"), place);
    }

    /// Notes where what is now at `ours` stood.
    fn moved(&mut self, ours: String, theirs: impl Into<String>) {
        self.places.push((ours, theirs.into()));
    }

    /// What the body asks for, or everything that is wrong with it, where it stood; `faults` are
    /// those that the front has found itself.
    fn read(mut self, mut faults: FieldErrors) -> Result<Draft, Problem> {
        let body = Value::Object(std::mem::take(&mut self.members));
        let problem = match create::read(body) {
            Ok(draft) if faults.is_empty() => return Ok(draft),
            Ok(_) => return Err(Problem::invalid(faults)),
            Err(problem) => problem,
        };
        for fault in problem.faults() {
            let FieldLocation::Pointer(ours) = &fault.place else { continue };
            note(&mut faults, self.place(ours), fault.detail.clone());
            // One text may have become two members.
            let last = faults.len() - 1;
            if faults[..last].contains(&faults[last]) {
                faults.pop();
            }
        }
        Err(Problem::invalid(faults))
    }

    /// Where what is at `ours` stood.
    fn place(&self, ours: &str) -> String {
        let rest =
            |it: &str| ours.strip_prefix(it).filter(|it| it.is_empty() || it.starts_with('/'));
        let moved = self.places.iter().filter_map(|(at, theirs)| Some((theirs, rest(at)?)));
        let nearest = moved.min_by_key(|(_, rest)| rest.len());
        nearest.map_or_else(|| ours.to_owned(), |(theirs, rest)| format!("{theirs}{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::create::tests::{check_reasons, json_of};

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
        /// Whatever comes in, it is read or refused, and what is refused has reasons that stand
        /// where the sender wrote it, not where we moved it.
        #[test]
        fn no_body_makes_a_front_panic_or_speak_of_what_is_not_there(
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
                check_reasons(body, nextks::read)?;
                check_reasons(body, ping::read)?;
            }
        }
    }
}
