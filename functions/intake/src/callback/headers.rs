//! Headers that a receiver wants beside ours.

use answerback::{
    api::{
        Fields,
        body::{FieldErrors, note},
    },
    domain::delivery::Headers,
};
use axum::http::{HeaderName, HeaderValue};

/// Most headers.
const HEADERS_MAX: usize = 20;
/// Longest name of a header, in characters.
const HEADER_NAME_CHARS_MAX: usize = 64;
/// Longest value of a header, in characters.
const HEADER_VALUE_CHARS_MAX: usize = 512;
/// Headers that are hop-by-hop (RFC 9110, 7.6.1), or that we set ourselves.
const OURS: [&str; 19] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "nextmv-signature",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// What the names of other headers of ours begin with.
const OUR_BEGINNINGS: [&str; 5] = ["answerback-", "webhook-", "x-nextks-", "x-noukai-", "x-ping-"];

/// Takes the headers out of the settings; none of them is ours to set, or speaks of the connection.
pub(super) fn read(fields: &mut Fields, faults: &mut FieldErrors) -> Headers {
    let Some(members) = fields.object("headers", faults) else { return Headers::default() };
    let pointer = fields.pointer("headers");
    let at = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in members.into_rest() {
        let place = at(&name);
        let lower = name.to_ascii_lowercase();
        let is_name =
            name.len() <= HEADER_NAME_CHARS_MAX && HeaderName::from_bytes(lower.as_bytes()).is_ok();
        let text = value.as_str().filter(|it| {
            it.len() <= HEADER_VALUE_CHARS_MAX
                && it.bytes().all(|it| (b' '..=b'~').contains(&it))
                && HeaderValue::from_str(it).is_ok()
        });
        if !is_name {
            note(faults, place, "is no name of a header");
        } else if lower == "authorization" {
            note(faults, place, "is made from `bearer_token`");
        } else if OURS.contains(&&*lower) || OUR_BEGINNINGS.iter().any(|it| lower.starts_with(it)) {
            note(faults, place, "is ours to set");
        } else if headers.iter().any(|it| it.0 == lower) {
            note(faults, place, "is there twice");
        } else if let Some(text) = text {
            headers.push((lower, text.to_owned()));
        } else {
            let detail =
                format!("must be text of at most {HEADER_VALUE_CHARS_MAX} printable characters");
            note(faults, place, detail);
        }
    }
    if headers.len() > HEADERS_MAX {
        note(faults, pointer, format!("must have at most {HEADERS_MAX} entries"));
    }
    Headers(headers)
}
