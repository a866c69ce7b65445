//! What all our HTTP functions have in common.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, FromRequest, FromRequestParts, MatchedPath, Request,
        rejection::BytesRejection,
    },
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HOST},
        request::Parts,
    },
    middleware::{self, Next},
    response::Response,
};
use lambda_http::RequestExt as _;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use tracing::Instrument as _;

use crate::{
    api::{Code, FieldError, Problem, cors},
    domain::Trace,
};

/// Largest body that is read.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// A function's routes with what they have in common: the limit on bodies, and answers in one
/// form where there is nothing, or nothing to be used so.
pub fn service(routes: Router) -> Router {
    routes
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed, "this path is not to be used with this method")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(finish))
}

/// Says in each line of the log which route was called; the path of some holds a token.
async fn finish(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let span = tracing::info_span!("call", method = %request.method(), route);
    let mut response = finish_in_span(request, next).instrument(span).await;
    cors::allow_origin(route.as_deref(), response.headers_mut());
    response
}

/// Names the call in its answer, and writes the body of a problem.
async fn finish_in_span(request: Request, next: Next) -> Response {
    let id = request
        .lambda_context_ref()
        .map_or(Cow::Borrowed("unknown"), |context| Cow::Owned(context.request_id.clone()));
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    // Answers hold links and what people said; no cache is to keep them.
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else {
        return response;
    };
    problem.log();
    *response.body_mut() = Body::from(problem.body(&id));
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The trace that a call belongs to: its caller's, or else the one that AWS gave it.
pub fn trace(headers: &HeaderMap) -> Option<Trace> {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    let given = text("traceparent").and_then(Trace::of_traceparent);
    given.or_else(|| text("x-amzn-trace-id").and_then(Trace::of_xray))
}

/// A JSON body, whatever the content type says of it.
#[derive(Debug)]
pub struct Json(pub Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        parse(&read_body(request, state).await?).map(Self)
    }
}

/// A JSON body that may be left out, and is an empty object then.
#[derive(Debug)]
pub struct JsonOrNothing(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonOrNothing {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let text = read_body(request, state).await?;
        if text.is_empty() { Ok(Self(Map::new().into())) } else { parse(&text).map(Self) }
    }
}

/// A JSON body whose parts are to be passed on as they were written.
#[derive(Debug)]
pub struct JsonText {
    /// What it says.
    pub value: Value,
    text: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let text = read_body(request, state).await?;
        Ok(Self { value: parse(&text)?, text })
    }
}

impl JsonText {
    /// The text of a member of the object that the body is.
    pub fn member(&self, name: &str) -> Option<String> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(&self.text).ok()?;
        members.get(name).map(|it| it.get().to_owned())
    }
}

fn parse(text: &[u8]) -> Result<Value, Problem> {
    read_json(text)
        .map_err(|err| Problem::new(Code::MalformedJson, format!("the body is not JSON: {err}")))
}

/// Reads JSON that every parser reads alike, with any names: a [`Value`] that reads itself takes
/// some for its own.
pub fn read_json(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(text).map(|Unambiguous(value)| value)
}

/// JSON that every parser reads alike: no member of an object is there twice (RFC 8259, section 4).
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(Unambiguous(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(items.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut members = Map::new();
                while let Some((name, Unambiguous(value))) = map.next_entry::<String, _>()? {
                    if members.contains_key(&name) {
                        return Err(de::Error::custom(format!("`{name}` is there twice")));
                    }
                    members.insert(name, value);
                }
                Ok(members.into())
            }
        }
        deserializer.deserialize_any(Any).map(Self)
    }
}

/// The whole body, or why it is not to be had.
pub async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|err: BytesRejection| {
        if err.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = format!("a body may have at most {BODY_BYTES_MAX} bytes");
            return Problem::new(Code::BodyTooLarge, detail);
        }
        Problem::new(Code::MalformedJson, "the body did not arrive whole")
    })
}

/// The host that the caller called, without the port where it is the usual one.
#[derive(Clone, Debug)]
pub struct CalledHost(pub String);

impl<S: Send + Sync> FromRequestParts<S> for CalledHost {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let host = parts.headers.get(HOST).and_then(|it| it.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        // It goes into links that people follow, so it is what a host looks like or nothing.
        let is_host = |it: &&str| {
            !it.is_empty()
                && it.bytes().all(|it| it.is_ascii_alphanumeric() || b".-:[]".contains(&it))
        };
        host.filter(is_host).map(|it| Self(it.to_owned())).ok_or_else(|| {
            Problem::invalid(vec![FieldError::parameter(
                "Host",
                "must name the host that is called",
            )])
        })
    }
}

/// The value of a header, if it is there and is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|it| it.to_str().ok())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::{prelude::*, sample::select};

    use super::*;

    fn read(text: &[u8]) -> Result<Value, String> {
        read_json(text).map_err(|err| err.to_string())
    }

    /// Names that differ, and names that only look so in JSON.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof![
            // The last is one that `serde_json` keeps for itself.
            6 => select(vec![
                "", "a", "A", "a/b", "é", "e\u{301}", "\u{0}", "\"",
                "$serde_json::private::RawValue",
            ]).prop_map(str::to_owned),
            1 => any::<String>(),
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            names().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// JSON text with every character of every name escaped, which means the same.
    fn escaped(value: &Value) -> String {
        let text = |it: &str| {
            it.encode_utf16().fold(String::new(), |mut text, unit| {
                write!(text, "\\u{unit:04X}").expect("a string takes everything");
                text
            })
        };
        match value {
            Value::Object(members) => {
                let member =
                    |(name, it): (&String, _)| format!("\"{}\": {}", text(name), escaped(it));
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(" ,\n"))
            }
            Value::Array(items) => {
                format!("[{}]", items.iter().map(escaped).collect::<Vec<_>>().join(","))
            }
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn json_is_read_back_as_it_was_written_however_that_was(value in values()) {
            prop_assert_eq!(read(value.to_string().as_bytes()), Ok(value.clone()));
            prop_assert_eq!(read(escaped(&value).as_bytes()), Ok(value));
        }

        /// The same name twice, spelled alike or not, at any depth.
        #[test]
        fn a_member_that_is_there_twice_is_refused(
            name in names(),
            [first, second, outer] in prop::array::uniform3(values()),
            depth in 0_usize..20,
        ) {
            let quoted = Value::from(name.as_str()).to_string();
            let other = escaped(&serde_json::json!({ (name.as_str()): second }));
            let object = format!("{{{quoted}:{first},\"z\":{outer},{}", &other[1..]);
            let text = format!("{}{object}{}", "[".repeat(depth), "]".repeat(depth));
            let refused = read(text.as_bytes());
            let is_refused = refused.as_ref().is_err_and(|it| it.contains("there twice"));
            prop_assert!(is_refused, "{:?}", refused);
        }

        /// Nothing is read that is not JSON, nothing otherwise than by another parser, and nothing
        /// is refused that is JSON but for a reason of its own.
        #[test]
        fn bytes_are_read_as_by_anybody_or_not_at_all(
            value in values(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
            garbage in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut damaged = value.to_string().into_bytes();
            for (at, byte) in edits {
                let at = at.index(damaged.len());
                damaged[at] = byte;
            }
            for bytes in [damaged, garbage] {
                let is_json = std::str::from_utf8(&bytes)
                    .is_ok_and(|it| serde_json::from_str::<de::IgnoredAny>(it).is_ok());
                match read(&bytes) {
                    Ok(value) => {
                        prop_assert!(is_json);
                        prop_assert_eq!(read(value.to_string().as_bytes()), Ok(value.clone()));
                        // A name that the other parser keeps for itself is read so by ours alone.
                        if !String::from_utf8_lossy(&bytes).contains("RawValue") {
                            prop_assert_eq!(serde_json::from_slice(&bytes).ok(), Some(value));
                        }
                    }
                    Err(why) => {
                        let reasons = ["twice", "number out of range", "surrogate", "hex escape"];
                        let has_reason = reasons.iter().any(|it| why.contains(it));
                        prop_assert!(!is_json || has_reason, "{}", why);
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_bodies_are_read_or_refused_in_one_go() {
        let deep = "[".repeat(BODY_BYTES_MAX);
        assert!(read(deep.as_bytes()).is_err_and(|it| it.contains("recursion limit")));
        let names: Vec<String> = (0..20_000).map(|it| format!("{it:06x}")).collect();
        let wide = |last| format!(r#"{{"{}":0,"{last}":0}}"#, names.join(r#"":0,""#));
        assert!(read(wide("z").as_bytes()).is_ok());
        assert!(read(wide("000000").as_bytes()).is_err());
    }
}
