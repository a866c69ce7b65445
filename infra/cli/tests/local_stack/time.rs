//! Deadlines, in real time.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stack::{Stack, call, pause, until};

#[tokio::test]
async fn timeout_callback_arrives_within_seconds_of_the_deadline() {
    check_timeout(&[]).await;
}

#[tokio::test]
async fn sweep_sends_the_timeout_callback_when_hints_are_lost() {
    check_timeout(&["--no-queue", "--sweep-interval", "1s"]).await;
}

/// Creates a request for two recipients, of whom one answers, and waits five seconds for the deadline.
async fn check_timeout(flags: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(folder.path(), flags);
    let request = stack
        .create(json!({
            "title": "Deploy?",
            "recipients": ["a@example.com", "b@example.com"],
            "options": [{ "value": "approve", "label": "Approve" }],
            "timeout_seconds": 5,
            "callback_url": stack.ready["inbox_url"],
        }))
        .await;
    let link = request["recipients"][0]["answer_url"].as_str().expect("a link");
    let answer = link.replace("/a/", "/v1/answers/");
    let (status, response) = call(Method::POST, &answer, &[], r#"{"option": "approve"}"#).await;
    assert_eq!(status, StatusCode::OK, "{response}");

    let arrived = until("the callback arrives", async || stack.inbox().await.pop()).await;
    let waited = at(&arrived["received_at"]).duration_since(at(&request["created_at"]));
    let (least, most) = (SignedDuration::from_secs(5), SignedDuration::from_secs(9));
    assert!(least <= waited && waited <= most, "called back after {waited:#}");
    assert_eq!(arrived["verified"], true, "{arrived}");
    let data = &arrived["body"]["data"];
    assert_eq!(data["outcome"], "timed_out");
    assert_eq!(data["responses"][0]["option"], "approve");
    assert_eq!(data["responses"][0]["expired"], false);
    assert_eq!(data["responses"][1]["option"], Value::Null);
    assert_eq!(data["responses"][1]["expired"], true);

    // Time for more sweeps and late hints.
    pause(Duration::from_secs(4)).await;
    assert_eq!(stack.inbox().await.len(), 1);
}

fn at(value: &Value) -> Timestamp {
    value.as_str().and_then(|it| it.parse().ok()).expect("a time")
}
