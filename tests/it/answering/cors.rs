//! Web pages of every origin may answer with a link, but make no other calls.

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode},
};
use serde_json::{Value, json};
use system_tests::{World, token};

const ORIGIN: (&str, &str) = ("origin", "https://app.example.com");

fn question() -> Value {
    json!({ "title": "Deploy?", "options": [{ "value": "yes", "label": "Yes" }] })
}

/// The CORS headers of a response.
fn cors(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("access-control-"))
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn preflight_of_an_answer_allows_every_origin() {
    let world = World::start().await;
    let request = world.create(question()).await;
    for token in [token(&request, 0), "unknown".to_owned()] {
        let headers = [
            ORIGIN,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ];
        let path = format!("/v1/answers/{token}");
        let answer = world.send(Method::OPTIONS, &path, &headers, Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        let expected = [
            ("access-control-allow-headers", "content-type"),
            ("access-control-allow-methods", "GET, POST"),
            ("access-control-allow-origin", "*"),
            ("access-control-max-age", "86400"),
        ];
        assert_eq!(cors(&answer.headers), expected, "no credentials are allowed");
    }
}

#[tokio::test]
async fn every_response_to_an_answer_allows_every_origin() {
    let world = World::start().await;
    let request = world.create(question()).await;
    let path = format!("/v1/answers/{}", token(&request, 0));
    let headers = [ORIGIN, ("content-type", "application/json")];
    let too_large = format!("\"{}\"", "a".repeat(300_000));
    for (method, path, body, status) in [
        (Method::GET, &*path, "", StatusCode::OK),
        (Method::HEAD, &path, "", StatusCode::OK),
        (Method::GET, "/v1/answers/unknown", "", StatusCode::NOT_FOUND),
        (Method::POST, "/v1/answers/unknown", "{}", StatusCode::NOT_FOUND),
        (Method::POST, &path, "{", StatusCode::BAD_REQUEST),
        (Method::POST, &path, &too_large, StatusCode::PAYLOAD_TOO_LARGE),
        (Method::POST, &path, r#"{"option":"no"}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (Method::PUT, &path, "", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, &path, r#"{"option":"yes"}"#, StatusCode::OK),
    ] {
        let answer = world.send(method.clone(), path, &headers, Bytes::from(body.to_owned())).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        let expected = [("access-control-allow-origin", "*")];
        assert_eq!(cors(&answer.headers), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn no_other_path_allows_other_origins() {
    let world = World::start().await;
    let request = world.create(question()).await;
    let id = request["id"].as_str().expect("an id");
    let page = format!("/a/{}", token(&request, 0));
    for path in
        [&*page, "/v1/requests", &format!("/v1/requests/{id}"), "/v1/answers", "/openapi.json"]
    {
        let key = format!("Bearer {}", world.key);
        let headers = [ORIGIN, ("authorization", &*key)];
        let shown = world.send(Method::GET, path, &headers, Bytes::new()).await;
        assert_eq!(cors(&shown.headers), [], "GET {path}");
        let preflight = world.send(Method::OPTIONS, path, &[ORIGIN], Bytes::new()).await;
        let refused = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND];
        assert!(refused.contains(&preflight.status), "OPTIONS {path}");
        assert_eq!(cors(&preflight.headers), [], "OPTIONS {path}");
    }
}
