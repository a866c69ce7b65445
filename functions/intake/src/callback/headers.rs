//! Headers that a receiver wants in addition to ours.

use std::collections::BTreeMap;

use answerback::{
    api::body::{DUPLICATED, Item, Member, Object},
    domain::{
        Profile,
        delivery::Headers,
        limits::{HEADER_NAME_CHARS_MAX, HEADER_VALUE_CHARS_MAX, HEADERS_MAX},
    },
};
use axum::http::{HeaderName, HeaderValue};

/// Headers of one connection (RFC 9110, section 7.6.1), and headers that every delivery sets.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
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
/// Prefix of the other headers that every delivery sets.
const RESERVED_PREFIX: &str = "answerback-";

/// Reads the headers. Their names are case-insensitive.
pub(super) fn read(settings: &mut Object<'_>) -> Headers {
    let Some(whole) = settings.item("headers") else { return Headers::default() };
    let members = whole.into_object().into_members();
    if members.len() > HEADERS_MAX {
        let n_headers = members.len();
        let detail = format!("must have at most {HEADERS_MAX} entries (got {n_headers})");
        settings.error("headers", detail);
        return Headers::default();
    }
    let mut headers = BTreeMap::new();
    for Member { name, item } in members {
        let name = name.to_ascii_lowercase();
        match value(&name, &item) {
            Ok(_) if headers.contains_key(&name) => item.error(DUPLICATED),
            Ok(value) => _ = headers.insert(name, value),
            Err(detail) => item.error(detail),
        }
    }
    Headers(headers.into_iter().collect())
}

/// The value of a header, or the error in its name or value.
fn value(name: &str, item: &Item<'_>) -> Result<String, String> {
    if name.len() > HEADER_NAME_CHARS_MAX || HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err("is not a header name".to_owned());
    }
    // Many servers pass headers on as variables, where `_` and `-` are one (RFC 3875, section 4.1.18).
    let name = &*name.replace('_', "-");
    if name == "authorization" {
        return Err("is reserved; set `bearer_token`".to_owned());
    }
    if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) || Profile::reserves(name) {
        return Err("is reserved".to_owned());
    }
    let is_value = |it: &&str| {
        it.len() <= HEADER_VALUE_CHARS_MAX
            && it.bytes().all(|it| (b' '..=b'~').contains(&it))
            && HeaderValue::from_str(it).is_ok()
    };
    item.value.as_str().filter(is_value).map(str::to_owned).ok_or_else(|| {
        format!("must be a string of at most {HEADER_VALUE_CHARS_MAX} printable ASCII characters")
    })
}
