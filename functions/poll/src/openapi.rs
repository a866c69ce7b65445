//! `GET /openapi.json`. The build script prepares the document, its gzip copy and their `ETag`s.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
            VARY,
        },
    },
    response::{IntoResponse, Response},
};

/// The OpenAPI 3.1 document of the API, as compact JSON.
pub const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

const PLAIN: Representation = Representation {
    bytes: DOCUMENT.as_bytes(),
    etag: include_str!(concat!(env!("OUT_DIR"), "/openapi.json.etag")),
    encoding: None,
};
const GZIP: Representation = Representation {
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz")),
    etag: include_str!(concat!(env!("OUT_DIR"), "/openapi.json.gz.etag")),
    encoding: Some("gzip"),
};
/// Five minutes, so that a deployment is seen soon.
const CACHE: &str = "max-age=300";

/// The document in one encoding.
struct Representation {
    bytes: &'static [u8],
    etag: &'static str,
    encoding: Option<&'static str>,
}

/// Shows the document, or 304 to a client that has it.
pub(crate) async fn show(headers: HeaderMap) -> Response {
    let chosen = if accepts_gzip(&headers) { GZIP } else { PLAIN };
    let mut response = if has_current(&headers, chosen.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Body::from(chosen.bytes).into_response();
        let to = response.headers_mut();
        to.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(encoding) = chosen.encoding {
            to.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    let to = response.headers_mut();
    to.insert(ETAG, HeaderValue::from_static(chosen.etag));
    to.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE));
    to.insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// True if `Accept-Encoding` allows gzip (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut named, mut any) = (None, None);
    for entry in entries(headers, &ACCEPT_ENCODING) {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let weight = parts.find_map(|it| it.strip_prefix("q=").or(it.strip_prefix("Q=")));
        let is_allowed = weight.is_none_or(|it| it.parse::<f32>().is_ok_and(|it| it > 0.0));
        match coding.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => named = Some(is_allowed),
            "*" => any = Some(is_allowed),
            _ => (),
        }
    }
    named.or(any).unwrap_or(false)
}

/// True if `If-None-Match` names `etag` (RFC 9110, section 13.1.2).
fn has_current(headers: &HeaderMap, etag: &str) -> bool {
    let mut named = entries(headers, &IF_NONE_MATCH);
    named.any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == etag)
}

/// Entries of a header that is a list.
fn entries<'a>(
    headers: &'a HeaderMap,
    name: &axum::http::HeaderName,
) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|it| it.to_str().ok());
    values.flat_map(|it| it.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|it| (name.clone(), HeaderValue::from_static(it))).collect()
    }

    #[test]
    fn gzip_is_sent_only_where_accept_encoding_allows_it() {
        for accepted in ["gzip", "br, GZIP;q=0.5", "*", "identity, *;q=0.1", "x-gzip"] {
            assert!(accepts_gzip(&headers(&ACCEPT_ENCODING, &[accepted])), "{accepted}");
        }
        assert!(accepts_gzip(&headers(&ACCEPT_ENCODING, &["br", "gzip"])));
        for refused in ["", "br", "gzip;q=0", "*, gzip; q=0.000", "*;q=0", "gzip;q=x"] {
            assert!(!accepts_gzip(&headers(&ACCEPT_ENCODING, &[refused])), "{refused}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn if_none_match_is_a_list_and_compares_weakly() {
        for current in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(has_current(&headers(&IF_NONE_MATCH, &[current]), "\"a\""), "{current}");
        }
        for other in ["", "a", "\"b\"", "\"aa\""] {
            assert!(!has_current(&headers(&IF_NONE_MATCH, &[other]), "\"a\""), "{other}");
        }
    }

    #[test]
    fn representations_have_strong_etags_and_the_same_document() {
        assert_ne!(PLAIN.etag, GZIP.etag);
        for etag in [PLAIN.etag, GZIP.etag] {
            let is_strong = etag.len() == 66 && etag.starts_with('"') && etag.ends_with('"');
            assert!(is_strong, "{etag}");
        }
        let committed = include_str!("../../../shared/openapi/openapi.json");
        let value = |text| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(value(DOCUMENT), value(committed));
        assert!(!DOCUMENT.contains('\n') && GZIP.bytes.len() * 4 < DOCUMENT.len());
    }
}
