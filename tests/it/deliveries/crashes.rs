//! Deliveries whose worker crashes.

use std::time::Duration;

use answerback::{
    domain::{
        Attempt, Delivery, OpId,
        attempt::Exchange,
        delivery::{AttemptVerdict, LEASE, StartDecision},
    },
    platform::{Group, Hint},
    store::{Saved, keys},
};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{World, reply};

use super::{answered, delivery_of, question, redeliver};

/// Starts a delivery like a worker that crashes before it records the result.
async fn start_and_die(world: &World, id: &str) {
    let key = keys::delivery(id.parse().expect("an id"));
    let delivery: Delivery = world.system.store.get(key).await.expect("read").expect("it exists");
    let op = OpId::new(world.system.entropy.next());
    let started = delivery.start(delivery.attempt, world.system.clock.now(), op, LEASE);
    let StartDecision::Attempt(started) = started else { panic!("{started:?}") };
    let saved = world.system.store.save(&*started).await.expect("written");
    assert!(matches!(saved, Saved::Saved));
}

#[tokio::test]
async fn worker_takes_over_when_the_lease_of_a_dead_one_expires() {
    let world = World::start_answering([reply(500)]).await;
    let request = answered(&world, question(&json!({}))).await;
    let delivery = delivery_of(&world, &request).await;
    let id = delivery["id"].as_str().expect("an id");
    world.system.clock.advance(Duration::from_secs(6));
    start_and_die(&world, id).await;

    // The hint of the retry finds it leased, and so does the sweep, until the guard band is over.
    world.pass(LEASE + Duration::from_millis(1_999)).await;
    assert_eq!(world.system.sweep().await, sweep::Swept::default());
    assert_eq!(world.posts().len(), 1);
    world.system.clock.advance(Duration::from_millis(1));
    assert_eq!(world.system.sweep().await.n_hinted, 1);
    world.follow_hints().await;
    let [first, second] = world.posts().try_into().expect("two posts");
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_eq!(second.headers["answerback-attempt"], "3");
    let delivery = delivery_of(&world, &request).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["failures"], 1, "a crash uses no retry");
}

#[tokio::test]
async fn delivery_that_crashes_every_worker_fails() {
    let world = World::start_answering([reply(500)]).await;
    let retry = json!({ "retry": { "delays_seconds": [1], "jitter": 0 } });
    let request = answered(&world, question(&retry)).await;
    let id = delivery_of(&world, &request).await["id"].as_str().expect("an id").to_owned();
    // One start is used; there is one retry, and a limit of five crashes.
    for _ in 0..6 {
        world.system.clock.advance(Duration::from_secs(48));
        start_and_die(&world, &id).await;
    }
    world.system.clock.advance(Duration::from_secs(48));
    world.system.sweep().await;
    world.follow_hints().await;
    let delivery = delivery_of(&world, &request).await;
    assert_eq!(delivery["status"], "dead_lettered");
    assert_eq!(delivery["state_reason"], "crash_loop");
    assert_eq!((&delivery["attempts"], &delivery["failures"]), (&json!(7), &json!(1)));
    assert_eq!(world.posts().len(), 1);
    assert_eq!(redeliver(&world, &delivery).await, StatusCode::ACCEPTED);
    world.follow_hints().await;
    assert_eq!(delivery_of(&world, &request).await["status"], "delivered");
}

/// A request that was erased after its delivery failed, and another delivery of its event, leased to a
/// worker that began before the erasure. That one is not stored.
async fn erased_with_a_late_delivery() -> (World, Delivery) {
    let world = World::start_answering([reply(500)]).await;
    let request = answered(&world, question(&json!({}))).await;
    let delivery = delivery_of(&world, &request).await;
    let key = keys::delivery(delivery["id"].as_str().and_then(|it| it.parse().ok()).expect("id"));
    let before: Delivery = world.system.store.get(key).await.expect("read").expect("kept");

    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::DELETE, &path, Value::Null).await;
    world.follow_hints().await;

    let now = world.system.clock.now();
    let id = Delivery::id_of(before.event(), OpId(7), "late");
    let late = Delivery { id, attempt: 0, starts: 0, revision: 0, ..before };
    (world, late.begin_leased(now, OpId(7), LEASE))
}

#[tokio::test]
async fn request_erased_during_a_crash_is_not_delivered() {
    let (world, late) = erased_with_a_late_delivery().await;

    // A crashed worker's write that takes effect only now: a leased delivery that no query found.
    let id = late.id;
    assert!(matches!(world.system.store.create(&late).await, Ok(Saved::Saved)));
    world.system.clock.advance(LEASE + Duration::from_secs(3));
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1, "only the delivery before the erasure");
    let late: Option<Delivery> = world.system.store.get(keys::delivery(id)).await.expect("read");
    assert_eq!(late.and_then(|it| it.body), None);
}

/// Its worker made the attempt before the erasure, stored it after the first search, and died.
#[tokio::test]
async fn delivery_that_is_stored_after_an_erasure_is_erased() {
    let (world, late) = erased_with_a_late_delivery().await;

    let (id, now) = (late.id, world.system.clock.now());
    let late = late.finish(AttemptVerdict::Accepted, now, 0.0, OpId(7)).expect("it is leased");
    let late = Delivery { revision: 0, ..late };
    assert!(matches!(world.system.store.create(&late).await, Ok(Saved::Saved)));
    world.system.clock.advance(Duration::from_mins(4));
    world.system.sweep().await;
    world.follow_hints().await;
    let late: Option<Delivery> = world.system.store.get(keys::delivery(id)).await.expect("read");
    assert_eq!(late.and_then(|it| it.body), None);
}

/// Its worker began after the erasure of the request and before that of the delivery, recorded its
/// attempt after both, and could not read the delivery again.
#[tokio::test]
async fn attempt_that_is_recorded_after_an_erasure_is_erased_when_its_hint_returns() {
    let (world, late) = erased_with_a_late_delivery().await;
    let (id, now) = (late.id, world.system.clock.now());
    let erased = late.erase(now, OpId(8)).expect("it has content");
    let erased = Delivery { revision: 0, ..erased };
    assert!(matches!(world.system.store.create(&erased).await, Ok(Saved::Saved)));
    let exchange = Exchange {
        url: "https://hooks.example.com/".to_owned(),
        headers: Vec::new(),
        response: None,
    };
    let attempt = Attempt {
        id: id.attempt(1),
        owner: erased.owner,
        webhook: None,
        started_at: now,
        duration_ms: 5,
        exchange: Some(exchange),
        error: None,
    };
    assert!(matches!(world.system.store.create(&attempt).await, Ok(Saved::Saved)));

    let group = Group::Account(world.account.id);
    let hints = &world.system.deliver.core.hints;
    hints.send(group, &Hint::delivery(id, 1), Duration::ZERO).await;
    world.follow_hints().await;
    let attempts = world.system.store.attempts(id, 10, None).await.expect("read").items;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].exchange, None);
}
