//! Pages for people. A browser that opens an address of ours gets HTML, also for an error.
//!
//! | path | a problem is |
//! |------|--------------|
//! | `/a/…` | a page |
//! | `/v1/…`, `/api/…`, `/nextmv/…`, `/openapi.json` | JSON |
//! | all others | a page for clients that prefer HTML (`Accept`), else JSON |

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
        header::{ACCEPT, ACCEPT_LANGUAGE, LOCATION},
    },
    response::{IntoResponse as _, Response},
};

use crate::{
    api::{Code, Problem},
    page::{self, ProblemKind, Words},
};

/// The prefix of answer links.
const LINKS: &str = "/a/";
/// Prefixes of the paths that only programs call.
const PROGRAMS: [&str; 4] = ["/v1/", "/api/", "/nextmv/", "/openapi.json"];

/// The reader of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A program, which gets JSON.
    Program,
    /// A person who opened an answer link.
    Recipient,
    /// A person who opened another address.
    Visitor,
}

impl Reader {
    /// The reader of the response to this call.
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path();
        if path.starts_with(LINKS) {
            Self::Recipient
        } else if PROGRAMS.iter().any(|it| path.starts_with(it)) || !prefers_html(headers) {
            Self::Program
        } else {
            Self::Visitor
        }
    }

    /// The page that shows `problem` to a reader who prefers these words. `None` if the reader gets
    /// JSON.
    pub(super) fn page(self, problem: &Problem, words: &'static Words) -> Option<String> {
        let kind = match (self, problem.code()) {
            (Self::Program, _) => return None,
            (Self::Recipient, Code::NotFound) => ProblemKind::UnknownLink,
            (Self::Visitor, Code::NotFound) => ProblemKind::NotFound,
            (_, Code::BodyTooLarge) => ProblemKind::TooLarge,
            (_, Code::UnsupportedMediaType) => ProblemKind::Unreadable,
            (_, Code::TooBusy | Code::RateLimited) => ProblemKind::TooMany,
            (_, Code::Internal) => ProblemKind::Internal,
            (_, _) => ProblemKind::Other,
        };
        Some(page::render_problem(words, kind))
    }
}

/// The page's words in the language that the reader prefers most (RFC 9110, section 12.5.4). A reader
/// who accepts none of ours gets English.
pub fn words(headers: &HeaderMap) -> &'static Words {
    let values = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|it| it.to_str().ok());
    let mut best = (0.0_f32, Words::english());
    for entry in values.flat_map(|it| it.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let weight = weight(parts);
        if let Some(words) = Words::find(tag)
            && weight > best.0
        {
            best = (weight, words);
        }
    }
    best.1
}

/// The weight among the parameters of an entry (RFC 9110, section 12.4.2).
fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    let weight = parameters.find_map(|it| it.strip_prefix("q=").or(it.strip_prefix("Q=")));
    weight.map_or(1.0, |it| it.parse().unwrap_or(0.0))
}

/// The redirect from an answer link with a slash at its end. Some programs add one.
pub(super) fn without_slash(path: &str) -> Option<Response> {
    let link = path.strip_suffix('/')?;
    let token = link.strip_prefix(LINKS)?;
    if token.is_empty() || token.contains('/') {
        return None;
    }
    // The path alone: the browser stays at its host, and posts a form again.
    let location = HeaderValue::from_str(link).ok()?;
    Some((StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response())
}

/// True if `Accept` names HTML, and JSON with no greater weight (RFC 9110, section 12.5.1).
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0.0_f32, 0.0_f32);
    let values = headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
    for entry in values.flat_map(|it| it.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = weight(parts);
        match media_type.as_str() {
            "text/html" | "application/xhtml+xml" => html = html.max(weight),
            "application/json" | "application/problem+json" => json = json.max(weight),
            _ => (),
        }
    }
    html > 0.0 && html >= json
}

/// A page with its headers.
pub fn html(status: StatusCode, page: String) -> Response {
    let mut response = (status, page).into_response();
    set_headers(response.headers_mut());
    response
}

/// Adds the headers that all pages have.
pub(super) fn set_headers(headers: &mut HeaderMap) {
    for (name, value) in page::headers() {
        let value = HeaderValue::from_str(value).expect("our own headers are ASCII");
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn reader(path: &'static str, accept: &'static str) -> Reader {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        Reader::of(&Uri::from_static(path), &headers)
    }

    #[test]
    fn browsers_get_pages_and_programs_get_json() {
        for (path, accept, expected) in [
            ("/", FIREFOX, Reader::Visitor),
            ("/", "*/*", Reader::Program),
            ("/", "application/json", Reader::Program),
            ("/", "application/json, text/html;q=0.9", Reader::Program),
            ("/", "text/html;q=0", Reader::Program),
            ("/other", FIREFOX, Reader::Visitor),
            ("/a/x", "application/json", Reader::Recipient),
            ("/a/", "*/*", Reader::Recipient),
            ("/v1/requests", FIREFOX, Reader::Program),
            ("/api/notify", FIREFOX, Reader::Program),
        ] {
            assert_eq!(reader(path, accept), expected, "{path} {accept}");
        }
    }

    #[test]
    fn reader_gets_the_language_with_the_highest_weight() {
        for (accepted, lang) in [
            ("", "en"),
            ("de", "de"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("fr-FR, fr;q=0.9, es;q=0.5, de;q=0.4", "es"),
            ("fr, ja", "en"),
            ("*", "en"),
            ("de;q=0, es;q=0.1", "es"),
            ("en;q=0.3, ES ;q=0.31", "es"),
            ("de;q=x", "en"),
        ] {
            let value = HeaderValue::from_static(accepted);
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, value)]);
            assert_eq!(words(&headers).lang, lang, "{accepted}");
        }
    }

    #[test]
    fn only_a_link_with_one_slash_at_its_end_is_redirected() {
        let redirect = without_slash("/a/token/").expect("a link");
        assert_eq!(redirect.headers()[LOCATION], "/a/token");
        for path in ["/a/", "/a//", "/a/token", "/a/token/x/", "/a//evil.example/", "/v1/requests/"]
        {
            assert!(without_slash(path).is_none(), "{path}");
        }
    }
}
