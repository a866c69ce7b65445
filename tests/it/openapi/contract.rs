//! The contract check finds every kind of deviation.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use system_tests::contract::{Contract, Exchange};

/// An exchange for a test to change.
struct Call {
    method: Method,
    path: String,
    request_headers: HeaderMap,
    request: Value,
    status: StatusCode,
    response_headers: HeaderMap,
    response: Value,
}

impl Call {
    fn check(&self) -> anyhow::Result<()> {
        let bytes = |body: &Value| if body.is_null() { String::new() } else { body.to_string() };
        Contract::of_the_api().check(&Exchange {
            method: &self.method,
            path: &self.path,
            request_headers: &self.request_headers,
            request_body: bytes(&self.request).as_bytes(),
            status: self.status,
            response_headers: &self.response_headers,
            response_body: bytes(&self.response).as_bytes(),
        })
    }
}

/// The document's own example of the schema.
fn example(schema: &str) -> Value {
    let document = Contract::of_the_api().document();
    document["components"]["schemas"][schema]["examples"][0].clone()
}

fn problem(status: u16, code: &str) -> Value {
    let mut problem = example("Problem");
    problem["status"] = status.into();
    problem["code"] = code.into();
    problem
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
}

fn creation() -> Call {
    let mut call = Call {
        method: Method::POST,
        path: "/v1/requests".into(),
        request_headers: HeaderMap::new(),
        request: example("NewRequest"),
        status: StatusCode::CREATED,
        response_headers: HeaderMap::new(),
        response: example("Request"),
    };
    set(&mut call.request_headers, "content-type", "application/json");
    set(&mut call.request_headers, "idempotency-key", "deploy");
    set(&mut call.response_headers, "content-type", "application/json; charset=utf-8");
    set(&mut call.response_headers, "location", "/v1/requests/req_01jd7k2m9qe4v8x3n5t6w1y0za");
    call
}

fn list() -> Call {
    Call {
        method: Method::GET,
        path: "/v1/requests?limit=100&status=pending".into(),
        request: Value::Null,
        status: StatusCode::OK,
        response: json!({ "data": [example("Request")], "next_cursor": null }),
        ..creation()
    }
}

fn refusal(status: StatusCode, code: &str) -> Call {
    let response = problem(status.as_u16(), code);
    let mut call = Call { status, response, ..list() };
    set(&mut call.response_headers, "content-type", "application/problem+json");
    call
}

#[test]
fn documented_exchange_passes() {
    creation().check().expect("a creation");
    list().check().expect("a list");
    let not_found = refusal(StatusCode::NOT_FOUND, "not_found");
    Call { path: "/v1/nothing".into(), ..not_found }.check().expect("an unknown path");
    Call { method: Method::HEAD, response: Value::Null, ..list() }.check().expect("a HEAD");
    let mut wrong_method = refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    wrong_method.method = Method::PATCH;
    set(&mut wrong_method.response_headers, "allow", "GET, HEAD, POST");
    wrong_method.check().expect("an unknown method");
}

#[test]
fn refused_call_may_have_any_body() {
    let mut call = refusal(StatusCode::BAD_REQUEST, "malformed_json");
    call.method = Method::POST;
    call.path = "/v1/requests?what=ever".into();
    call.request = json!({ "timeout_second": 5 });
    call.check().expect("only what is accepted must be valid");
}

#[test]
fn undocumented_exchange_is_refused_with_the_reason() {
    type Case = (&'static str, fn() -> Call, fn(&mut Call));
    let cases: &[Case] = &[
        ("the path is not documented", list, |it| it.path = "/v1/nothing".into()),
        ("the method is not documented", list, |it| it.method = Method::PATCH),
        ("the status is not documented", list, |it| it.status = StatusCode::IM_A_TEAPOT),
        ("no header `Location`", creation, |it| it.response_headers.clear()),
        ("`Location`", creation, |it| set(&mut it.response_headers, "location", "/elsewhere")),
        ("`text/html` is not documented", list, |it| {
            set(&mut it.response_headers, "content-type", "text/html");
        }),
        ("\"id\" is a required property", creation, |it| {
            it.response.as_object_mut().expect("an object").remove("id");
        }),
        ("'surprise' was unexpected", creation, |it| it.response["surprise"] = true.into()),
        ("/created_at", creation, |it| it.response["created_at"] = "2026-11-21T09:00:00Z".into()),
        ("/outcome", creation, |it| it.response["outcome"] = "completed".into()),
        ("accepted with this body", creation, |it| it.request["timeout_second"] = 5.into()),
        ("accepted with this body", creation, |it| it.request = Value::Null),
        ("accepted with this `Idempotency-Key`", creation, |it| {
            set(&mut it.request_headers, "idempotency-key", "");
        }),
        ("accepted with this `limit`", list, |it| it.path = "/v1/requests?limit=101".into()),
        ("unknown [\"statuss\"]", list, |it| it.path = "/v1/requests?statuss=pending".into()),
        ("an answer to HEAD has a body", list, |it| it.method = Method::HEAD),
        (
            "/code",
            || refusal(StatusCode::UNAUTHORIZED, "forbidden"),
            |it| {
                set(&mut it.response_headers, "www-authenticate", "Bearer");
            },
        ),
        (
            "no header `Retry-After`",
            || refusal(StatusCode::SERVICE_UNAVAILABLE, "too_busy"),
            |_| {},
        ),
        ("accepted without `delivery_id`", list, |it| {
            it.path = "/v1/attempts".into();
            it.response = json!({ "data": [], "next_cursor": null });
        }),
    ];
    for (reason, call, spoil) in cases {
        let mut call = call();
        spoil(&mut call);
        let fault = format!("{:#}", call.check().expect_err(reason));
        assert!(fault.contains(reason), "expected {reason}, found {fault}");
    }
}
