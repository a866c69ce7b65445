//! The paths of the API and their methods. The build script takes them from the OpenAPI document.
//!
//! Two functions serve the methods of one path, so neither router knows all of them.

use std::fmt::Write as _;

/// A path of the API.
struct Path {
    /// Its segments; `{name}` is any segment that is not empty.
    template: &'static str,
    /// Its methods, as `Allow` lists them.
    methods: &'static str,
}

/// All paths. A name precedes a placeholder in the same place.
const PATHS: &[Path] = include!(concat!(env!("OUT_DIR"), "/paths.rs"));

/// The methods of `path`, as `Allow` lists them. `None` if the API has no such path.
pub fn methods_of(path: &str) -> Option<&'static str> {
    PATHS.iter().find(|it| is_match(it.template, path)).map(|it| it.methods)
}

/// True if `path` has the segments of `template`.
pub fn is_match(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let is_same = |expected: &str, segment: &str| {
        if expected.starts_with('{') { !segment.is_empty() } else { segment == expected }
    };
    template.split('/').all(|expected| segments.next().is_some_and(|it| is_same(expected, it)))
        && segments.next().is_none()
}

/// `path` with characters in place of percent-encoded bytes that are not UTF-8. `None` if it has no
/// such bytes. No id and no token contains the replacement, so a handler does not find it.
pub(super) fn as_text(path: &str) -> Option<String> {
    let decode = |segment: &str| match String::from_utf8(decoded(segment)) {
        Ok(_) => segment.to_owned(),
        Err(err) => {
            String::from_utf8_lossy(err.as_bytes()).bytes().fold(String::new(), |mut text, byte| {
                write!(text, "%{byte:02X}").expect("a string takes everything");
                text
            })
        }
    };
    let text = path.split('/').map(decode).collect::<Vec<_>>().join("/");
    (text != path).then_some(text)
}

fn decoded(segment: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_has_the_methods_of_both_functions() {
        for (path, methods) in [
            ("/v1/requests", Some("GET, HEAD, POST")),
            ("/v1/webhooks/a", Some("GET, HEAD, PUT, PATCH, DELETE")),
            ("/v1/keys/a", Some("DELETE")),
            // Reading a result consumes it.
            ("/v1/requests/a/result", Some("GET")),
            // A name goes before a placeholder.
            ("/v1/events/secret", Some("GET, HEAD")),
            ("/v1/answers/a", Some("GET, HEAD, OPTIONS, POST")),
            ("/v1/requests/", None),
            ("/v1/requests/a/b", None),
            ("/v1", None),
            ("*", None),
        ] {
            assert_eq!(methods_of(path), methods, "{path}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        for path in ["/a", "/%c3%A9", "/%", "/%e", "/%zz", "/%25ff", "/a%2Fb/"] {
            assert_eq!(as_text(path), None, "{path}");
        }
        for (path, expected) in [
            ("/%ff", "/%EF%BF%BD"),
            ("/a/%FFb", "/a/%EF%BF%BD%62"),
            ("/%c3/x", "/%EF%BF%BD/x"),
            ("/%41%2F%ff", "/%41%2F%EF%BF%BD"),
        ] {
            assert_eq!(as_text(path).as_deref(), Some(expected), "{path}");
        }
    }
}
