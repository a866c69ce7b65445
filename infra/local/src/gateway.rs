//! An emulated API Gateway: turns HTTP requests into Lambda events, and Lambda responses into HTTP.

use std::{collections::BTreeMap, convert::Infallible, sync::LazyLock};

use answerback::{api::paths, platform::Clock};
use axum::{
    Router,
    body::Bytes,
    http::{
        HeaderName, HeaderValue, Method, Request, Response, StatusCode, header::HOST,
        uri::Authority,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lambda_http::{Adapter, Context, lambda_runtime::LambdaEvent, request::LambdaRequest};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::Service as _;
use url::Url;

/// API Gateway's limit on a function's run time.
const FUNCTION_TIMEOUT_MILLISECONDS: i64 = 30_000;

/// The deployment, which says which function serves which route.
const TEMPLATE: &str = include_str!("../../../template.yaml");

/// A function that serves HTTP, as Lambda runs it.
#[derive(Clone, Debug)]
pub struct HttpFunction {
    router: Router,
    clock: Clock,
}

/// A function's response, as API Gateway reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LambdaResponse {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    multi_value_headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

impl HttpFunction {
    /// The function with the routes of `router`.
    pub fn new(router: Router, clock: Clock) -> Self {
        Self { router, clock }
    }

    /// Invokes the function for `request`.
    pub async fn call(&self, request: &Request<Bytes>, call_id: &str) -> Response<Bytes> {
        // API Gateway rejects such a request itself: its event would have no host or no path.
        if !has_address(request) {
            let text = "Bad Request: the Host header or the path is missing or invalid";
            let mut response = Response::new(Bytes::from_static(text.as_bytes()));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
        match self.invoke(event(request, call_id), call_id).await {
            Ok(response) => response,
            Err(err) => {
                tracing::error!(error = %err, "could not convert a function's event or response");
                let mut response = Response::new(Bytes::from_static(b"Internal Server Error"));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }

    /// Invokes the function with an API Gateway event (payload format 2.0).
    pub async fn invoke(&self, event: Value, call_id: &str) -> anyhow::Result<Response<Bytes>> {
        let payload: LambdaRequest = serde_json::from_str(&event.to_string())?;
        let mut context = Context::default();
        call_id.clone_into(&mut context.request_id);
        let ends_at = self.clock.now().as_millisecond() + FUNCTION_TIMEOUT_MILLISECONDS;
        context.deadline = u64::try_from(ends_at)?;
        // A router is always ready. The adapter is not `Send`, so it is dropped before the await.
        let output = Adapter::from(self.router.clone()).call(LambdaEvent { payload, context });
        let output = output.await.map_err(|never: Infallible| match never {})?;
        response(serde_json::from_value(serde_json::to_value(&output)?)?)
    }
}

/// True if host and path make a URL, which the Lambda runtime relies on. `OPTIONS *` has no path.
fn has_address(request: &Request<Bytes>) -> bool {
    let host = request.headers().get(HOST).and_then(|it| it.to_str().ok());
    let path = request.uri().path();
    host.filter(|it| it.parse::<Authority>().is_ok()).is_some_and(|host| {
        path.starts_with('/') && Url::parse(&format!("http://{host}{path}")).is_ok()
    })
}

/// True for the routes of `intake` in `template.yaml`. All other routes, and unknown ones, belong to
/// `poll`.
pub fn is_write(method: &Method, path: &str) -> bool {
    static ROUTES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| routes_of("IntakeFunction"));
    ROUTES.iter().any(|(its, template)| *its == method.as_str() && paths::is_match(template, path))
}

/// The method and path of each `HttpApi` event of a function, one on a line.
fn routes_of(function: &str) -> Vec<(&'static str, &'static str)> {
    let lines = TEMPLATE.lines().skip_while(|it| it.trim() != format!("{function}:")).skip(1);
    let function = lines.take_while(|it| it.is_empty() || it.starts_with("    "));
    let routes = function.filter_map(|line| {
        let (method, path) = line.split_once("Method: ")?.1.split_once(", Path: ")?;
        Some((method, path.trim_end_matches('}').trim_matches('\'')))
    });
    routes.collect()
}

/// The event that API Gateway sends for `request`.
fn event(request: &Request<Bytes>, call_id: &str) -> Value {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|before| *before = format!("{before},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    headers.insert("x-forwarded-proto", "http".to_owned());
    let (body, is_base64) = match std::str::from_utf8(request.body()) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(request.body()), true),
    };
    let (method, path) = (request.method().as_str(), request.uri().path());
    let host = headers.get("host").cloned().unwrap_or_default();
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.uri().query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": call_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": "",
            "timeEpoch": 0,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    })
}

fn response(output: LambdaResponse) -> anyhow::Result<Response<Bytes>> {
    let body = output.body.unwrap_or_default();
    let body = if output.is_base64_encoded { STANDARD.decode(body)? } else { body.into_bytes() };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(output.status_code)?;
    let many = output.multi_value_headers;
    let one = output.headers.into_iter().filter(|(name, _)| !many.contains_key(name));
    let one = one.map(|(name, value)| (name, vec![value])).collect::<Vec<_>>();
    for (name, values) in many.into_iter().chain(one) {
        for value in values {
            let name: HeaderName = name.parse()?;
            response.headers_mut().append(name, HeaderValue::from_str(&value)?);
        }
    }
    Ok(response)
}
