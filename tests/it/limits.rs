//! Limits of API keys and accounts.

mod pending;

use std::time::Duration;

use answerback::domain::Scope;
use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, SharedInterceptor,
        interceptors::BeforeSerializationInterceptorContextRef,
    },
    error::BoxError,
    operation::update_item::UpdateItemInput,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, Setup, World};

use crate::{
    access::{body_of, guarded, place_of, told},
    requests::faults,
};

/// A key of the world's account with this rate limit.
async fn limited(world: &World, rate_limit_per_minute: u32) -> String {
    let body = json!({ "scopes": ["admin"], "rate_limit_per_minute": rate_limit_per_minute });
    let made = world.call(Method::POST, "/v1/keys", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()["key"].as_str().expect("a key").to_owned()
}

async fn call(world: &World, key: &str, method: Method, path: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {key}");
    world.call_with(method, path, &[("authorization", bearer.as_str())], body).await
}

async fn look(world: &World, key: &str) -> Answer {
    call(world, key, Method::GET, "/v1/requests", Value::Null).await
}

#[tokio::test]
async fn rate_limited_key_is_refused_until_the_next_minute() {
    let world = World::start().await;
    let (key, other) = (limited(&world, 3).await, limited(&world, 3).await);
    world.system.clock.advance(Duration::from_millis(17_500));
    for _ in 0..3 {
        assert_eq!(look(&world, &key).await.status, StatusCode::OK);
    }
    for _ in 0..2 {
        let refused = look(&world, &key).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.code(), "rate_limited");
        assert_eq!(refused.headers["retry-after"], "43");
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
    assert_eq!(look(&world, &other).await.status, StatusCode::OK, "another key");
    assert_eq!(look(&world, &world.key).await.status, StatusCode::OK, "one without a limit");

    // Long after the cache has expired.
    world.system.clock.advance(Duration::from_millis(42_499));
    let refused = look(&world, &key).await;
    assert_eq!(
        (&*refused.code(), &refused.headers["retry-after"]),
        ("rate_limited", &"1".parse().expect("text"))
    );
    world.system.clock.advance(Duration::from_millis(1));
    for status in [200, 200, 200, 429] {
        assert_eq!(look(&world, &key).await.status.as_u16(), status, "the next minute");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_holds_under_concurrent_calls() {
    let world = World::start().await;
    let key = limited(&world, 5).await;
    let calls = (0..30).map(|_| look(&world, &key));
    let answers = futures::future::join_all(calls).await;
    let n_let_through = answers.iter().filter(|it| it.status == StatusCode::OK).count();
    assert_eq!(n_let_through, 5);
    let refused = answers.iter().filter(|it| it.status != StatusCode::OK);
    assert!(refused.map(Answer::code).all(|it| it == "rate_limited"));
}

#[tokio::test]
async fn every_operation_with_a_key_enforces_the_rate_limit() {
    let world = World::start().await;
    let id = format!("req_{}", "0".repeat(26));
    for (method, path, _) in guarded() {
        let key = limited(&world, 1).await;
        let place = place_of(&path, &id);
        let first = call(&world, &key, method.clone(), &place, body_of(&method, &path)).await;
        assert_ne!(first.status, StatusCode::TOO_MANY_REQUESTS, "{method} {path}");
        let refused = call(&world, &key, method.clone(), &place, body_of(&method, &path)).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{method} {path}");
        assert_eq!(
            told(&refused, &path, "rate_limited"),
            "rate limit of 1 calls per minute exceeded"
        );
        assert_eq!(refused.headers["retry-after"], "60");
    }
}

#[tokio::test]
async fn missing_scope_counts_as_a_call_and_a_missing_key_does_not() {
    let world = World::start().await;
    let body = json!({ "scopes": ["webhooks:read"], "rate_limit_per_minute": 2 });
    let key = world.call(Method::POST, "/v1/keys", body).await.json()["key"].clone();
    let key = key.as_str().expect("a key");
    for _ in 0..5 {
        let wrong = format!("{}A", &key[..key.len() - 1]);
        let answer = look(&world, &wrong).await;
        assert!([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status));
    }
    for status in [403, 403, 429] {
        assert_eq!(look(&world, key).await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn limited_key_cannot_create_keys_with_higher_limits() {
    let world = World::start().await;
    let maker = limited(&world, 50).await;
    let ask = async |body: Value| call(&world, &maker, Method::POST, "/v1/keys", body).await;
    for (wanted, is) in [(json!(49), 49), (json!(50), 50), (Value::Null, 50)] {
        let body = json!({ "scopes": ["requests:read"], "rate_limit_per_minute": wanted });
        let made = ask(body).await;
        assert_eq!(made.json()["rate_limit_per_minute"], is, "{}", made.text());
    }
    for wanted in [json!(51), json!(0), json!("1")] {
        let body = json!({ "scopes": ["requests:read"], "rate_limit_per_minute": wanted });
        assert_eq!(faults(&ask(body).await), ["/rate_limit_per_minute"]);
    }
    for (wanted, is_taken) in [(60_000, true), (60_001, false)] {
        let body = json!({ "scopes": ["requests:read"], "rate_limit_per_minute": wanted });
        let made = world.call(Method::POST, "/v1/keys", body).await;
        assert_eq!(made.status.is_success(), is_taken, "{wanted}");
    }
    let shown = world.call(Method::GET, "/v1/keys", Value::Null).await.json();
    let shown = shown["data"].as_array().expect("a list");
    let mut limits: Vec<_> = shown.iter().map(|it| it["rate_limit_per_minute"].as_u64()).collect();
    limits.sort_unstable();
    assert_eq!(limits, [None, Some(49), Some(50), Some(50), Some(50), Some(60_000)]);
}

/// Fails all updates of items.
#[derive(Debug)]
struct NoUpdates;

#[dyn_dispatch_hint]
impl Intercept for NoUpdates {
    fn name(&self) -> &'static str {
        "NoUpdates"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_update = context.input().downcast_ref::<UpdateItemInput>().is_some();
        if is_update { Err("an outage".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn calls_are_allowed_when_the_counter_cannot_be_read() {
    let watchers = vec![SharedInterceptor::new(NoUpdates)];
    let world = World::start_with(Setup { watchers, ..<_>::default() }).await;
    let key = limited(&world, 1).await;
    for _ in 0..3 {
        assert_eq!(look(&world, &key).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn rate_counters_expire_soon() {
    let world = World::start().await;
    let key = limited(&world, 9).await;
    look(&world, &key).await;
    let now = world.system.clock.now().as_second();
    let counted = crate::upgrades::items(&world).await;
    let counted =
        counted.iter().filter(|it| it["pk"]["S"].as_str().is_some_and(|it| it.starts_with("use#")));
    let counted: Vec<_> = counted.collect();
    let [item] = &counted[..] else { panic!("one item: {counted:?}") };
    assert_eq!(item["n"]["N"], "1");
    let ttl: i64 = item["ttl"]["N"].as_str().and_then(|it| it.parse().ok()).expect("a time");
    assert_eq!(ttl - now, 360, "the minute, and some for clocks that differ");
    assert!(!item.to_string().contains(&key), "whose it is, not what opens it");
}

#[tokio::test]
async fn unlimited_key_needs_only_its_scope() {
    let world = World::start().await;
    let key = world.key_with(&[Scope::RequestsRead]).await;
    for _ in 0..100 {
        assert_eq!(look(&world, &key).await.status, StatusCode::OK);
    }
    let items = crate::upgrades::items(&world).await;
    assert!(!items.iter().any(|it| it.to_string().contains("use#")));
}
