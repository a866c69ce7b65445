//! Delivery of a request's outcome to its receiver.

use std::time::Duration;

use answerback::signing::verify_standard;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{World, reply};

/// A question to two people, with a callback.
fn question() -> Value {
    json!({
        "title": "Deploy v2.4.1?",
        "recipients": ["a@example.com", { "email": "b@example.com", "name": "Bea" }],
        "options": [
            { "value": "approve", "label": "Approve", "style": "primary" },
            { "value": "reject", "label": "Reject", "style": "destructive" },
        ],
        "timeout_seconds": 60,
        "callback_url": "https://hooks.example.com/answerback",
        "external_reference_id": "deploy-v2.4.1",
        "metadata": { "sha": "c0ffee" },
    })
}

#[tokio::test]
async fn outcome_is_delivered_once_with_a_valid_signature() {
    let world = World::start().await;
    let request = world.create(question()).await;
    for recipient in [0, 1] {
        let answer = world.answer(&request, recipient, json!({ "option": "approve" })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    world.pass(Duration::from_mins(10)).await;

    let [post] = world.posts().try_into().expect("exactly one");
    assert_eq!(post.url.as_str(), "https://hooks.example.com/answerback");
    let header = |name: &str| post.headers[name].to_str().expect("ASCII").to_owned();
    let secret = &*world.secret().await;
    assert!(verify_standard(
        secret,
        &header("webhook-id"),
        &header("webhook-timestamp"),
        &post.body,
        &header("webhook-signature"),
    ));

    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(shown["outcome"], "completed");
    assert_eq!(shown["decision"], "approve");
    assert_eq!(shown["callback"]["status"], "delivered");
    assert_eq!(shown["callback"]["delivery_id"], header("webhook-id"));
    let told: Value = serde_json::from_slice(&post.body).expect("JSON");
    assert_eq!(told["type"], "request.finished");
    assert_eq!(told["data"]["responses"], shown["responses"]);
}

#[tokio::test]
async fn failed_callback_is_retried_under_the_same_id() {
    let world = World::start_answering([reply(503), reply(500)]).await;
    let request = world.create(question()).await;
    for recipient in [0, 1] {
        world.answer(&request, recipient, json!({ "option": "reject" })).await;
    }
    world.pass(Duration::from_mins(10)).await;

    let ids: Vec<_> = world.posts().iter().map(|it| it.headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|it| *it == ids[0]));
    let list = world.call(Method::GET, "/v1/deliveries", Value::Null).await.json();
    assert_eq!(list["data"][0]["status"], "delivered");
    assert_eq!(list["data"][0]["failures"], 2);
}
