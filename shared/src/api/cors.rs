//! Cross-origin access for web pages, on the one path that needs no API key.
//!
//! The token in the path is the only secret, and browsers send no credentials with `*`. Every response
//! of the path carries the header, errors too: without it a page could not read them.

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
        },
    },
    response::{IntoResponse, Response},
};

/// The path that web pages of every origin may call.
const OPEN_PATH: &str = "/v1/answers/{token}";
/// Methods that they may use.
const METHODS: &str = "GET, POST";
/// Request headers that they may send.
const HEADERS: &str = "content-type";
/// Time for which a browser may cache a preflight. Firefox accepts no more than a day.
const MAX_AGE_SECONDS: u32 = 86_400;

/// The response to a preflight of the open path. `allow_origin` adds the origin.
pub fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS)),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE_SECONDS)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Lets web pages of every origin read a response of `route`, if that is the open path.
pub(super) fn allow_origin(route: Option<&str>, headers: &mut HeaderMap) {
    if route == Some(OPEN_PATH) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
}
