//! Time-outs, in real time.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stack::{Stack, call, pause, until};

#[tokio::test]
async fn a_deadline_is_told_to_the_second() {
    told_once_in_time(&[]).await;
}

#[tokio::test]
async fn without_the_queue_the_next_sweep_tells_of_a_deadline() {
    told_once_in_time(&["--no-queue", "--sweep-interval", "1s"]).await;
}

/// Two people are asked, one answers, and five seconds pass.
async fn told_once_in_time(flags: &[&str]) {
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
    let (status, told) = call(Method::POST, &answer, &[], r#"{"option": "approve"}"#).await;
    assert_eq!(status, StatusCode::OK, "{told}");

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

    // A few sweeps more, and late hints.
    pause(Duration::from_secs(4)).await;
    assert_eq!(stack.inbox().await.len(), 1);
}

fn at(value: &Value) -> Timestamp {
    value.as_str().and_then(|it| it.parse().ok()).expect("a time")
}
