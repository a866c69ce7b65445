//! Failing webhooks: disabling and recovery.

use std::time::Duration;

use answerback::{
    egress::{Failure, Reply},
    platform::Lane,
};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{World, reply};

use super::{get, hook, make, patch, show};

async fn post(world: &World) -> Value {
    let event = json!({ "type": "build.done", "data": {} });
    let answer = world.call(Method::POST, "/v1/events", event).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    world.follow_hints().await;
    answer.json()
}

fn always(status: u16) -> impl Iterator<Item = Result<Reply, Failure>> {
    (0..500).map(move |_| reply(status))
}

/// One webhook that subscribes to builds, and another to events about webhooks.
async fn two_hooks(world: &World) {
    let mut watched = hook("watched");
    watched["event_types"] = json!(["build.*"]);
    make(world, watched).await;
    let mut watching = hook("watching");
    watching["event_types"] = json!(["webhook.*"]);
    make(world, watching).await;
}

fn told_of_disabling(world: &World) -> Vec<Value> {
    let posts = world.posts().into_iter().filter(|it| it.url.as_str().ends_with("/watching"));
    posts.map(|it| serde_json::from_slice(&it.body).expect("JSON")).collect()
}

#[tokio::test]
async fn gone_webhook_is_disabled_and_an_event_is_sent() {
    let world = World::start_answering([reply(410)]).await;
    two_hooks(&world).await;
    let event = post(&world).await;
    let shown = show(&world, "watched").await;
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("gone")));
    assert_eq!(shown["disabled_at"], "2026-01-01T00:00:00.000Z");
    let told = told_of_disabling(&world);
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!(told["type"], "webhook.disabled");
    let expected = json!({
        "webhook_id": "watched", "reason": "gone", "failing_since": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!(told["data"], expected);
    let path = format!("/v1/deliveries?event_id={}", event["id"].as_str().expect("an id"));
    let deliveries = get(&world, &path).await;
    assert_eq!(deliveries["data"][0]["state_reason"], "gone");

    post(&world).await;
    assert_eq!(world.posts().len(), 2, "no more deliveries");
    let triggered = world.call(Method::POST, "/v1/webhooks/watched/trigger", Value::Null).await;
    assert_eq!((triggered.status, &*triggered.code()), (StatusCode::CONFLICT, "webhook_disabled"));
    let enabled = patch(&world, "watched", json!({ "enabled": true })).await.json();
    assert_eq!((&enabled["enabled"], &enabled["failing_since"]), (&json!(true), &Value::Null));
    post(&world).await;
    assert_eq!(world.posts().len(), 3);
}

/// A history that the simulation found: the receiver answers 410 once, and the webhook recovers
/// before the event that disables it is dispatched.
#[tokio::test]
async fn event_of_a_webhook_that_recovered_is_never_shown() {
    let world = World::start_answering([reply(410), reply(200)]).await;
    two_hooks(&world).await;
    let no_wait = Duration::ZERO;
    for _ in 0..2 {
        let event = json!({ "type": "build.done", "data": {} });
        world.call(Method::POST, "/v1/events", event).await;
    }
    let mut hints = world.system.receive(Lane::Fast, no_wait).await.expect("hints");
    let later = hints.split_off(1);
    world.system.follow(hints).await.expect("410");
    let disabling = world.system.receive(Lane::Fast, no_wait).await.expect("hints");
    assert_eq!((later.len(), disabling.len()), (1, 1));
    let types = async || {
        let events = get(&world, "/v1/events").await["data"].clone();
        let types = events.as_array().expect("a list").iter().map(|it| it["type"].clone());
        types.collect::<Vec<_>>()
    };
    assert_eq!(types().await, ["build.done", "build.done"]);

    world.system.follow(later).await.expect("200");
    world.system.follow(disabling).await.expect("nothing to disable");
    assert_eq!(show(&world, "watched").await["enabled"], true);
    assert_eq!(types().await, ["build.done", "build.done"]);
    assert_eq!(told_of_disabling(&world), Vec::<Value>::new());
    world.pass(Duration::from_mins(10)).await;
    assert_eq!(told_of_disabling(&world), Vec::<Value>::new());
}

#[tokio::test]
async fn webhook_that_fails_for_five_days_is_disabled_once() {
    let world = World::start_answering(always(500)).await;
    let mut watched = hook("watched");
    watched["retry"] = json!({ "delays_seconds": [] });
    watched["event_types"] = json!(["build.*"]);
    make(&world, watched).await;
    for day in 0..=5 {
        post(&world).await;
        let is_enabled = show(&world, "watched").await["enabled"].clone();
        assert_eq!(is_enabled, json!(day < 5), "after {day} days");
        world.system.clock.advance(Duration::from_hours(24));
    }
    let shown = show(&world, "watched").await;
    assert_eq!(shown["disabled_reason"], "failing");
    assert_eq!(shown["failing_since"], "2026-01-01T00:00:00.000Z");
    let events = get(&world, "/v1/events").await;
    let disabled = |it: &&Value| it["type"] == "webhook.disabled";
    let n_told = events["data"].as_array().expect("a list").iter().filter(disabled).count();
    assert_eq!(n_told, 1);
}

#[tokio::test]
async fn success_restarts_the_five_days() {
    let answers = always(500).take(3).chain([reply(200)]).chain(always(500));
    let world = World::start_answering(answers).await;
    let mut watched = hook("watched");
    watched["retry"] = json!({ "delays_seconds": [] });
    make(&world, watched).await;
    for day in 0..8 {
        post(&world).await;
        let failing_since = match day {
            0..3 => json!("2026-01-01T00:00:00.000Z"),
            3 => Value::Null,
            _ => json!("2026-01-05T00:00:00.000Z"),
        };
        let shown = show(&world, "watched").await;
        assert_eq!(shown["failing_since"], failing_since, "on day {day}");
        assert_eq!(shown["enabled"], true, "on day {day}");
        world.system.clock.advance(Duration::from_hours(24));
    }
}

#[tokio::test]
async fn missed_deliveries_are_recovered_with_the_same_ids() {
    let world = World::start_answering(always(500).take(4)).await;
    let mut webhook = hook("orders");
    webhook["retry"] = json!({ "delays_seconds": [] });
    make(&world, webhook).await;
    for _ in 0..4 {
        post(&world).await;
        world.system.clock.advance(Duration::from_mins(1));
    }
    post(&world).await;
    let list = "/v1/deliveries?webhook_id=orders&status=dead_lettered";
    assert_eq!(get(&world, list).await["data"].as_array().map(Vec::len), Some(4));

    let path = "/v1/webhooks/orders/recover";
    let wanted = json!({ "since": "2026-01-01T00:01:00Z", "until": "2026-01-01T00:03:00Z" });
    let recovered = world.call(Method::POST, path, wanted).await;
    assert_eq!(recovered.status, StatusCode::ACCEPTED, "{}", recovered.text());
    assert_eq!(recovered.json(), json!({ "redelivered": 2, "complete": true }));
    world.follow_hints().await;
    let posts = world.posts();
    let id = |n: usize| posts[n].headers["webhook-id"].clone();
    let (mut again, mut first) = ([id(5), id(6)], [id(1), id(2)]);
    again.sort();
    first.sort();
    assert_eq!(again, first, "of the second and the third minute");
    assert_eq!(get(&world, list).await["data"].as_array().map(Vec::len), Some(2));

    let all = json!({ "since": "2025-01-01T00:00:00Z" });
    let recovered = world.call(Method::POST, path, all.clone()).await;
    assert_eq!(recovered.json(), json!({ "redelivered": 2, "complete": true }));
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 9);
    let recovered = world.call(Method::POST, path, all).await;
    assert_eq!(recovered.json()["redelivered"], 0);

    let wrong =
        json!({ "since": "yesterday", "until": "2026-01-01T00:00:00Z", "status": "failed" });
    let answer = world.call(Method::POST, path, wrong).await;
    assert_eq!(crate::requests::faults(&answer), ["/since", "/status"]);
}

#[tokio::test]
async fn removed_event_type_is_not_retried_or_recovered() {
    let world = World::start_answering(always(500).take(2)).await;
    let mut webhook = hook("orders");
    webhook["event_types"] = json!(["build.*"]);
    webhook["retry"] = json!({ "delays_seconds": [60], "jitter": 0 });
    make(&world, webhook).await;
    let event = post(&world).await;
    assert_eq!(world.posts().len(), 1);
    patch(&world, "orders", json!({ "event_types": ["deploy.*"] })).await;
    world.pass(Duration::from_mins(2)).await;
    assert_eq!(world.posts().len(), 1, "it is not sent again");
    let path = format!("/v1/deliveries?event_id={}", event["id"].as_str().expect("an id"));
    let delivery = get(&world, &path).await["data"][0].clone();
    assert_eq!(delivery["status"], "cancelled");

    // A caller that names the delivery gets it, and a test event needs no subscription.
    let path = format!("/v1/deliveries/{}/redeliver", delivery["id"].as_str().expect("an id"));
    world.call(Method::POST, &path, Value::Null).await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 2);
    world.call(Method::POST, "/v1/webhooks/orders/trigger", Value::Null).await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 3);
}

#[tokio::test]
async fn recovery_skips_event_types_that_were_removed() {
    let world = World::start_answering(always(500).take(2)).await;
    let mut webhook = hook("orders");
    webhook["retry"] = json!({ "delays_seconds": [] });
    make(&world, webhook).await;
    post(&world).await;
    let other = json!({ "type": "deploy.done", "data": {} });
    world.call(Method::POST, "/v1/events", other).await;
    world.follow_hints().await;
    patch(&world, "orders", json!({ "event_types": ["deploy.*"] })).await;
    let all = json!({ "since": "2025-01-01T00:00:00Z" });
    let recovered = world.call(Method::POST, "/v1/webhooks/orders/recover", all).await;
    assert_eq!(recovered.json(), json!({ "redelivered": 1, "complete": true }));
}
