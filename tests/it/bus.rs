//! Events on the operator's event bus, sent by the same engine as callbacks.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use system_tests::{Setup, World};

/// A question to an anonymous recipient.
fn question() -> Value {
    json!({ "title": "Deploy?", "options": [{ "value": "approve", "label": "Approve" }] })
}

async fn with_bus() -> World {
    World::start_with(Setup { bus: Some("events".to_owned()), ..<_>::default() }).await
}

/// Published events as type and detail.
fn published(world: &World) -> Vec<(String, Value)> {
    let events = world.system.aws.bus().events();
    let entry = |it: &local_aws::PublishedEvent| {
        assert_eq!((it.bus.as_str(), it.source.as_str()), ("events", "answerback"));
        (it.detail_type.clone(), serde_json::from_str(&it.detail).expect("JSON"))
    };
    events.iter().map(entry).collect()
}

#[tokio::test]
async fn bus_gets_creation_and_end_in_addition_to_the_callback() {
    let world = with_bus().await;
    let mut question = question();
    question["callback_url"] = "https://hooks.example.com/".into();
    let request = world.create(question).await;
    world.follow_hints().await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    world.follow_hints().await;
    let events = published(&world);
    let [(first_type, first), (last_type, last)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((first_type.as_str(), last_type.as_str()), ("request.created", "request.finished"));
    assert_eq!(first["type"], "request.created");
    assert_eq!(first["data"]["status"], "pending");
    assert_eq!(first["data"]["request_id"], request["id"]);
    assert_ne!(first["id"], last["id"]);
    let [callback] = world.posts().try_into().expect("one callback");
    let told: Value = serde_json::from_slice(&callback.body).expect("JSON");
    assert_eq!(*last, told, "the detail is the standard envelope");

    let path = format!("/v1/deliveries?request_id={}", request["id"].as_str().expect("an id"));
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    let data = shown["data"].as_array().expect("a list");
    assert!(data.iter().all(|it| it["status"] == "delivered"), "{shown}");
    let mut kinds: Vec<_> = data.iter().filter_map(|it| it["target"]["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["bus", "bus", "https"]);
}

#[tokio::test]
async fn bus_outage_loses_no_event() {
    let world = with_bus().await;
    let n_requests = 5;
    world.system.aws.bus().fail_entries(7);
    let mut requests = Vec::new();
    for _ in 0..n_requests {
        requests.push(world.create(question()).await);
    }
    world.follow_hints().await;
    assert_eq!(published(&world).len(), 0);
    // More failures than the SDK retries by itself.
    world.system.aws.bus().fail_entries(0);
    world.system.aws.bus().fail_calls(4);
    for request in &requests {
        world.answer(request, 0, json!({ "option": "approve" })).await;
    }
    for _ in 0..20 {
        world.pass(Duration::from_mins(1)).await;
        world.system.sweep().await;
    }
    world.follow_hints().await;
    let mut told: Vec<String> = published(&world)
        .iter()
        .map(|(kind, detail)| format!("{} {kind}", detail["data"]["request_id"]))
        .collect();
    told.sort_unstable();
    let expected = requests.iter().flat_map(|it| {
        ["request.created", "request.finished"].map(|kind| format!("{} {kind}", it["id"]))
    });
    let mut expected: Vec<String> = expected.collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
    let pending = world.call(Method::GET, "/v1/deliveries?status=pending", Value::Null).await;
    assert_eq!(pending.json()["data"], json!([]));
}

#[tokio::test]
async fn nothing_is_published_without_a_bus() {
    let world = World::start().await;
    let request = world.create(question()).await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    world.follow_hints().await;
    assert!(world.system.aws.bus().events().is_empty());
    let list = world.call(Method::GET, "/v1/deliveries", Value::Null).await.json();
    assert_eq!(list["data"], json!([]));
}
