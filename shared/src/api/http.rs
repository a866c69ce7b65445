//! The layer around all HTTP routes: request bodies, trace headers, log spans and problem bodies.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, FromRequest, FromRequestParts, MatchedPath, Request,
        rejection::BytesRejection,
    },
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST},
        request::Parts,
    },
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use lambda_http::{RequestExt as _, request::RequestContext};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use tracing::Instrument as _;

use crate::{
    api::{
        Code, FieldError, Problem,
        body::{self, Sent},
        browser::{self, Reader},
        cors, media, paths, trace,
    },
    domain::Trace,
};

/// Largest request body, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// A header of every callback. A call with it comes from a receiver that is Answerback, or that passes
/// callbacks on to it, and may lead to the next callback. No route accepts it.
const OWN_CALLBACK: &str = "answerback-delivery";

/// The routes of a function, with the body limit, and problem responses for 404 and 405.
pub fn service(routes: Router) -> Router {
    let routes = routes
        .fallback(|uri: Uri| async move { unrouted(uri.path()) })
        .method_not_allowed_fallback(|| async { method_not_allowed() })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(finish));
    // The outer router has no routes, so that its layer comes before the search for one.
    Router::new().fallback_service(routes).layer(middleware::map_request(with_text_path))
}

/// The state of routes that serve several processes: it makes the app `A` of a call's process.
pub struct AppSource<A>(Arc<dyn Fn() -> A + Send + Sync>);

impl<A> AppSource<A> {
    /// A source that calls `make` for each call.
    pub fn new(make: impl Fn() -> A + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// The app of the current call.
    pub fn app(&self) -> A {
        (self.0)()
    }
}

impl<A> Clone for AppSource<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Makes a path UTF-8, which handlers rely on.
async fn with_text_path(mut request: Request) -> Request {
    let Some(path) = paths::as_text(request.uri().path()) else { return request };
    let mut parts = request.uri().clone().into_parts();
    let query = request.uri().query().map_or_else(String::new, |it| format!("?{it}"));
    parts.path_and_query = format!("{path}{query}").parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// The response for a path that this function has no route for. Another may serve the path with
/// other methods.
fn unrouted(path: &str) -> Response {
    if let Some(redirect) = browser::without_slash(path) {
        return redirect;
    }
    let is_known = paths::methods_of(path).is_some();
    let problem = if is_known { method_not_allowed() } else { Problem::not_found() };
    problem.into_response()
}

fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this path does not support this method")
}

/// Adds route, sender and API key to each log line.
/// The path itself is not logged, because some hold a token.
async fn finish(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let span = tracing::info_span!(
        "call",
        method = %request.method(),
        route,
        source_ip = source_ip(&request),
        // Set when the key is known.
        key.id = tracing::field::Empty,
    );
    let mut response = finish_in_span(request, next).instrument(span).await;
    cors::allow_origin(route.as_deref(), response.headers_mut());
    response
}

/// The address that API Gateway saw.
fn source_ip(request: &Request) -> Option<String> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        _ => None,
    }
}

/// Adds the identifier of the call to its response, and writes the body of a problem: for a
/// program as JSON, for a person as a page.
async fn finish_in_span(request: Request, next: Next) -> Response {
    let id = request
        .lambda_context_ref()
        .map_or(Cow::Borrowed("unknown"), |context| Cow::Owned(context.request_id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let is_read = matches!(method, Method::GET | Method::HEAD);
    let reader = Reader::of(request.uri(), request.headers());
    let words = browser::words(request.headers());
    let mut response = if request.headers().contains_key(OWN_CALLBACK) {
        let detail = "a callback of Answerback must not call Answerback";
        Problem::new(Code::LoopDetected, detail).into_response()
    } else {
        next.run(request).await
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    // Responses hold links and answers, so no cache may keep them.
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(methods) = paths::methods_of(&path)
    {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    }
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else {
        let status = response.status();
        // The fronts of other products log their problems themselves, and a change has a line that says
        // more. The access log has a line for each call.
        if is_read && !status.is_client_error() && !status.is_server_error() {
            tracing::info!(status = status.as_u16(), "served a call");
        }
        return response;
    };
    problem.log();
    let body = if let Some(page) = reader.page(&problem, words) {
        browser::set_headers(response.headers_mut());
        Body::from(page)
    } else {
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Body::from(problem.body(&id))
    };
    *response.body_mut() = if method == Method::HEAD { Body::empty() } else { body };
    response
}

/// The trace of a call: the caller's, or else the one that AWS assigned.
pub fn trace(headers: &HeaderMap) -> Option<Trace> {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    let given = text("traceparent").and_then(trace::of_traceparent);
    given.or_else(|| text("x-amzn-trace-id").and_then(trace::of_xray))
}

/// A JSON body. The content type is ignored.
#[derive(Debug)]
pub struct Json(pub Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        parse(&read_body(request, state).await?).map(Self)
    }
}

/// A JSON body that defaults to an empty object.
#[derive(Debug)]
pub struct OptionalJson(pub Value);

impl<S: Send + Sync> FromRequest<S> for OptionalJson {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let text = read_body(request, state).await?;
        if text.is_empty() { Ok(Self(Map::new().into())) } else { parse(&text).map(Self) }
    }
}

/// The body of a call that takes none: nothing, or an empty object.
#[derive(Clone, Copy, Debug)]
pub struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let OptionalJson(value) = OptionalJson::from_request(request, state).await?;
        body::read(value, |_| Some(Self))
    }
}

/// A JSON body with its text, so that its members can be passed on byte for byte.
#[derive(Debug)]
pub struct JsonText {
    /// The parsed body.
    pub value: Value,
    text: Bytes,
}

impl From<JsonText> for Sent {
    fn from(JsonText { value, text }: JsonText) -> Self {
        Self::new(value, text)
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let text = read_body(request, state).await?;
        Ok(Self { value: parse(&text)?, text })
    }
}

impl JsonText {
    /// The text of a member, if the body is an object.
    pub fn member(&self, name: &str) -> Option<String> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(&self.text).ok()?;
        members.get(name).map(|it| it.get().to_owned())
    }
}

fn parse(text: &[u8]) -> Result<Value, Problem> {
    read_json(text).map_err(|err| {
        // The one rule beyond the grammar: a well-formed body that breaks it is not malformed.
        if err.is_data() {
            return Problem::invalid(vec![FieldError::pointer("", err.to_string())]);
        }
        Problem::new(Code::MalformedJson, format!("the body is not JSON: {err}"))
    })
}

/// Reads JSON that every parser reads alike. Unlike `Value`'s own parser, it accepts all member
/// names: `Value` interprets some that `serde_json` uses internally.
pub fn read_json(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(text).map(|Unambiguous(value)| value)
}

/// JSON that every parser reads alike: no object has two members of one name (RFC 8259, section 4).
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
                        return Err(de::Error::custom(format!("`{name}` is duplicated")));
                    }
                    members.insert(name, value);
                }
                Ok(members.into())
            }
        }
        deserializer.deserialize_any(Any).map(Self)
    }
}

/// The whole body, which is UTF-8 by its headers, after its byte order mark.
pub async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    media::check(request.headers())?;
    let body = Bytes::from_request(request, state).await.map_err(|err: BytesRejection| {
        if err.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = format!("the body must be at most {BODY_BYTES_MAX} bytes");
            return Problem::new(Code::BodyTooLarge, detail);
        }
        Problem::new(Code::MalformedJson, "the body is incomplete")
    })?;
    Ok(body.slice_ref(media::without_mark(&body)?))
}

/// The `Host` that the caller used, without a default port.
#[derive(Clone, Debug)]
pub struct CalledHost(pub String);

impl<S: Send + Sync> FromRequestParts<S> for CalledHost {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let host = parts.headers.get(HOST).and_then(|it| it.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        // It becomes part of links, so only characters of a host and a port are accepted.
        let is_host = |it: &&str| {
            it.bytes().all(|it| it.is_ascii_alphanumeric() || b".-:[]".contains(&it))
                && url::Url::parse(&format!("http://{it}/")).is_ok()
        };
        host.filter(is_host).map(|it| Self(it.to_owned())).ok_or_else(|| {
            Problem::invalid(vec![FieldError::parameter("Host", "must be a host name")])
        })
    }
}

/// The value of a header, if it is text.
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

    /// Distinct names, some with several spellings in JSON.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof![
            // `serde_json` uses the last one internally.
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

    /// The same JSON with every character of every name escaped.
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
        fn json_round_trips_in_any_spelling(value in values()) {
            prop_assert_eq!(read(value.to_string().as_bytes()), Ok(value.clone()));
            prop_assert_eq!(read(escaped(&value).as_bytes()), Ok(value));
        }

        /// The second member may be spelled with escapes, at any depth.
        #[test]
        fn a_duplicated_member_is_refused(
            name in names(),
            [first, second, outer] in prop::array::uniform3(values()),
            depth in 0_usize..20,
        ) {
            let quoted = Value::from(name.as_str()).to_string();
            let other = escaped(&serde_json::json!({ (name.as_str()): second }));
            let object = format!("{{{quoted}:{first},\"z\":{outer},{}", &other[1..]);
            let text = format!("{}{object}{}", "[".repeat(depth), "]".repeat(depth));
            let refused = read(text.as_bytes());
            let is_refused = refused.as_ref().is_err_and(|it| it.contains("duplicated"));
            prop_assert!(is_refused, "{:?}", refused);
        }

        /// Accepts only JSON, with the value that another parser reads. Refuses JSON only for a
        /// known reason.
        #[test]
        fn bytes_are_read_as_by_other_parsers_or_refused(
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
                        // Only our parser accepts the name that `serde_json` uses internally.
                        if !String::from_utf8_lossy(&bytes).contains("RawValue") {
                            prop_assert_eq!(serde_json::from_slice(&bytes).ok(), Some(value));
                        }
                    }
                    Err(why) => {
                        let reasons = ["duplicated", "number out of range", "surrogate", "hex escape"];
                        let has_reason = reasons.iter().any(|it| why.contains(it));
                        prop_assert!(!is_json || has_reason, "{}", why);
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_bodies_are_read_in_linear_time() {
        let deep = "[".repeat(BODY_BYTES_MAX);
        assert!(read(deep.as_bytes()).is_err_and(|it| it.contains("recursion limit")));
        let names: Vec<String> = (0..20_000).map(|it| format!("{it:06x}")).collect();
        let wide = |last| format!(r#"{{"{}":0,"{last}":0}}"#, names.join(r#"":0,""#));
        assert!(read(wide("z").as_bytes()).is_ok());
        assert!(read(wide("000000").as_bytes()).is_err());
    }
}
