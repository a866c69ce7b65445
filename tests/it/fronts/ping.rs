//! Ping: a message to a channel, the answer polled for, and the callback.

mod body;

use std::time::Duration;

use answerback::egress::{Failure, FailureKind};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, START, World, reply};

use super::{curl, press, text};
use crate::profiles::hmac_sha256;

/// The example in the product's documentation.
const MESSAGE: &str = r#"{
    "title": "Approve Request",
    "body": "Alice requested access to production",
    "priority": "high",
    "callback_url": "https://your-server.com/approvals",
    "actions": [
        {"type": "button", "label": "Approve", "key": "approve", "style": "primary"},
        {"type": "button", "label": "Reject", "key": "reject", "style": "destructive"}
    ]
}"#;

async fn channel(world: &World) -> Value {
    let answer = world.call(Method::POST, "/v1/channels", json!({ "name": "Deploys" })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

async fn send(world: &World, token: &Value, body: &str) -> Answer {
    curl(world, Method::POST, &format!("/v1/send/{}", text(token)), &[], body).await
}

async fn sent(world: &World, token: &Value, body: &str) -> String {
    let answer = send(world, token, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let body = answer.json();
    let id = text(&body["id"]).to_owned();
    assert_eq!(body, json!({ "ok": true, "id": id }));
    assert!(id.starts_with("msg_"));
    id
}

async fn poll(world: &World, token: &Value, message: &str) -> Answer {
    let path = format!("/v1/callback/{}/{message}", text(token));
    curl(world, Method::GET, &path, &[], "").await
}

async fn status(world: &World, token: &Value, message: &str) -> Value {
    let answer = poll(world, token, message).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

/// The identifier of the request in our API.
fn request_id(message: &str) -> String {
    message.replace("msg_", "req_")
}

async fn answer(world: &World, message: &str, option: &str) -> StatusCode {
    press(world, &request_id(message), 0, option).await.status
}

/// A message without a callback, for a client that polls.
fn polled() -> String {
    let mut body: Value = serde_json::from_str(MESSAGE).expect("JSON");
    body["callback_url"] = Value::Null;
    body.to_string()
}

#[tokio::test]
async fn client_polls_and_reads_the_answer_once() {
    let world = World::start().await;
    let channel = channel(&world).await;
    let token = &channel["token"];
    let message = sent(&world, token, &polled()).await;
    assert_eq!(status(&world, token, &message).await, json!({ "status": "pending" }));

    world.system.clock.advance(Duration::from_mins(3));
    assert_eq!(answer(&world, &message, "approve").await, StatusCode::OK);
    assert_eq!(answer(&world, &message, "reject").await, StatusCode::CONFLICT);
    world.system.clock.advance(Duration::from_secs(599));
    let expected = json!({
        "status": "submitted",
        "result": {
            "message_id": message,
            "channel_id": channel["id"],
            "timestamp": "2026-01-01T00:03:00.000Z",
            "triggered_by": "approve",
            "responses": {},
        },
        "submitted_at": "2026-01-01T00:03:00.000Z",
    });
    assert_eq!(status(&world, token, &message).await, expected);
    for _ in 0..2 {
        assert_eq!(status(&world, token, &message).await, json!({ "status": "already_read" }));
        world.pass(Duration::from_hours(1)).await;
    }
}

#[tokio::test]
async fn unread_answer_expires_after_ten_minutes() {
    let world = World::start().await;
    let token = &channel(&world).await["token"];
    let message = sent(&world, token, &polled()).await;
    assert_eq!(answer(&world, &message, "approve").await, StatusCode::OK);
    world.system.clock.advance(Duration::from_mins(10));
    assert_eq!(status(&world, token, &message).await, json!({ "status": "expired" }));
    // The sweep completes it.
    world.system.clock.advance(Duration::from_mins(1));
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(status(&world, token, &message).await, json!({ "status": "expired" }));
}

#[tokio::test]
async fn message_without_an_answer_expires() {
    let world = World::start().await;
    let token = &channel(&world).await["token"];
    let message = sent(&world, token, &polled()).await;
    world.system.clock.advance(Duration::from_hours(24));
    assert_eq!(status(&world, token, &message).await, json!({ "status": "pending" }));
    world.system.clock.advance(Duration::from_secs(2));
    assert_eq!(status(&world, token, &message).await, json!({ "status": "expired" }));

    let cancelled = sent(&world, token, &polled()).await;
    let path = format!("/v1/requests/{}/cancel", request_id(&cancelled));
    world.call(Method::POST, &path, Value::Null).await;
    assert_eq!(status(&world, token, &cancelled).await, json!({ "status": "expired" }));
}

#[tokio::test]
async fn callback_is_signed_by_the_channel_and_equals_the_poll() {
    let world = World::start_answering([reply(200)]).await;
    let channel = channel(&world).await;
    let message = sent(&world, &channel["token"], MESSAGE).await;
    answer(&world, &message, "reject").await;
    world.follow_hints().await;

    let [post] = &world.posts()[..] else { panic!("one callback") };
    let told: Value = serde_json::from_slice(&post.body).expect("JSON");
    assert_eq!((&told["message_id"], &told["channel_id"]), (&json!(message), &channel["id"]));
    assert_eq!((&told["triggered_by"], &told["responses"]), (&json!("reject"), &json!({})));
    let signed = [format!("{START}.").as_bytes(), &post.body].concat();
    let signature = hmac_sha256(text(&channel["secret"]).as_bytes(), &signed);
    assert_eq!(post.headers["x-ping-signature"], format!("t={START},v1={signature}"));
    let polled = status(&world, &channel["token"], &message).await;
    assert_eq!((&polled["status"], &polled["result"]), (&json!("submitted"), &told));
}

#[tokio::test]
async fn both_channel_secrets_sign_also_after_deletion() {
    let world = World::start_answering([reply(200)]).await;
    let channel = channel(&world).await;
    let message = sent(&world, &channel["token"], MESSAGE).await;
    let path = format!("/v1/channels/{}", text(&channel["id"]));
    let rotated = world.call(Method::POST, &format!("{path}/secret/rotate"), Value::Null).await;
    let rotated = rotated.json();
    assert_eq!(rotated["previous_expires_at"], "2026-01-02T00:00:00.000Z");
    world.call(Method::DELETE, &path, Value::Null).await;
    answer(&world, &message, "approve").await;
    world.follow_hints().await;

    let [post] = &world.posts()[..] else { panic!("one callback") };
    let signed = [format!("{START}.").as_bytes(), &post.body].concat();
    let [new, old] = [&rotated["secret"], &channel["secret"]]
        .map(|secret| hmac_sha256(text(secret).as_bytes(), &signed));
    assert_eq!(post.headers["x-ping-signature"], format!("t={START},v1={new},v1={old}"));
}

#[tokio::test]
async fn failed_callback_is_shown_until_redelivery() {
    let world = World::start_answering([reply(500), reply(200)]).await;
    let token = &channel(&world).await["token"];
    let message = sent(&world, token, MESSAGE).await;
    answer(&world, &message, "approve").await;
    world.follow_hints().await;
    for _ in 0..2 {
        assert_eq!(status(&world, token, &message).await, json!({ "status": "failed" }));
    }
    let list = world.call(Method::GET, "/v1/deliveries", Value::Null).await.json();
    let path = format!("/v1/deliveries/{}/redeliver", text(&list["data"][0]["id"]));
    world.call(Method::POST, &path, Value::Null).await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 2);
    assert_eq!(status(&world, token, &message).await["status"], "submitted");
}

#[tokio::test]
async fn only_get_with_the_token_of_the_channel_reads_a_message() {
    let world = World::start().await;
    let (mine, other) = (channel(&world).await, channel(&world).await);
    let token = &mine["token"];
    let message = sent(&world, token, &polled()).await;
    answer(&world, &message, "approve").await;

    let unknown = poll(&world, token, "msg_01jd7k2m9qe4v8x3n5t6w1y000").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["ok"], false);
    let native =
        world.create(json!({ "title": "T", "options": [{ "value": "a", "label": "A" }] })).await;
    let native = text(&native["id"]).replace("req_", "msg_");
    let altered = json!(format!("{}x", text(token)));
    let refused = [
        (&other["token"], &*message),
        (&altered, &message),
        (&mine["id"], &message),
        (token, &native),
        (token, "nothing"),
    ];
    for (token, message) in refused {
        assert_eq!(poll(&world, token, message).await.bytes, unknown.bytes, "{token} {message}");
    }
    let path = format!("/v1/callback/{}/{message}", text(token));
    let head = curl(&world, Method::HEAD, &path, &[], "").await;
    assert_eq!(
        (head.status, &head.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET".parse().expect("a header"))
    );
    assert_eq!(status(&world, token, &message).await["status"], "submitted");
}

#[tokio::test]
async fn erased_message_is_not_found() {
    let world = World::start().await;
    let token = &channel(&world).await["token"];
    let message = sent(&world, token, &polled()).await;
    let path = format!("/v1/requests/{}", request_id(&message));
    world.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(poll(&world, token, &message).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn replaced_or_deleted_token_sends_and_reads_nothing() {
    let world = World::start().await;
    let channel = channel(&world).await;
    let old = &channel["token"];
    let message = sent(&world, old, &polled()).await;
    let path = format!("/v1/channels/{}", text(&channel["id"]));
    let made = world.call(Method::POST, &format!("{path}/regenerate"), Value::Null).await.json();
    let new = &made["token"];
    assert_eq!(poll(&world, old, &message).await.status, StatusCode::NOT_FOUND);
    assert_eq!(status(&world, new, &message).await["status"], "pending");
    world.call(Method::DELETE, &path, Value::Null).await;
    for token in [old, new] {
        assert_eq!(send(&world, token, MESSAGE).await.status, StatusCode::NOT_FOUND);
        assert_eq!(poll(&world, token, &message).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn idempotent_retry_sends_one_message_per_channel() {
    let world = World::start().await;
    let (one, two) = (channel(&world).await, channel(&world).await);
    let headers = [("idempotency-key", "deploy")];
    let send = async |channel: &Value| {
        let path = format!("/v1/send/{}", text(&channel["token"]));
        curl(&world, Method::POST, &path, &headers, MESSAGE).await.json()
    };
    let first = send(&one).await;
    assert_eq!(send(&one).await, first);
    assert_ne!(send(&two).await, first);
}

/// A client with a token could otherwise explore names and addresses.
#[tokio::test]
async fn refused_callback_url_has_one_text_and_no_probe() {
    let world = World::start().await;
    let channel = channel(&world).await;
    let mut errors = std::collections::BTreeSet::new();
    let script = world.egress.script();
    for kind in [FailureKind::Dns, FailureKind::BlockedAddress] {
        script.refuse(Failure::new(kind, "10.0.0.1 is private"));
        let answer = send(&world, &channel["token"], MESSAGE).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        errors.insert(text(&answer.json()["error"]).to_owned());
    }
    let private = MESSAGE.replace("your-server.com", "10.0.0.1");
    let answer = send(&world, &channel["token"], &private).await;
    errors.insert(text(&answer.json()["error"]).to_owned());
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(!errors.iter().any(|it| it.contains("10.0.0.1")), "{errors:?}");
    sent(&world, &channel["token"], MESSAGE).await;
    assert_eq!(script.probed(), Vec::new());
}
