//! What all our HTTP functions have in common.

use std::{borrow::Cow, fmt, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, FromRequest, FromRequestParts, Request, rejection::BytesRejection,
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
use serde_json::{Map, Value};

use super::{Code, Fault, Problem};

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

/// Names the call in its answer, and writes the body of a problem.
async fn finish(request: Request, next: Next) -> Response {
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

/// A JSON body, whatever the content type says of it.
#[derive(Debug)]
pub struct Json(pub Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read_body(request, state).await?;
        let Unambiguous(value) = serde_json::from_slice(&bytes).map_err(|err| {
            Problem::new(Code::MalformedJson, format!("the body is not JSON: {err}"))
        })?;
        Ok(Self(value))
    }
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
            Problem::invalid(vec![Fault::parameter("Host", "must name the host that is called")])
        })
    }
}

/// The value of a header, if it is there and is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|it| it.to_str().ok())
}
