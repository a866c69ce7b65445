//! Webhooks that override parts of their profile.

use answerback::{
    domain::{Mode, Source},
    signing::verify_timed,
};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::World;

/// Posts an event, and returns the post to the only receiver.
async fn told(world: &World, event: Value) -> answerback::egress::Post {
    let answer = world.call(Method::POST, "/v1/events", event).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    world.follow_hints().await;
    world.posts().pop().expect("the event was delivered")
}

#[tokio::test]
async fn webhook_overrides_body_signature_and_headers_of_its_profile() {
    let world = World::start().await;
    let data = json!({ "executionId": "e", "status": "failed" });
    let mixed = json!({
        "profile": "standard", "body": "noukai", "signature": "ping",
        "headers": { "X-Team": "payments" },
    });
    let event = json!({
        "type": "job.failed", "data": data,
        "callback_url": "https://hooks.example.com/jobs", "callback": mixed,
    });
    let post = told(&world, event).await;
    let body: Value = serde_json::from_slice(&post.body).expect("JSON");
    assert_eq!((&body["event"], &body["executionId"]), (&json!("flow.failed"), &json!("e")));
    let signature = post.headers["x-ping-signature"].to_str().expect("text");
    let secret = world.secret_of(Mode::Live, Source::Events).await;
    assert!(verify_timed(&secret, &post.body, signature).is_some());
    assert_eq!(post.headers["x-team"], "payments");
    for absent in ["webhook-signature", "x-noukai-signature", "x-noukai-event"] {
        assert!(!post.headers.contains_key(absent), "{absent}");
    }
    assert_eq!(post.timeout.as_secs(), 20, "everything else follows the profile");
}

#[tokio::test]
async fn webhook_can_have_no_signature_and_the_data_alone() {
    let world = World::start().await;
    let webhook = json!({
        "id": "plain", "url": "https://hooks.example.com/plain",
        "body": "nextmv", "signature": "notify", "event_types": ["build.*"],
    });
    let made = world.call(Method::POST, "/v1/webhooks", webhook).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(
        (&made.json()["body"], &made.json()["signature"]),
        (&json!("nextmv"), &json!("notify"))
    );
    let data = json!({ "hello": "world" });
    let post = told(&world, json!({ "type": "build.done", "data": data })).await;
    assert_eq!(post.body, data.to_string().as_bytes());
    assert!(!post.headers.contains_key("webhook-signature"));

    let usual = json!({ "signature": null });
    let patched = world.call(Method::PATCH, "/v1/webhooks/plain", usual).await.json();
    assert_eq!((&patched["body"], &patched["signature"]), (&json!("nextmv"), &Value::Null));
    let post = told(&world, json!({ "type": "build.done", "data": {} })).await;
    assert!(post.headers.contains_key("webhook-signature"));
    let wrong = json!({ "body": "svix", "signature": 1 });
    let wrong = world.call(Method::PATCH, "/v1/webhooks/plain", wrong).await;
    assert_eq!(crate::requests::faults(&wrong), ["/body", "/signature"]);
}
