//! Cancellation and erasure of requests.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{World, reply, token};

use super::{ask, asking, path_of, show};

const SECRET_WORDS: &str = "what nobody is to find again";

async fn cancel(world: &World, request: &Value) -> system_tests::Answer {
    world.call(Method::POST, &format!("{}/cancel", path_of(request)), Value::Null).await
}

/// A question whose callback subscribes to all events.
fn told_of_all() -> Value {
    asking(json!({
        "title": SECRET_WORDS,
        "recipients": ["a@example.com", "b@example.com"],
        "callback_url": "https://hooks.example.com/cb",
        "callback": {
            "events": ["request.answered", "request.finished", "request.cancelled"],
            "retry": { "delays_seconds": [60, 60, 60] },
        },
        "metadata": { "words": SECRET_WORDS },
    }))
}

#[tokio::test]
async fn cancelled_request_ends_and_its_callback_is_sent() {
    let world = World::start().await;
    let request = world.create(told_of_all()).await;
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    world.system.clock.advance(Duration::from_secs(1));
    let answer = cancel(&world, &request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let view = answer.json();
    assert_eq!(view["status"], "cancelled");
    assert_eq!(view["outcome"], "cancelled");
    assert_eq!(view["decided_by"], "sender");
    assert_eq!(view["decision"], Value::Null);
    assert_eq!(view["finished_at"], "2026-01-01T00:00:01.000Z");
    assert_eq!(view["responses"][0]["option"], "yes", "recorded answers stay");
    assert_eq!(view["responses"][1]["expired"], false);

    let again = cancel(&world, &request).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.code(), "already_finished");
    assert_eq!(again.json()["outcome"], "cancelled");
    assert_eq!(again.json()["request_status"], "cancelled");
    let late = world.answer(&request, 1, json!({ "option": "no" })).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::GONE, "request_ended"));

    world.pass(Duration::from_secs(10)).await;
    let events: Vec<Value> = world
        .posts()
        .iter()
        .map(|it| serde_json::from_slice(&it.body).expect("JSON"))
        .filter(|it: &Value| it["type"] == "request.cancelled")
        .collect();
    let [event] = events.try_into().expect("exactly one");
    assert_eq!(event["data"]["status"], "cancelled");
    assert_eq!(event["data"]["responses"], view["responses"]);
}

#[tokio::test]
async fn finished_request_cannot_be_cancelled() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    world.answer(&request, 0, json!({ "option": "no" })).await;
    let before = show(&world, &request).await;
    let refused = cancel(&world, &request).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.code(), "already_finished");
    assert_eq!(refused.json()["request_status"], "finished");
    assert_eq!(refused.json()["outcome"], "completed");
    assert_eq!(show(&world, &request).await, before);

    // The sender cancels before any worker notices the deadline.
    let request = world.create(asking(json!({ "timeout_seconds": 5 }))).await;
    world.system.clock.advance(Duration::from_secs(10));
    let refused = cancel(&world, &request).await;
    assert_eq!(refused.json()["outcome"], "timed_out");
}

#[tokio::test]
async fn erased_request_is_not_found() {
    let world = World::start().await;
    let request = world.create(asking(json!({ "title": SECRET_WORDS }))).await;
    let path = path_of(&request);
    let unknown = format!("/v1/requests/req_{}", "0".repeat(26));
    let erased = world.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!((erased.status, erased.bytes.len()), (StatusCode::NO_CONTENT, 0));

    let answer = json!({ "option": "yes" });
    for (method, rest, body) in [
        (Method::GET, "", Value::Null),
        (Method::GET, "?wait=25", Value::Null),
        (Method::GET, "/result", Value::Null),
        (Method::DELETE, "", Value::Null),
        (Method::POST, "/cancel", Value::Null),
        (Method::POST, "/responses", answer.clone()),
        (Method::POST, "/result/ack", json!({ "receipt": "rcp_0000000000000000" })),
    ] {
        let here = format!("{path}{rest}");
        let gone = world.call(method.clone(), &here, body.clone()).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{method} {here}: {}", gone.text());
        let (mut gone, there) = (gone.json(), format!("{unknown}{rest}"));
        let never = world.call(method, &there, body).await.json();
        gone["request_id"] = never["request_id"].clone();
        assert_eq!(gone, never);
    }
    let link = token(&request, 0);
    let (page, json) = (format!("/a/{link}"), format!("/v1/answers/{link}"));
    for (method, path) in
        [(Method::GET, &page), (Method::HEAD, &page), (Method::POST, &page), (Method::GET, &json)]
    {
        let gone = world.visit(method.clone(), path, "").await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    assert_eq!(world.answer(&request, 0, answer).await.status, StatusCode::NOT_FOUND);
    let list = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
    assert_eq!(list, json!({ "data": [], "next_cursor": null }));
    world.pass(Duration::from_hours(24)).await;
    assert_eq!(world.call(Method::GET, &path, Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn erasure_cancels_deliveries_and_strips_past_ones() {
    let world = World::start_answering([reply(200), reply(500)]).await;
    let request = world.create(told_of_all()).await;
    for recipient in [0, 1] {
        world.answer(&request, recipient, json!({ "option": "yes" })).await;
        world.follow_hints().await;
    }
    let posts = world.posts().len();
    let path = format!("/v1/deliveries?request_id={}", request["id"].as_str().expect("an id"));
    let before = world.call(Method::GET, &path, Value::Null).await.json();
    let statuses = |list: &Value| -> Vec<String> {
        let all = list["data"].as_array().expect("a list").iter();
        all.map(|it| it["status"].as_str().expect("a status").to_owned()).collect()
    };
    assert!(statuses(&before).contains(&"delivered".to_owned()), "{before}");
    assert!(statuses(&before).contains(&"pending".to_owned()), "{before}");

    world.call(Method::DELETE, &path_of(&request), Value::Null).await;
    world.pass(Duration::from_hours(1)).await;
    assert_eq!(world.posts().len(), posts, "no more deliveries");
    let after = world.call(Method::GET, &path, Value::Null).await.json();
    for (before, after) in
        before["data"].as_array().into_iter().flatten().zip(after["data"].as_array().expect("all"))
    {
        let was_delivered = before["status"] == "delivered";
        assert_eq!(after["status"], if was_delivered { "delivered" } else { "cancelled" });
        for name in ["id", "created_at", "event_type", "attempts"] {
            assert_eq!(after[name], before[name], "{name}");
        }
        assert_eq!(after["target"]["url"], Value::Null);
        let id = after["id"].as_str().expect("an id");
        let attempts = format!("/v1/attempts?delivery_id={id}");
        let attempts = world.call(Method::GET, &attempts, Value::Null).await;
        let again = format!("/v1/deliveries/{id}/redeliver");
        let again = world.call(Method::POST, &again, Value::Null).await;
        assert_eq!(again.code(), "not_redeliverable");
        for attempt in attempts.json()["data"].as_array().expect("a list") {
            let nothing = json!({ "url": null, "headers": {}, "body": null });
            assert_eq!(attempt["request"], nothing);
            assert_eq!(attempt["response"], Value::Null);
        }
        assert!(!attempts.text().contains(SECRET_WORDS));
    }
    assert_eq!(after["data"].as_array().map(Vec::len), before["data"].as_array().map(Vec::len));
}

#[tokio::test]
async fn erasure_removes_the_text_from_the_table() {
    let world = World::start().await;
    let request = world.create(told_of_all()).await;
    for recipient in [0, 1] {
        world.answer(&request, recipient, json!({ "option": "yes" })).await;
        world.follow_hints().await;
    }
    assert!(crate::access::stored(&world).await.contains(SECRET_WORDS));
    world.call(Method::DELETE, &path_of(&request), Value::Null).await;
    world.pass(Duration::from_mins(10)).await;
    let stored = crate::access::stored(&world).await;
    for words in [SECRET_WORDS, "a@example.com", "hooks.example.com"] {
        assert!(!stored.contains(words), "{words}");
    }
}

#[tokio::test]
async fn idempotency_key_of_an_erased_request_stays_used() {
    let world = World::start().await;
    let key = [("idempotency-key", "once")];
    let post =
        async || world.call_with(Method::POST, "/v1/requests", &key, asking(json!({}))).await;
    let request = post().await.json();
    world.call(Method::DELETE, &path_of(&request), Value::Null).await;
    assert_eq!(post().await.status, StatusCode::NOT_FOUND);
    world.pass(Duration::from_hours(24)).await;
    assert_eq!(post().await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(&world, asking(json!({}))).await.status, StatusCode::CREATED);
    let list = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
}
