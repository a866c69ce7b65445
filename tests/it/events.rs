//! Events that an account's own systems post.

mod data;

use answerback::domain::{Owner, Scope};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{Setup, World, reply};

/// An event of a finished job, with a subscribed receiver.
fn job() -> Value {
    json!({
        "type": "job.completed",
        "data": { "executionId": "exec-42", "status": "succeeded", "rows": 17 },
        "external_reference_id": "nightly",
        "callback_url": "https://hooks.example.com/jobs",
    })
}

async fn post(world: &World, event: &Value) -> Value {
    let answer = world.call(Method::POST, "/v1/events", event.clone()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    answer.json()
}

async fn deliveries(world: &World, event: &Value) -> Vec<Value> {
    let path = format!("/v1/deliveries?event_id={}", event["id"].as_str().expect("an id"));
    let list = world.call(Method::GET, &path, Value::Null).await.json();
    list["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn posted_event_is_delivered_and_can_be_read() {
    let world = World::start_answering([reply(200)]).await;
    let mut event = post(&world, &job()).await;
    let callback = event.as_object_mut().expect("an object").remove("callback");
    assert_eq!(callback.expect("it has one")["probe"], json!({ "ok": true }));
    let expected = json!({
        "id": event["id"],
        "type": "job.completed",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "livemode": true,
        "data": { "executionId": "exec-42", "status": "succeeded", "rows": 17 },
        "external_reference_id": "nightly",
    });
    assert_eq!(event, expected);
    world.follow_hints().await;

    let [told] = &world.posts()[..] else { panic!("one callback") };
    let body: Value = serde_json::from_slice(&told.body).expect("JSON");
    let mut envelope = expected.clone();
    envelope.as_object_mut().expect("an object").remove("external_reference_id");
    assert_eq!(body, envelope);
    assert_eq!(told.headers["answerback-event"], "job.completed");
    let [delivery] = &deliveries(&world, &event).await[..] else { panic!("one delivery") };
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["event_id"], event["id"]);
    assert_eq!(delivery["request_id"], Value::Null);

    let path = format!("/v1/events/{}", event["id"].as_str().expect("an id"));
    assert_eq!(world.call(Method::GET, &path, Value::Null).await.json(), expected);
    let list = world.call(Method::GET, "/v1/events", Value::Null).await.json();
    assert_eq!(list, json!({ "data": [expected], "next_cursor": null }));
}

#[tokio::test]
async fn event_without_subscribers_is_kept_and_completed() {
    let world = World::start().await;
    let event = post(&world, &json!({ "type": "build.finished", "data": {} })).await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 0);
    assert_eq!(deliveries(&world, &event).await, Vec::<Value>::new());
    world.pass(Duration::from_hours(1)).await;
    assert_eq!(world.system.sweep().await.n_hinted, 0);
}

#[tokio::test]
async fn sweep_finds_an_event_whose_hint_was_lost() {
    let world = World::start_with(Setup { has_queue: false, ..<_>::default() }).await;
    let event = post(&world, &job()).await;
    world.follow_hints().await;
    world.system.clock.advance(Duration::from_secs(59));
    assert_eq!(world.system.sweep().await.n_hinted, 0, "its hint may be on its way");
    world.system.clock.advance(Duration::from_secs(1));
    assert_eq!(world.system.sweep().await.n_hinted, 1);
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1);
    assert_eq!(deliveries(&world, &event).await[0]["status"], "delivered");
}

#[tokio::test]
async fn idempotent_retry_posts_the_event_once() {
    let world = World::start_answering([reply(200), reply(200)]).await;
    let headers = [("idempotency-key", "nightly-42")];
    let first = world.call_with(Method::POST, "/v1/events", &headers, job()).await;
    world.follow_hints().await;
    let again = world.call_with(Method::POST, "/v1/events", &headers, job()).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    let (mut first_shown, mut shown) = (first.json(), again.json());
    assert_eq!(first_shown["callback"]["probe"], json!({ "ok": true }));
    for event in [&mut first_shown, &mut shown] {
        event["callback"]["probe"] = Value::Null;
    }
    assert_eq!(shown, first_shown, "a repeated call does not probe again");
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(!first.headers.contains_key("idempotency-replayed"));
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1);

    let other = json!({ "type": "build.finished", "data": {} });
    let other = world.call_with(Method::POST, "/v1/events", &headers, other).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.json()["code"], "idempotency_key_reused");
}

#[tokio::test]
async fn event_data_is_delivered_unchanged() {
    let world = World::start_answering([reply(200)]).await;
    let data =
        r#"{"z": 1.10, "a": 123456789012345678901234567890, "t": "2026-01-01T00:00:00.123456Z"}"#;
    let event = format!(
        r#"{{"callback_url": "https://hooks.example.com/runs", "callback": {{"profile": "nextmv"}},
        "data": {data}, "type": "run.status"}}"#
    );
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let answer = world.send(Method::POST, "/v1/events", &headers, event.into()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    assert!(answer.text().contains(data), "{}", answer.text());
    world.follow_hints().await;
    assert_eq!(world.posts()[0].body, data.as_bytes());
}

#[tokio::test]
async fn oversized_event_data_can_be_fetched() {
    let long = "x".repeat(70_000);
    for (profile, expected) in [
        (
            "standard",
            json!({ "id": 0, "type": "job.failed", "timestamp": "2026-01-01T00:00:00.000Z",
                "livemode": true, "truncated": true, "data_url": 0 }),
        ),
        (
            "noukai",
            json!({ "event": "flow.failed", "executionId": "exec-42", "status": "failed",
                "payload": { "truncated": true, "data_url": 0 }, "truncated": true }),
        ),
        ("nextmv", json!({ "truncated": true, "data_url": 0 })),
    ] {
        let world = World::start_answering([reply(200)]).await;
        let mut event = job();
        event["type"] = "job.failed".into();
        event["data"] = json!({ "executionId": "exec-42", "status": "failed", "log": long });
        event["callback"] = json!({ "profile": profile });
        let event = post(&world, &event).await;
        world.follow_hints().await;

        let mut body: Value = serde_json::from_slice(&world.posts()[0].body).expect("JSON");
        let at = if profile == "noukai" { "/payload/data_url" } else { "/data_url" };
        let url = body.pointer(at).and_then(Value::as_str).expect("an address").to_owned();
        let path = url.split_once("/v1/").map(|it| format!("/v1/{}", it.1)).expect("our own");
        let whole = world.call(Method::GET, &path, Value::Null).await.json();
        assert_eq!(whole["data"]["log"], long);
        *body.pointer_mut(at).expect("the member exists") = 0.into();
        if profile == "standard" {
            assert_eq!(body["id"], event["id"]);
            body["id"] = 0.into();
        }
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn oversized_result_of_many_recipients_can_be_fetched() {
    let world = World::start_answering([reply(200)]).await;
    let people: Vec<String> = (0..60).map(|it| format!("p{it}@example.com")).collect();
    let request = world
        .create(json!({
            "title": "Deploy?",
            "recipients": people,
            "fields": [{ "key": "why", "type": "textarea", "label": "Why" }],
            "timeout_seconds": 60,
            "callback_url": "https://hooks.example.com/told",
        }))
        .await;
    for row in 0..60 {
        let answer = json!({ "option": "submit", "fields": { "why": "y".repeat(1_500) } });
        world.answer(&request, row, answer).await;
    }
    world.follow_hints().await;
    let body: Value = serde_json::from_slice(&world.posts()[0].body).expect("JSON");
    assert_eq!(body["truncated"], true);
    let url = body["data_url"].as_str().expect("an address");
    let path = url.split_once("/v1/").map(|it| format!("/v1/{}", it.1)).expect("our own");
    let whole = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!((&whole["id"], &whole["type"]), (&body["id"], &body["type"]));
    assert_eq!(whole["data"]["responses"].as_array().map(Vec::len), Some(60));
}

#[tokio::test]
async fn events_need_their_scopes() {
    let world = World::start().await;
    let event = post(&world, &json!({ "type": "build.finished", "data": {} })).await;
    let path = format!("/v1/events/{}", event["id"].as_str().expect("an id"));
    let stranger = world.system.make_account().await.expect("an account").key;
    let test = world.system.make_key(Owner::test(world.account.id), vec![Scope::Admin]).await;
    let texts = [stranger, test.expect("a key")].map(|it| it.text.expose_secret().to_owned());
    let [stranger, test] = texts;
    let writer = world.key_with(&[Scope::EventsWrite]).await;
    for (key, expected) in [
        (writer, StatusCode::FORBIDDEN),
        (stranger, StatusCode::NOT_FOUND),
        (test, StatusCode::NOT_FOUND),
    ] {
        let headers = [("authorization", &*format!("Bearer {key}"))];
        let answer = world.call_with(Method::GET, &path, &headers, Value::Null).await;
        assert_eq!(answer.status, expected);
    }
    let reader = world.key_with(&[Scope::WebhooksRead]).await;
    let headers = [("authorization", &*format!("Bearer {reader}"))];
    let event = json!({ "type": "build.finished", "data": {} });
    let answer = world.call_with(Method::POST, "/v1/events", &headers, event).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

/// The erased request's deliveries are kept longer than its tombstone.
#[tokio::test]
async fn event_of_a_repeated_request_has_its_own_type() {
    let world = World::start().await;
    let body = json!({
        "title": "Deploy?", "options": [{ "value": "yes", "label": "Yes" }],
        "callback_url": "https://hooks.example.com/",
        "callback": { "events": ["request.finished", "request.cancelled"] },
    });
    // One of the two deliveries sorts first, and it may be either one.
    for number in 0..6 {
        let key = format!("deploy-{number}");
        let key = [("idempotency-key", key.as_str())];
        let ask = || world.call_with(Method::POST, "/v1/requests", &key, body.clone());
        let id = ask().await.json()["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/requests/{id}");
        world.call(Method::POST, &format!("{path}/cancel"), Value::Null).await;
        world.follow_hints().await;
        world.call(Method::DELETE, &path, Value::Null).await;
        world.pass(Duration::from_mins(4)).await;
        world.system.sweep().await;
        world.follow_hints().await;
        world.system.clock.advance(Duration::from_hours(72));
        let text = |it: &str| aws_sdk_dynamodb::types::AttributeValue::S(it.to_owned());
        let table = world.system.sdk().dynamodb();
        let tombstone = table.delete_item().table_name("answerback");
        tombstone.key("pk", text(&id)).key("sk", text("-")).send().await.expect("deleted");

        let again = ask().await.json();
        assert_eq!(again["id"], id.as_str());
        assert_eq!(world.answer(&again, 0, json!({ "option": "yes" })).await.status, 200);
        world.follow_hints().await;
        let list = format!("/v1/deliveries?request_id={id}");
        let list = world.call(Method::GET, &list, Value::Null).await.json();
        assert_eq!(list["data"].as_array().map(Vec::len), Some(2), "{list}");
        let event = list["data"][0]["event_id"].as_str().expect("an id");
        let event = world.call(Method::GET, &format!("/v1/events/{event}"), Value::Null).await;
        assert_eq!(event.json()["type"], "request.finished");
    }
}
