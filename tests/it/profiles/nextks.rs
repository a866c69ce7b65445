//! The `nextks` profile, as a receiver written for it sees it.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{START, World, reply};

use super::hmac_sha256;

#[tokio::test]
async fn nextks_receiver_gets_its_body_and_signature() {
    let world = World::start_answering((0..2).map(|_| reply(410))).await;
    let request = world
        .create(json!({
            "title": "Deploy?",
            "recipients": ["a@example.com", "b@example.com"],
            "options": [{ "value": "approve", "label": "Approve" }],
            "fields": [{ "key": "why", "type": "text", "label": "Why" }],
            "timeout_seconds": 5,
            "external_reference_id": "deploy-7",
            "callback_url": "https://hooks.example.com/nextks",
            "callback": { "profile": "nextks" },
        }))
        .await;
    let answer = json!({ "option": "approve", "fields": { "why": "tested" } });
    world.answer(&request, 0, answer).await;
    world.pass(Duration::from_mins(10)).await;

    let posts = world.posts();
    assert_eq!(posts.len(), 3);
    let secret = &*world.secret().await;
    for post in &posts {
        assert_eq!(post.timeout, Duration::from_secs(10));
        assert_eq!(post.body, posts[0].body);
        assert_eq!(post.headers["content-type"], "application/json");
        assert_eq!(post.headers["x-nextks-request-id"], request["id"].as_str().expect("an id"));
        let signature = format!("sha256={}", hmac_sha256(secret.as_bytes(), &post.body));
        assert_eq!(post.headers["x-nextks-signature"], signature);
        assert_eq!(post.headers["answerback-delivery"], posts[0].headers["answerback-delivery"]);
        assert!(!post.headers.contains_key("webhook-signature"));
    }
    let told: Value = serde_json::from_slice(&posts[0].body).expect("JSON");
    let expected = json!({
        "request_id": request["id"],
        "external_reference_id": "deploy-7",
        "status": "finished",
        "responses": [
            {
                "user_email": "a@example.com",
                "option_value": "approve",
                "timestamp": "2026-01-01T00:00:00.000Z",
                "expired": false,
            },
            {
                "user_email": "b@example.com",
                "option_value": null,
                "timestamp": null,
                "expired": true,
            },
        ],
    });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn nextks_delivery_is_retried_three_times_a_minute_apart() {
    let world = World::start_answering((0..9).map(|_| reply(500))).await;
    let request = world
        .create(json!({
            "title": "Deploy?",
            "options": [{ "value": "approve", "label": "Approve" }],
            "callback_url": "https://hooks.example.com/nextks",
            "callback": { "profile": "nextks" },
        }))
        .await;
    let answer = world.answer(&request, 0, json!({ "option": "approve" })).await;
    assert_eq!(answer.status, StatusCode::OK);
    world.pass(Duration::from_hours(1)).await;
    let path = format!("/v1/deliveries?request_id={}", request["id"].as_str().expect("an id"));
    let delivery = &world.call(Method::GET, &path, Value::Null).await.json()["data"][0];
    assert_eq!(delivery["status"], "dead_lettered");
    let path = format!("/v1/attempts?delivery_id={}", delivery["id"].as_str().expect("an id"));
    let list = world.call(Method::GET, &path, Value::Null).await.json();
    let data = list["data"].as_array().expect("a list");
    let started = data.iter().map(|it| it["started_at"].as_str().expect("a time"));
    let started = started.map(|it| it.parse::<jiff::Timestamp>().expect("a time").as_second());
    let mut started: Vec<i64> = started.map(|it| it - START).collect();
    started.reverse();
    assert_eq!(started, [0, 60, 120, 180]);
}
