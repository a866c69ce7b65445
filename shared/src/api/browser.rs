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
        header::{ACCEPT, LOCATION},
    },
    response::{IntoResponse as _, Response},
};

use crate::{
    api::{Code, Problem},
    page,
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

    /// The page that shows `problem`. `None` if the reader gets JSON.
    pub(super) fn page(self, problem: &Problem) -> Option<String> {
        match (self, problem.code()) {
            (Self::Program, _) => None,
            (Self::Recipient, Code::NotFound) => Some(page::render_unknown()),
            (_, code) => {
                let Words { title, detail } = words(code);
                Some(page::render_problem(title, detail))
            }
        }
    }
}

/// A problem in words for people.
struct Words {
    title: &'static str,
    detail: &'static str,
}

fn words(code: Code) -> Words {
    match code {
        Code::NotFound => Words {
            title: "Page not found",
            detail: "There is nothing at this address. Check it for typing errors.",
        },
        Code::BodyTooLarge => Words {
            title: "Your answer is too long",
            detail: "It was not recorded. Go back, shorten your text, and send it again.",
        },
        Code::UnsupportedMediaType => Words {
            title: "Your answer could not be read",
            detail: "It was not recorded. Open the link in another browser, and send it again.",
        },
        Code::TooBusy | Code::RateLimited => Words {
            title: "Please try again",
            detail: "Too many people are using this page at the moment. Try again in a minute.",
        },
        Code::Internal => Words {
            title: "Something went wrong",
            detail: "The error was reported to the operator. Open the link again: the page shows \
                     your answer if it was recorded.",
        },
        _ => Words {
            title: "This did not work",
            detail: "Nothing was recorded. Open the link again exactly as you received it.",
        },
    }
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
        let weight = parts.find_map(|it| it.strip_prefix("q=").or(it.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |it| it.parse().unwrap_or(0.0));
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
    fn only_a_link_with_one_slash_at_its_end_is_redirected() {
        let redirect = without_slash("/a/token/").expect("a link");
        assert_eq!(redirect.headers()[LOCATION], "/a/token");
        for path in ["/a/", "/a//", "/a/token", "/a/token/x/", "/a//evil.example/", "/v1/requests/"]
        {
            assert!(without_slash(path).is_none(), "{path}");
        }
    }
}
