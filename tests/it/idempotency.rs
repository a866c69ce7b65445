//! Repeating a call creates no second request.

use answerback::{
    domain::Owner,
    egress::{Failure, FailureKind},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::config::{
    ConfigBag, Intercept, RuntimeComponents, SharedInterceptor,
    interceptors::BeforeTransmitInterceptorContextRef,
};
use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{Answer, Setup, World};

use crate::requests::{asking, faults, path_of};

/// Counts the calls that write.
#[derive(Clone, Debug, Default)]
struct Writes(Arc<AtomicU32>);

impl Intercept for Writes {
    fn name(&self) -> &'static str {
        "Writes"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_smithy_runtime_api::box_error::BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let reads = ["GetItem", "BatchGetItem", "Query"];
        let asked_of_the_table = target.strip_prefix("DynamoDB_20120810.");
        if asked_of_the_table.is_some_and(|it| !reads.contains(&it)) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

async fn post(world: &World, key: &str, body: Value) -> Answer {
    world.call_with(Method::POST, "/v1/requests", &[("idempotency-key", key)], body).await
}

async fn n_requests(world: &World) -> usize {
    let list = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
    list["data"].as_array().expect("a list").len()
}

#[tokio::test]
async fn repeated_call_returns_the_current_request() {
    let world = World::start().await;
    let first = post(&world, "k", asking(json!({}))).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let request = first.json();
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    world.system.clock.advance(Duration::from_hours(24));

    let second = post(&world, "k", asking(json!({}))).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.text());
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(second.headers["location"], path_of(&request));
    let now = world.call(Method::GET, &path_of(&request), Value::Null).await.json();
    assert_eq!(now["status"], "finished");
    assert_eq!(second.json(), now);
    assert_eq!(n_requests(&world).await, 1);
}

#[tokio::test]
async fn white_space_and_member_order_are_ignored() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
    let texts = [
        r#"{"title":"Go?","metadata":{"a":1,"b":2},"options":[{"value":"y","label":"Y"}]}"#,
        r#"{ "options": [ {"label": "Y", "value": "y"} ],
             "title": "G\u006f?", "metadata": {"b": 2, "a": 1} }"#,
    ];
    let mut ids = Vec::new();
    for text in texts {
        let body = Bytes::from_static(text.as_bytes());
        let all = [headers[0], headers[1], ("content-type", "application/json")];
        let answer = world.send(Method::POST, "/v1/requests", &all, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        ids.push(answer.json()["id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn key_with_another_body_is_refused() {
    let world = World::start().await;
    post(&world, "k", asking(json!({}))).await;
    for other in [asking(json!({ "title": "Stop?" })), asking(json!({ "title": "" })), json!({})] {
        let answer = post(&world, "k", other).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.code(), "idempotency_key_reused");
    }
    assert_eq!(n_requests(&world).await, 1);
}

#[tokio::test]
async fn refused_call_does_not_use_its_key() {
    let world = World::start().await;
    assert_eq!(faults(&post(&world, "k", json!({ "title": "Go?" })).await), ["/options"]);
    assert_eq!(post(&world, "k", asking(json!({}))).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_key_has_1_to_255_printable_characters() {
    let world = World::start().await;
    let longest = "k".repeat(255);
    for good in ["k", "two words", "~!@#$%^&*()", longest.as_str()] {
        assert_eq!(post(&world, good, asking(json!({}))).await.status, StatusCode::CREATED);
    }
    let longer = "k".repeat(256);
    for bad in ["", "tab\there", "ü", longer.as_str()] {
        let answer = post(&world, bad, asking(json!({}))).await;
        assert_eq!(faults(&answer), ["Idempotency-Key"], "{bad:?}");
    }
    assert_eq!(n_requests(&world).await, 4);
}

#[tokio::test]
async fn keys_are_separate_per_account_and_mode() {
    let world = World::start().await;
    let test = world
        .system
        .make_key(Owner::test(world.account.id), vec![answerback::domain::Scope::Admin]);
    let test = test.await.expect("a key").text;
    let stranger = world.system.make_account().await.expect("an account").key;
    let stranger = stranger.text;
    let keys = [world.key.as_str(), test.expose_secret(), stranger.expose_secret()];
    let mut ids = Vec::new();
    for key in keys {
        let bearer = format!("Bearer {key}");
        let headers = [("idempotency-key", "k"), ("authorization", bearer.as_str())];
        let answer =
            world.call_with(Method::POST, "/v1/requests", &headers, asking(json!({}))).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert!(!answer.headers.contains_key("idempotency-replayed"));
        ids.push(answer.json()["id"].to_string());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn one_of_200_concurrent_calls_creates_a_request() {
    let world = World::start().await;
    let calls = (0..200).map(|_| post(&world, "k", asking(json!({}))));
    let mut n_new = 0;
    let mut ids = Vec::new();
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        n_new += usize::from(!answer.headers.contains_key("idempotency-replayed"));
        ids.push(answer.json()["id"].to_string());
    }
    ids.dedup();
    assert_eq!((n_new, ids.len()), (1, 1));
    assert_eq!(n_requests(&world).await, 1);
}

#[tokio::test]
async fn repeated_call_succeeds_while_the_receiver_is_down() {
    let world = World::start().await;
    let body = asking(json!({
        "callback_url": "https://hooks.example.com/cb",
        "callback": { "probe": "require" },
    }));
    let mut first = post(&world, "k", body.clone()).await.json();
    // The repeated call does not probe.
    assert_eq!(first["callback"]["probe"].take(), json!({ "ok": true }));
    let down = || Failure {
        kind: FailureKind::Connect,
        message: "nobody answers".to_owned(),
        reply: None,
    };
    world.egress.script().refuse(down());
    let second = post(&world, "k", body.clone()).await;
    assert_eq!((second.status, second.json()), (StatusCode::CREATED, first));
    let other = post(&world, "l", body).await;
    assert_eq!(other.code(), "callback_url_not_allowed", "the receiver is down for other calls");
    assert_eq!(n_requests(&world).await, 1);
}

#[tokio::test]
async fn key_costs_no_extra_write() {
    let writes = Writes::default();
    let watchers = vec![SharedInterceptor::new(writes.clone())];
    let world = World::start_with(Setup { watchers, ..Setup::default() }).await;
    let count = || writes.0.swap(0, Ordering::SeqCst);
    count();
    let plain = asking(json!({}));
    let called_back = asking(json!({ "callback_url": "https://hooks.example.com/" }));
    // Before a probe, an earlier request is looked up. Otherwise the refused write finds it.
    for (key, asked, n_writes_of_replay) in [("k", plain, 1), ("called back", called_back, 0)] {
        post(&world, key, asked.clone()).await;
        assert_eq!(count(), 1, "{key}");
        for _ in 0..3 {
            let replayed = post(&world, key, asked.clone()).await;
            assert_eq!(replayed.headers["idempotency-replayed"], "true", "{key}");
            assert_eq!(count(), n_writes_of_replay, "{key}");
        }
    }
}

/// A call with the key `k`.
async fn keyed(world: &World, path: &str, body: &Value) -> Answer {
    world.call_with(Method::POST, path, &[("idempotency-key", "k")], body.clone()).await
}

#[tokio::test]
async fn repeated_call_makes_nothing_once_its_object_is_gone() {
    let world = World::start().await;
    for (path, body) in [
        ("/v1/requests", asking(json!({}))),
        ("/v1/keys", json!({ "scopes": ["requests:read"] })),
        ("/v1/channels", json!({ "name": "n" })),
        ("/v1/webhooks", json!({ "url": "https://hooks.example.com/" })),
        ("/v1/webhooks", json!({ "id": "named", "url": "https://hooks.example.com/" })),
    ] {
        let key = [("idempotency-key", body["id"].as_str().unwrap_or("k"))];
        let made = world.call_with(Method::POST, path, &key, body.clone()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{path}: {}", made.text());
        let made = made.json();
        let own = format!("{path}/{}", made["id"].as_str().expect("an id"));
        world.call(Method::DELETE, &own, Value::Null).await;
        let again = world.call_with(Method::POST, path, &key, body.clone()).await;
        assert_eq!((again.status, &*again.code()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
        assert_eq!(again.headers["idempotency-replayed"], "true", "{path}");
    }
    // The name is free for another call, and the first one's key still makes nothing.
    let named = json!({ "id": "named", "url": "https://hooks.example.com/" });
    let other = world.call(Method::POST, "/v1/webhooks", named.clone()).await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.text());
    world.call(Method::DELETE, "/v1/webhooks/named", Value::Null).await;
    let headers = [("idempotency-key", "named")];
    let first = world.call_with(Method::POST, "/v1/webhooks", &headers, named).await;
    assert_eq!(first.status, StatusCode::NOT_FOUND, "{}", first.text());
}

#[tokio::test]
async fn key_makes_a_rotation_happen_once() {
    let world = World::start().await;
    let channel = world.call(Method::POST, "/v1/channels", json!({ "name": "n" })).await.json();
    let webhook = json!({ "id": "orders", "url": "https://hooks.example.com/" });
    world.call(Method::POST, "/v1/webhooks", webhook).await;
    let channel = format!("/v1/channels/{}/secret", channel["id"].as_str().expect("an id"));
    for secret in ["/v1/secret", "/v1/events/secret", "/v1/webhooks/orders/secret", &channel] {
        let path = format!("{secret}/rotate");
        let body = json!({ "overlap_seconds": 60 });
        let (one, two) = (keyed(&world, &path, &body).await, keyed(&world, &path, &body).await);
        assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK), "{}", two.text());
        assert!(one.json()["secret"].is_string() && two.json()["secret"].is_null());
        assert_eq!(two.headers["idempotency-replayed"], "true");
        assert_eq!(one.json()["preview"], two.json()["preview"], "{path}");
        let other = keyed(&world, &path, &json!({ "overlap_seconds": 0 })).await;
        assert_eq!(&*other.code(), "idempotency_key_reused", "{path}");
        for _ in 0..4 {
            world.call(Method::POST, &path, Value::Null).await;
        }
        let latest = world.call(Method::GET, secret, Value::Null).await.json();
        let three = keyed(&world, &path, &body).await;
        assert_eq!(three.json()["preview"], latest["preview"], "the call is remembered for a day");
    }
}

#[tokio::test]
async fn key_makes_a_test_event_and_a_token_once() {
    let world = World::start().await;
    let webhook = json!({ "id": "orders", "url": "https://hooks.example.com/" });
    world.call(Method::POST, "/v1/webhooks", webhook.clone()).await;
    let path = "/v1/webhooks/orders/trigger";
    let one = keyed(&world, path, &json!({})).await;
    world.follow_hints().await;
    let two = keyed(&world, path, &json!({})).await;
    world.follow_hints().await;
    assert_eq!((one.status, two.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(one.json()["id"], two.json()["id"]);
    assert_eq!(two.headers["idempotency-replayed"], "true");
    assert_eq!(world.posts().len(), 1);
    world.call(Method::DELETE, "/v1/webhooks/orders", Value::Null).await;
    world.call(Method::POST, "/v1/webhooks", webhook).await;
    let gone = keyed(&world, path, &json!({})).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND, "it was for the deleted webhook");

    let channel = world.call(Method::POST, "/v1/channels", json!({ "name": "n" })).await.json();
    let path = format!("/v1/channels/{}/regenerate", channel["id"].as_str().expect("an id"));
    let (one, two) =
        (keyed(&world, &path, &Value::Null).await, keyed(&world, &path, &Value::Null).await);
    assert!(one.json()["token"].is_string() && two.json()["token"].is_null());
    assert_eq!(two.headers["idempotency-replayed"], "true");
}
