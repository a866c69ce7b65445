//! A refusal of the server (RFC 9457), as one message.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::printable::printable;

/// Characters of a body that is no problem, in a message.
const EXCERPT_CHARS_MAX: usize = 200;

/// A refusal.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A stable word.
    pub(crate) code: Option<String>,
    text: String,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Body {
    code: String,
    detail: Option<String>,
    title: Option<String>,
    #[serde(default)]
    errors: Vec<Error>,
    request_id: Option<String>,
}

#[derive(Deserialize)]
struct Error {
    pointer: Option<String>,
    parameter: Option<String>,
    detail: String,
}

impl Problem {
    /// Reads a refusal. A body that is no problem becomes an excerpt.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        match serde_json::from_slice::<Body>(body) {
            Ok(body) => Self { status, text: body.text(), code: Some(body.code) },
            Err(_) => Self { status, code: None, text: excerpt(body) },
        }
    }
}

impl Body {
    fn text(&self) -> String {
        let mut text = self.detail.as_ref().or(self.title.as_ref()).cloned().unwrap_or_default();
        for error in &self.errors {
            let place = error.pointer.as_ref().or(error.parameter.as_ref());
            let place = place.map(|it| format!("`{it}` ")).unwrap_or_default();
            let error = format!("{place}{}", error.detail);
            // The server's detail begins with the first error.
            if !text.contains(&error) {
                text.extend(["; ", &error]);
            }
        }
        if let Some(id) = &self.request_id {
            text.extend([" [call ", id, "]"]);
        }
        text
    }
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text: String = text.trim().chars().take(EXCERPT_CHARS_MAX).collect();
    if text.is_empty() { "is ANSWERBACK_URL the base URL of the API?".to_owned() } else { text }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.as_u16();
        let code = self.code.as_deref().map(|it| format!(" {it}")).unwrap_or_default();
        write!(f, "{}", printable(&format!("the server refused ({status}{code}): {}", self.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_status_code_and_places() {
        let body =
            br#"{"code": "invalid_request", "detail": "`/title` must not be empty, and 1 more",
            "errors": [{"pointer": "/title", "detail": "must not be empty"},
            {"pointer": "/recipients/0", "detail": "must be an address"}], "request_id": "r1"}"#;
        let problem = Problem::read(StatusCode::UNPROCESSABLE_ENTITY, body);
        let expected = "the server refused (422 invalid_request): `/title` must not be empty, and 1 \
                        more; `/recipients/0` must be an address [call r1]";
        assert_eq!(problem.to_string(), expected);
        let problem = Problem::read(StatusCode::NOT_FOUND, b"<h1>no\x1b[2J</h1>");
        assert_eq!(problem.to_string(), "the server refused (404): <h1>no\\u{1b}[2J</h1>");
    }
}
