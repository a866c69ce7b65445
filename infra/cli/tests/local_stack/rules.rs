//! The rules for callback URLs, in development and in production.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::Stack;

async fn ask(stack: &Stack, callback_url: &str) -> (StatusCode, Value) {
    let body = json!({
        "title": "Deploy?",
        "options": [{ "value": "approve", "label": "Approve" }],
        "callback_url": callback_url,
        "callback": { "probe": "skip" },
    });
    stack.call(Method::POST, "/v1/requests", body).await
}

#[tokio::test]
async fn http_and_loopback_are_allowed_in_development_only() {
    let folder = tempfile::tempdir().expect("a folder");
    for url in ["http://127.0.0.1:9/hook", "https://127.0.0.1:8443/hook", "http://localhost:9/hook"]
    {
        let stack = Stack::start(folder.path(), &[]);
        assert_eq!(ask(&stack, url).await.0, StatusCode::CREATED, "{url}");
        stack.kill();
        let stack = Stack::start(folder.path(), &["--strict"]);
        let (status, problem) = ask(&stack, url).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{url}");
        assert_eq!(problem["code"], "callback_url_not_allowed");
        stack.kill();
    }
}

#[tokio::test]
async fn host_that_resolves_to_a_private_address_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let answers = folder.path().join("answers.json");
    let script = json!({
        "public.example.com": [["8.8.8.8"]],
        "private.example.com": [["10.0.0.1"]],
        "mixed.example.com": [["8.8.8.8", "169.254.169.254"]],
    });
    std::fs::write(&answers, script.to_string()).expect("a file");
    let flags = ["--strict", "--resolve", answers.to_str().expect("UTF-8")];
    let stack = Stack::start(&folder.path().join("data"), &flags);

    let (status, request) = ask(&stack, "https://public.example.com/hook").await;
    assert_eq!(status, StatusCode::CREATED, "{request}");
    for host in ["private", "mixed", "unknown"] {
        let (status, problem) = ask(&stack, &format!("https://{host}.example.com/hook")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{host}");
        assert_eq!(problem["code"], "callback_url_not_allowed", "{host}");
    }
}
