//! The use of an approval.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, SharedInterceptor,
        interceptors::BeforeDeserializationInterceptorContextMut,
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::{interceptors::dyn_dispatch_hint, orchestrator::Metadata};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, Setup, World};

use super::{acting, digest};
use crate::{
    canaries::{Lines, listen},
    races::at_once,
    requests::{ask, faults, path_of, show},
};

/// A request for an action whose approval may be used `count` times.
async fn asked(world: &World, count: u32) -> Value {
    let consume = json!({ "option": "yes", "within_seconds": 60, "count": count });
    let members = json!({ "consume": consume, "quorum": "any", "callback_url": null });
    world.create(acting(&json!({ "version": 2 }), members)).await
}

async fn decide(world: &World, request: &Value, option: &str) {
    let answer = world.answer(request, 0, json!({ "option": option })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

async fn approved(world: &World, count: u32) -> Value {
    let request = asked(world, count).await;
    decide(world, &request, "yes").await;
    request
}

async fn consume_with(world: &World, request: &Value, key: &str, digest: &str) -> Answer {
    let path = format!("{}/consume", path_of(request));
    let headers = [("idempotency-key", key)];
    world.call_with(Method::POST, &path, &headers, json!({ "digest": digest })).await
}

async fn consume(world: &World, request: &Value, key: &str) -> Answer {
    consume_with(world, request, key, digest(request)).await
}

#[track_caller]
fn assert_refused(answer: &Answer, code: &str) {
    assert_eq!(answer.code(), code, "{}", answer.text());
    let status = if code == "approval_lapsed" { StatusCode::GONE } else { StatusCode::CONFLICT };
    assert_eq!(answer.status, status);
}

#[tokio::test]
async fn approval_is_used_once_and_a_repeated_call_succeeds_again() {
    let world = World::start().await;
    let request = asked(&world, 1).await;
    let early = consume(&world, &request, "a").await;
    assert_refused(&early, "not_decided");
    assert_eq!(early.headers["retry-after"], "30");
    decide(&world, &request, "yes").await;
    world.system.clock.advance(Duration::from_secs(59));
    let used = consume(&world, &request, "a").await;
    assert_eq!(used.status, StatusCode::OK, "{}", used.text());
    let expected = json!({
        "consumed": 1, "remaining": 0, "consumed_at": "2026-01-01T00:00:59.000Z", "livemode": true,
    });
    assert_eq!(used.json(), expected);
    // Long after the approval has lapsed.
    world.system.clock.advance(Duration::from_hours(1));
    let again = consume(&world, &request, "a").await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, expected));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_refused(&consume(&world, &request, "b").await, "already_consumed");
    let other = format!("sha256:{}", "0".repeat(64));
    let reused = consume_with(&world, &request, "a", &other).await;
    assert_eq!(reused.code(), "idempotency_key_reused");
    let shown = show(&world, &request).await;
    assert_eq!(shown["consume"]["consumed"], 1);
    assert_eq!(shown["consume"]["lapses_at"], "2026-01-01T00:01:00.000Z");
}

#[tokio::test]
async fn what_is_not_approved_cannot_be_used() {
    let world = World::start().await;
    let refused = asked(&world, 1).await;
    decide(&world, &refused, "no").await;
    assert_refused(&consume(&world, &refused, "a").await, "not_approved");

    let cancelled = asked(&world, 1).await;
    let cancel = format!("{}/cancel", path_of(&cancelled));
    world.call(Method::POST, &cancel, Value::Null).await;
    assert_refused(&consume(&world, &cancelled, "a").await, "not_approved");

    // A policy is not a decision of recipients.
    let members = json!({
        "consume": { "option": "yes" }, "timeout_seconds": 5,
        "on_deadline": { "kind": "default", "option": "yes" },
    });
    let defaulted = world.create(acting(&Value::Null, members)).await;
    world.system.clock.advance(Duration::from_secs(8));
    let answer = consume(&world, &defaulted, "a").await;
    assert_refused(&answer, "not_approved");
    assert_eq!(show(&world, &defaulted).await["decision"], "yes");

    let plain = world.create(acting(&Value::Null, json!({}))).await;
    decide(&world, &plain, "yes").await;
    assert_refused(&consume(&world, &plain, "a").await, "not_approved");

    let right = approved(&world, 1).await;
    let other = digest(&plain).to_owned();
    assert_refused(&consume_with(&world, &right, "a", &other).await, "digest_mismatch");
    world.system.clock.advance(Duration::from_mins(1));
    assert_refused(&consume(&world, &right, "a").await, "approval_lapsed");
    world.call(Method::DELETE, &path_of(&right), Value::Null).await;
    assert_eq!(consume(&world, &right, "a").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn call_needs_a_key_and_a_digest() {
    let world = World::start().await;
    let request = approved(&world, 1).await;
    let path = format!("{}/consume", path_of(&request));
    let body = json!({ "digest": digest(&request) });
    let without = world.call(Method::POST, &path, body).await;
    assert_eq!(faults(&without), ["Idempotency-Key"]);
    for wrong in ["", "sha256:", &digest(&request).to_uppercase()] {
        assert_eq!(faults(&consume_with(&world, &request, "a", wrong).await), ["/digest"]);
    }
    assert_eq!(show(&world, &request).await["consume"]["consumed"], 0);
    let without_action =
        json!({ "consume": { "option": "maybe", "within_seconds": 59, "count": 101 } });
    let answer = ask(&world, crate::requests::asking(without_action)).await;
    assert_eq!(
        faults(&answer),
        ["/consume", "/consume/option", "/consume/within_seconds", "/consume/count"]
    );
}

#[tokio::test]
async fn cancel_ends_an_approval_that_is_not_used_up() {
    let world = World::start().await;
    let request = approved(&world, 2).await;
    assert_eq!(consume(&world, &request, "a").await.status, StatusCode::OK);
    let cancel = format!("{}/cancel", path_of(&request));
    let cancelled = world.call(Method::POST, &cancel, json!({ "reason": "Frozen" })).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.text());
    let view = cancelled.json();
    assert_eq!(view["cancel_reason"], "Frozen");
    assert_eq!((&view["status"], &view["outcome"]), (&json!("finished"), &json!("completed")));
    assert_eq!(view["consume"]["withdrawn"], true);
    assert_refused(&consume(&world, &request, "b").await, "approval_lapsed");
    assert_eq!(consume(&world, &request, "a").await.status, StatusCode::OK, "its use stays");
    let again = world.call(Method::POST, &cancel, Value::Null).await;
    assert_refused(&again, "already_finished");

    let used = approved(&world, 1).await;
    consume(&world, &used, "a").await;
    let late = format!("{}/cancel", path_of(&used));
    assert_refused(&world.call(Method::POST, &late, Value::Null).await, "already_finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_calls_use_an_approval_once() {
    for count in [1_u32, 7] {
        let world = World::start().await;
        let request = approved(&world, count).await;
        let one = request.clone();
        let answers = at_once(&world, 50, async move |world, number| {
            consume(world, &one, &format!("call-{number}")).await
        })
        .await;
        let n_used = answers.iter().filter(|it| it.status == StatusCode::OK).count();
        assert_eq!(n_used, count as usize);
        for refused in answers.iter().filter(|it| it.status != StatusCode::OK) {
            assert_refused(refused, "already_consumed");
        }
        assert_eq!(show(&world, &request).await["consume"]["consumed"], count);
    }
}

/// While it is on, loses the response of the next update, which has taken effect.
#[derive(Clone, Debug, Default)]
struct LostResponse(Arc<AtomicBool>);

#[dyn_dispatch_hint]
impl Intercept for LostResponse {
    fn name(&self) -> &'static str {
        "LostResponse"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_update = config.load::<Metadata>().is_some_and(|it| it.name() == "UpdateItem");
        if is_update && self.0.swap(false, Ordering::SeqCst) {
            *context.response_mut().status_mut() = 500.try_into()?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn use_whose_write_lost_its_response_is_no_replay() {
    let lost = LostResponse::default();
    let watchers = vec![SharedInterceptor::new(lost.clone())];
    let world = World::start_with(Setup { watchers, ..<_>::default() }).await;
    let request = approved(&world, 1).await;
    lost.0.store(true, Ordering::SeqCst);
    let lines = Lines::default();
    let [used, again] = listen(&lines, async {
        [consume(&world, &request, "a").await, consume(&world, &request, "a").await]
    })
    .await;
    assert!(!lost.0.load(Ordering::SeqCst), "a response was lost");
    assert_eq!(used.status, StatusCode::OK, "{}", used.text());
    assert_eq!(used.headers.get("idempotency-replayed"), None);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(lines.text().matches("consumed an approval").count(), 1, "it is audited once");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_repetitions_of_one_call_use_an_approval_once() {
    let world = World::start().await;
    let request = approved(&world, 5).await;
    let one = request.clone();
    let answers =
        at_once(&world, 50, async move |world, _| consume(world, &one, "same").await).await;
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["remaining"], 4);
    }
    let is_first = |it: &&Answer| !it.headers.contains_key("idempotency-replayed");
    assert_eq!(answers.iter().filter(is_first).count(), 1, "the others are replays");
}

#[tokio::test(flavor = "multi_thread")]
async fn consume_and_cancel_at_once_have_one_winner() {
    let world = World::start().await;
    for _ in 0..10 {
        let request = approved(&world, 1).await;
        let one = request.clone();
        let answers = at_once(&world, 2, async move |world, number| {
            if number == 0 {
                return consume(world, &one, "a").await;
            }
            world.call(Method::POST, &format!("{}/cancel", path_of(&one)), Value::Null).await
        })
        .await;
        let n_won = answers.iter().filter(|it| it.status == StatusCode::OK).count();
        assert_eq!(n_won, 1, "{answers:?}");
        let shown = show(&world, &request).await["consume"].clone();
        assert_eq!(shown["consumed"] == 1, shown["withdrawn"] == false, "{shown}");
    }
}
