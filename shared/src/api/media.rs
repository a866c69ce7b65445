//! Encodings of request bodies: UTF-8, with or without a byte order mark, and not compressed.

use axum::http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use crate::api::{Code, Problem};

/// The byte order mark of UTF-8. Some editors and .NET write it.
const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";
/// The byte order marks of UTF-16. Those of UTF-32 begin with them or with two zeros.
const OTHER_MARKS: [&[u8]; 3] = [b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff"];
/// Charsets whose texts are UTF-8.
const CHARSETS: [&str; 3] = ["utf-8", "utf8", "us-ascii"];

/// Refuses a body that is compressed or in another charset than UTF-8, by its headers.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()));
    if let Some(coding) = text(CONTENT_ENCODING)
        && !["", "identity"].contains(&coding.trim().to_ascii_lowercase().as_str())
    {
        return Err(unsupported(format!(
            "the body must not be compressed (got Content-Encoding {})",
            shown(&coding)
        )));
    }
    let content_type = text(CONTENT_TYPE).unwrap_or_default();
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    match charset {
        Some(it) if !CHARSETS.contains(&it.as_str()) => Err(not_utf_8(&shown(&it))),
        Some(_) | None => Ok(()),
    }
}

/// The body after its byte order mark.
pub(super) fn without_mark(body: &[u8]) -> Result<&[u8], Problem> {
    if OTHER_MARKS.iter().any(|it| body.starts_with(it)) {
        return Err(not_utf_8("the byte order mark of UTF-16 or UTF-32"));
    }
    Ok(body.strip_prefix(UTF_8_MARK).unwrap_or(body))
}

fn not_utf_8(found: &str) -> Problem {
    unsupported(format!("the body must be UTF-8 (got {found})"))
}

fn unsupported(detail: String) -> Problem {
    Problem::new(Code::UnsupportedMediaType, detail)
}

/// A header's value for an error.
fn shown(value: &str) -> String {
    const CHARS_MAX: usize = 40;
    value.chars().filter(|it| !it.is_control()).take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn checked(name: &HeaderName, value: &'static str) -> Result<(), String> {
        let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))]);
        check(&headers).map_err(|it| it.detail().to_owned())
    }

    #[test]
    fn only_uncompressed_utf_8_is_accepted() {
        for value in ["identity", " Identity", ""] {
            assert_eq!(checked(&CONTENT_ENCODING, value), Ok(()), "{value}");
        }
        for value in ["gzip", "identity, gzip", "br"] {
            let refused = checked(&CONTENT_ENCODING, value).expect_err("compressed");
            assert_eq!(
                refused,
                format!("the body must not be compressed (got Content-Encoding {value})")
            );
        }
        for value in [
            "application/json",
            "application/json; charset=utf-8",
            "text/plain;charset=\"UTF-8\"",
            "application/json; a=b; Charset = us-ascii",
        ] {
            assert_eq!(checked(&CONTENT_TYPE, value), Ok(()), "{value}");
        }
        let refused = checked(&CONTENT_TYPE, "application/json; charset=UTF-16");
        assert_eq!(refused.expect_err("no UTF-8"), "the body must be UTF-8 (got utf-16)");
    }

    #[test]
    fn byte_order_mark_of_utf_8_is_skipped() {
        assert_eq!(without_mark(b"\xef\xbb\xbf{}").ok(), Some(&b"{}"[..]));
        assert_eq!(without_mark(b"{}").ok(), Some(&b"{}"[..]));
        for body in [&b"\xff\xfe{\x00"[..], b"\xfe\xff\x00{", b"\xff\xfe\x00\x00"] {
            assert!(without_mark(body).is_err());
        }
    }
}
