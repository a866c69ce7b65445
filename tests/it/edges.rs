//! The edges of HTTP: paths, methods, encodings and bodies that no handler expects.
//!
//! Two functions serve the API. A client must not notice, so these tests take every path of the
//! OpenAPI document, whichever function serves it.

mod bodies;
mod browsers;

use answerback::api::paths;
use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde_json::Value;
use system_tests::{World, contract::Contract};

/// A method and a path of the API, with its description.
struct Operation {
    method: Method,
    path: String,
    description: &'static Value,
}

/// All operations.
fn operations() -> Vec<Operation> {
    let paths = Contract::of_the_api().document()["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, description) in item.as_object().expect("a path item") {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            all.push(Operation { method, path: path.clone(), description });
        }
    }
    assert!(all.len() > 60, "only {} operations", all.len());
    all
}

/// The path with this text in all its placeholders.
fn filled(path: &str, text: &str) -> String {
    let segments = path.split('/').map(|it| if it.starts_with('{') { text } else { it });
    segments.collect::<Vec<_>>().join("/")
}

/// The harness compares `Allow` with the document.
#[tokio::test]
async fn refused_method_names_all_methods_of_the_path() {
    let world = World::start().await;
    let mut n_refused = 0;
    for path in Contract::of_the_api().document()["paths"].as_object().expect("paths").keys() {
        let methods = paths::methods_of(path).expect("the table has the path");
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"]
        {
            if methods.split(", ").any(|it| it == method) {
                continue;
            }
            let method: Method = method.parse().expect("a method");
            let path = filled(path, "x");
            let answer = world.call(method.clone(), &path, Value::Null).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.headers["allow"], methods, "{method} {path}");
            n_refused += 1;
        }
    }
    assert!(n_refused > 200, "only {n_refused} were refused");
    assert_eq!(paths::methods_of("/v1/requests"), Some("GET, HEAD, POST"));
}

#[tokio::test]
async fn path_that_is_not_utf_8_is_not_found() {
    let world = World::start().await;
    let mut n_paths = 0;
    for Operation { method, path, description } in operations() {
        if !path.contains('{') || method == Method::OPTIONS {
            continue;
        }
        let broken = filled(&path, "%ff");
        let answer = world.call(method.clone(), &broken, Value::Null).await;
        // A missing body may be noticed first.
        let takes_body = description.get("requestBody").is_some();
        let is_refused = answer.status == StatusCode::NOT_FOUND
            || takes_body && answer.status == StatusCode::BAD_REQUEST;
        assert!(is_refused, "{method} {broken}: {}", answer.status);
        // The harness checks the rest: a page, a problem, or the JSON of a front.
        let content_type = answer.headers["content-type"].to_str().expect("ASCII");
        assert!(!content_type.starts_with("text/plain"), "{method} {broken}: {content_type}");
        n_paths += 1;
    }
    assert!(n_paths > 40, "only {n_paths} paths");
    let unknown = world.call(Method::GET, "/%ff", Value::Null).await;
    assert_eq!(unknown.code(), "not_found");
}

#[tokio::test]
async fn call_without_a_body_takes_nothing_or_an_empty_object() {
    let world = World::start().await;
    let key = format!("Bearer {}", world.key);
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    let mut n_calls = 0;
    for Operation { method, path, description } in operations() {
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&method);
        let takes_body = description.get("requestBody").is_some();
        if !writes || takes_body {
            continue;
        }
        let path = filled(&path, "x");
        let send = async |body: &'static str| {
            world.send(method.clone(), &path, &headers, Bytes::from_static(body.as_bytes())).await
        };
        for body in ["", "{}", " {} ", "\u{feff}{}"] {
            let answer = send(body).await;
            let is_done = answer.status.is_success() || answer.status == StatusCode::NOT_FOUND;
            assert!(is_done, "{method} {path} with {body:?}: {}", answer.text());
        }
        for (body, code) in [
            ("x", "malformed_json"),
            ("{", "malformed_json"),
            ("[]", "invalid_request"),
            ("null", "invalid_request"),
            (r#"{"reason":"superseded"}"#, "invalid_request"),
        ] {
            let answer = send(body).await;
            assert_eq!(answer.code(), code, "{method} {path} with {body}");
        }
        n_calls += 1;
    }
    assert!(n_calls >= 12, "only {n_calls} calls take no body");
}
