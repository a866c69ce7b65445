//! A rollback: items that only the newer version can read wait until it is deployed again.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{World, reply};

use super::{id, items, past::question};

/// Marks all due items as written by this version of the encoding, or by the first.
async fn set_version(world: &World, version: Option<u32>) -> usize {
    let client = world.system.sdk().dynamodb();
    let mut due = items(world).await;
    due.retain(|it| it.get("due_at").is_some());
    for item in &due {
        let text = |name: &str| AttributeValue::S(item[name]["S"].as_str().expect("a key").into());
        let update = client.update_item().table_name("answerback");
        let update = update.key("pk", text("pk")).key("sk", text("sk"));
        let update = match version {
            Some(version) => update
                .update_expression("SET v = :v")
                .expression_attribute_values(":v", AttributeValue::N(version.to_string())),
            None => update.update_expression("REMOVE v"),
        };
        update.send().await.expect("the table exists");
    }
    due.len()
}

/// Writes a due item of a kind that only a newer version knows.
async fn put_unknown(world: &World) {
    let client = world.system.sdk().dynamodb();
    let put = client.put_item().table_name("answerback");
    let put = ["pk", "sk", "due_shard"]
        .into_iter()
        .fold(put, |put, name| put.item(name, AttributeValue::S("0".to_owned())));
    let put = put.item("due_at", AttributeValue::N("0".to_owned()));
    put.send().await.expect("the table exists");
}

#[tokio::test]
async fn items_of_a_newer_version_wait_and_are_never_quarantined() {
    let world = World::start_answering([reply(500)]).await;
    let callback = json!({ "callback_url": "https://hooks.example.com/" });
    let finished = world.create(question(callback.clone())).await;
    for recipient in [0, 1] {
        world.answer(&finished, recipient, json!({ "option": "approve" })).await;
    }
    world.follow_hints().await;
    let pending = world.create(question(callback)).await;
    let event = json!({
        "type": "job.failed", "data": { "executionId": "x", "status": "failed" },
        "callback_url": "https://hooks.example.com/",
    });
    world.call(Method::POST, "/v1/events", event).await;
    assert_eq!(set_version(&world, Some(2)).await, 3, "a delivery, a request, and an event");
    put_unknown(&world).await;

    world.system.clock.advance(Duration::from_hours(25));
    let before = items(&world).await;
    for round in 0..10 {
        // Hints from before the rollback find the same items.
        world.follow_hints().await;
        let swept = world.system.sweep().await;
        assert_eq!(swept, sweep::Swept { n_errors: 4, ..<_>::default() }, "{round}");
        world.system.clock.advance(Duration::from_mins(5));
    }
    assert_eq!(without_timers(&items(&world).await), without_timers(&before), "nothing changed");
    assert_eq!(world.posts().len(), 1);
    let path = format!("/v1/requests/{}", id(&pending));
    let shown = world.call(Method::GET, &path, Value::Null).await;
    assert_eq!(shown.status, StatusCode::INTERNAL_SERVER_ERROR);

    set_version(&world, None).await;
    for _ in 0..3 {
        world.system.sweep().await;
        world.follow_hints().await;
        world.system.clock.advance(Duration::from_mins(5));
    }
    assert_eq!(world.posts().len(), 4, "the retry, the time-out, and the event");
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(shown["outcome"], "timed_out");
    let none = world.call(Method::GET, "/v1/deliveries?status=pending", Value::Null).await;
    assert_eq!(none.json()["data"], json!([]));
}

fn without_timers(items: &[Value]) -> Vec<Value> {
    let mut items = items.to_vec();
    for item in &mut items {
        let item = item.as_object_mut().expect("an item");
        item.remove("due_at");
        assert!(item.remove("n_errors").is_none_or(|it| it["N"] == "0"), "no errors were counted");
    }
    items
}
