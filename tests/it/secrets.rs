//! The account's signing secret: shown, and rotated with an overlap.

use std::time::Duration;

use answerback::{
    domain::Scope,
    signing::{verify_standard, verify_timed},
};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{START, World, reply};

/// Time for which a worker keeps the secrets of an account.
const KEPT: Duration = Duration::from_secs(5);

/// Rotates the secret, and waits until workers know it.
async fn rotate(world: &World, overlap_seconds: u32) -> (StatusCode, Value) {
    let body = json!({ "overlap_seconds": overlap_seconds });
    let answer = world.call(Method::POST, "/v1/events/secret/rotate", body).await;
    world.system.clock.advance(KEPT);
    (answer.status, answer.json())
}

async fn revealed(world: &World) -> String {
    let answer = world.call(Method::GET, "/v1/events/secret?reveal=true", Value::Null).await;
    answer.json()["secret"].as_str().expect("in full").to_owned()
}

/// Posts an event to a receiver with this profile, and returns the received headers and body.
async fn told(world: &World, profile: &str) -> (axum::http::HeaderMap, Vec<u8>) {
    let event = json!({
        "type": "job.completed",
        "data": { "executionId": "e", "status": "succeeded" },
        "callback_url": "https://hooks.example.com/jobs",
        "callback": { "profile": profile },
    });
    world.call(Method::POST, "/v1/events", event).await;
    world.follow_hints().await;
    let post = world.posts().pop().expect("the event was delivered");
    (post.headers, post.body)
}

fn text<'a>(headers: &'a axum::http::HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().expect("text")
}

#[tokio::test]
async fn both_secrets_sign_until_the_overlap_ends() {
    let world = World::start_answering((0..20).map(|_| reply(200))).await;
    let old = revealed(&world).await;
    told(&world, "standard").await;
    let (status, shown) = rotate(&world, 3_600).await;
    assert_eq!(status, StatusCode::OK);
    let new = shown["secret"].as_str().expect("in full").to_owned();
    assert_ne!(new, old);
    assert_eq!(shown["previous_expires_at"], "2026-01-01T01:00:00.000Z");
    assert!(new.ends_with(shown["preview"].as_str().expect("text").trim_start_matches("whsec_…")));
    assert_eq!(revealed(&world).await, new);

    for (is_overlap, n_signatures) in [(true, 2), (false, 1)] {
        let (headers, body) = told(&world, "standard").await;
        let header = |name| text(&headers, name);
        let signature = header("webhook-signature");
        let verify = |secret: &str| {
            let (id, second) = (header("webhook-id"), header("webhook-timestamp"));
            verify_standard(secret, id, second, &body, signature)
        };
        assert!(verify(&new));
        assert_eq!(verify(&old), is_overlap);
        assert_eq!(signature.split(' ').count(), n_signatures);

        let (headers, body) = told(&world, "nextmv").await;
        let signature = text(&headers, "nextmv-signature");
        assert!(verify_timed(&new, &body, signature).is_some());
        assert_eq!(verify_timed(&old, &body, signature).is_some(), is_overlap);

        // Receivers with one `v1` check this with the new secret, and `v2` with the previous one.
        let (headers, body) = told(&world, "noukai").await;
        let signature = text(&headers, "x-noukai-signature");
        let (first, second) = signature.split_once(",v2=").unwrap_or((signature, ""));
        assert!(verify_timed(&new, &body, first).is_some());
        assert_eq!(verify_timed(&old, &body, first), None);
        let time = text(&headers, "x-noukai-timestamp");
        let second = verify_timed(&old, &body, &format!("t={time},v2={second}"));
        assert_eq!(second.is_some(), is_overlap);
        world.system.clock.advance(Duration::from_hours(1));
    }
}

#[tokio::test]
async fn at_most_two_previous_secrets_sign_at_once() {
    let world = World::start().await;
    for _ in 0..2 {
        assert_eq!(rotate(&world, 86_400).await.0, StatusCode::OK);
    }
    let n_signatures = async || {
        let (headers, _) = told(&world, "standard").await;
        text(&headers, "webhook-signature").split(' ').count()
    };
    assert_eq!(n_signatures().await, 3);
    // A rotation never has to wait: the oldest secret makes room.
    assert_eq!(rotate(&world, 60).await.0, StatusCode::OK);
    assert_eq!(n_signatures().await, 3);
    let path = "/v1/events/secret/expire-previous";
    let ended = world.call(Method::POST, path, Value::Null).await;
    assert_eq!(
        (ended.status, &ended.json()["previous_expires_at"]),
        (StatusCode::OK, &Value::Null)
    );
    assert_eq!(n_signatures().await, 3);
    world.system.clock.advance(KEPT);
    assert_eq!(n_signatures().await, 1);
}

#[tokio::test]
async fn overlap_defaults_to_a_day_and_an_invalid_one_is_refused() {
    let world = World::start().await;
    let answer = world.call(Method::POST, "/v1/secret/rotate", Value::Null).await;
    assert_eq!(answer.json()["previous_expires_at"], "2026-01-02T00:00:00.000Z");
    for body in [json!({ "overlap_seconds": 2_592_001 }), json!({ "overlap": 1 })] {
        let answer = world.call(Method::POST, "/v1/secret/rotate", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let shown = world.call(Method::GET, "/v1/secret", Value::Null).await.json();
    assert_eq!(shown["created_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(START, 1_767_225_600);
}

#[tokio::test]
async fn secret_needs_its_scope_to_be_shown_or_rotated() {
    let world = World::start().await;
    let reader = world.key_with(&[Scope::WebhooksRead, Scope::SecretsRead]).await;
    let writer = world.key_with(&[Scope::WebhooksWrite]).await;
    for (key, method, path, expected) in [
        (&reader, Method::POST, "/v1/secret/rotate", StatusCode::FORBIDDEN),
        (&writer, Method::GET, "/v1/events/secret?reveal=true", StatusCode::FORBIDDEN),
        (&reader, Method::GET, "/v1/events/secret?reveal=true", StatusCode::OK),
        (&writer, Method::POST, "/v1/secret/rotate", StatusCode::OK),
    ] {
        let headers = [("authorization", &*format!("Bearer {key}"))];
        let answer = world.call_with(method, path, &headers, Value::Null).await;
        assert_eq!(answer.status, expected, "{path}");
    }
}
