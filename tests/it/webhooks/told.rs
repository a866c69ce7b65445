//! Deliveries to webhooks: subscriptions, payloads, signatures and later changes.

use std::time::Duration;

use answerback::{egress::Reply, signing::verify_standard};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Setup, World, reply};

use super::{get, hook, make, patch};

fn question() -> Value {
    json!({
        "title": "Deploy?",
        "options": [{ "value": "yes", "label": "Yes" }],
        "recipients": ["ada@example.com"],
    })
}

/// The paths of the called receivers, with the types of the events, in order.
fn told(world: &World) -> Vec<(String, String)> {
    let told = |it: &answerback::egress::Post| {
        let event = it.headers["answerback-event"].to_str().expect("text").to_owned();
        let (_, path) = it.url.as_str().rsplit_once('/').expect("a path");
        (path.to_owned(), event)
    };
    let mut told: Vec<_> = world.posts().iter().map(told).collect();
    told.sort();
    told
}

async fn post(world: &World, event: Value) -> Value {
    let answer = world.call(Method::POST, "/v1/events", event).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    world.follow_hints().await;
    answer.json()
}

#[tokio::test]
async fn webhooks_get_subscribed_events_in_addition_to_a_callback() {
    let world = World::start().await;
    for (id, types) in [
        ("all", json!(["*"])),
        ("ends", json!(["request.finished", "request.cancelled"])),
        ("requests", json!(["request.*"])),
        ("jobs", json!(["job.*", "run.status"])),
    ] {
        let mut webhook = hook(id);
        webhook["event_types"] = types;
        make(&world, webhook).await;
    }
    let mut off = hook("off");
    off["enabled"] = false.into();
    make(&world, off).await;
    let mut asked = question();
    asked["callback_url"] = "https://hooks.example.com/callback".into();
    let request = world.create(asked).await;
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    world.follow_hints().await;
    let expect = |all: &[(&str, &str)]| {
        all.iter().map(|(who, what)| ((*who).to_owned(), (*what).to_owned())).collect::<Vec<_>>()
    };
    let mut expected = expect(&[
        ("all", "request.answered"),
        ("all", "request.created"),
        ("all", "request.finished"),
        ("callback", "request.finished"),
        ("ends", "request.finished"),
        ("requests", "request.answered"),
        ("requests", "request.created"),
        ("requests", "request.finished"),
    ]);
    assert_eq!(told(&world), expected);

    let event = json!({ "type": "job.failed", "data": { "executionId": "e", "status": "failed" } });
    let event = post(&world, event).await;
    expected.extend(expect(&[("all", "job.failed"), ("jobs", "job.failed")]));
    expected.sort();
    assert_eq!(told(&world), expected);

    let list =
        get(&world, &format!("/v1/deliveries?event_id={}", event["id"].as_str().expect("id")))
            .await;
    let mut hooks: Vec<_> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["webhook_id"].clone())
        .collect();
    hooks.sort_by_key(ToString::to_string);
    assert_eq!(hooks, ["all", "jobs"]);
    let list = get(&world, "/v1/deliveries?webhook_id=requests&limit=2").await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    let cursor = list["next_cursor"].as_str().expect("more").to_owned();
    let rest =
        get(&world, &format!("/v1/deliveries?webhook_id=requests&limit=2&cursor={cursor}")).await;
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(get(&world, "/v1/deliveries?webhook_id=off").await["data"], json!([]));
}

#[tokio::test]
async fn webhooks_get_timeouts_and_cancellations() {
    let world = World::start().await;
    make(&world, hook("all")).await;
    let mut asked = question();
    asked["timeout_seconds"] = 5.into();
    world.create(asked.clone()).await;
    world.pass(Duration::from_secs(8)).await;
    let request = world.create(asked).await;
    let path = format!("/v1/requests/{}/cancel", request["id"].as_str().expect("an id"));
    world.call(Method::POST, &path, Value::Null).await;
    world.follow_hints().await;
    let events: Vec<String> = told(&world).into_iter().map(|it| it.1).collect();
    let expected = ["request.cancelled", "request.created", "request.created", "request.finished"];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn new_webhook_gets_the_outcome_of_an_older_request() {
    let world = World::start().await;
    let request = world.create(question()).await;
    make(&world, hook("late")).await;
    world.system.clock.advance(Duration::from_secs(6));
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    world.follow_hints().await;
    let events: Vec<String> = told(&world).into_iter().map(|it| it.1).collect();
    assert_eq!(events, ["request.answered", "request.finished"]);
}

#[tokio::test]
async fn sweep_dispatches_to_webhooks_without_a_hint() {
    let world = World::start_with(Setup { has_queue: false, ..<_>::default() }).await;
    make(&world, hook("all")).await;
    let request = world.create(question()).await;
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    world.system.clock.advance(Duration::from_mins(1));
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(told(&world).len(), 3);
}

#[tokio::test]
async fn webhook_delivery_has_its_secret_headers_and_token() {
    let world = World::start().await;
    let mut webhook = hook("orders");
    webhook["headers"] = json!({ "X-Team": "payments" });
    webhook["auth"] = json!({ "type": "bearer", "token": "the-receivers-token" });
    let made = make(&world, webhook).await;
    let triggered = world.call(Method::POST, "/v1/webhooks/orders/trigger", Value::Null).await;
    assert_eq!(triggered.status, StatusCode::ACCEPTED, "{}", triggered.text());
    let triggered = triggered.json();
    assert_eq!(
        (&triggered["webhook_id"], &triggered["event_type"]),
        (&json!("orders"), &json!("webhook.test"))
    );
    world.follow_hints().await;
    let [post] = &world.posts()[..] else { panic!("one") };
    assert_eq!(
        (&post.headers["x-team"], &post.headers["authorization"]),
        (&"payments".parse().expect("text"), &"Bearer the-receivers-token".parse().expect("text"))
    );
    let header = |name| post.headers[name].to_str().expect("text");
    let verifies = |secret: &Value| {
        let secret = secret.as_str().expect("text");
        let (id, second) = (header("webhook-id"), header("webhook-timestamp"));
        verify_standard(secret, id, second, &post.body, header("webhook-signature"))
    };
    assert!(verifies(&made["secret"]));
    let account = get(&world, "/v1/secret?reveal=true").await;
    assert!(!verifies(&account["secret"]));

    let list = get(&world, "/v1/webhooks/orders/attempts").await;
    let [attempt] = &list["data"].as_array().expect("a list")[..] else { panic!("{list}") };
    assert_eq!(attempt["delivery_id"], triggered["id"]);
    assert_eq!(attempt["webhook_id"], "orders");
    assert_eq!(attempt["request"]["headers"]["x-team"], "***");
    assert_eq!(attempt["request"]["headers"]["authorization"], "***");
    let body: Value = serde_json::from_slice(&post.body).expect("JSON");
    assert_eq!((&body["type"], &body["data"]), (&json!("webhook.test"), &json!({})));
}

#[tokio::test]
async fn null_in_a_trigger_is_the_default() {
    let world = World::start().await;
    make(&world, hook("orders")).await;
    let body = json!({ "type": null, "data": null });
    let triggered = world.call(Method::POST, "/v1/webhooks/orders/trigger", body).await;
    assert_eq!(triggered.status, StatusCode::ACCEPTED, "{}", triggered.text());
    assert_eq!(triggered.json()["event_type"], "webhook.test");
}

#[tokio::test]
async fn attempts_of_a_webhook_are_paginated() {
    let world = World::start_answering([reply(500), reply(500), reply(200), reply(200)]).await;
    make(&world, hook("orders")).await;
    world.call(Method::POST, "/v1/webhooks/orders/trigger", json!({ "type": "a.b" })).await;
    world.pass(Duration::from_hours(2)).await;
    world.call(Method::POST, "/v1/webhooks/orders/trigger", json!({ "type": "c.d" })).await;
    world.follow_hints().await;
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let list = get(&world, &format!("/v1/webhooks/orders/attempts?limit=1{cursor}")).await;
        let data = list["data"].as_array().expect("a list");
        seen.extend(
            data.iter().map(|it| (it["attempt"].clone(), it["response"]["status"].clone())),
        );
        let Some(next) = list["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let expected =
        [(1, 200), (3, 200), (2, 500), (1, 500)].map(|(n, status)| (json!(n), json!(status)));
    assert_eq!(seen, expected);
}

/// First attempts are stored in their deliveries, and long or later ones are not.
#[tokio::test]
async fn attempts_in_deliveries_and_others_are_one_list() {
    let long = Reply {
        status: 200,
        headers: vec![("x-long".to_owned(), "a".repeat(5_000))],
        body: vec![],
    };
    let world =
        World::start_answering([reply(500), reply(201), reply(200), Ok(long), reply(202)]).await;
    make(&world, hook("orders")).await;
    let event = async |name: &str| post(&world, json!({ "type": name, "data": {} })).await;
    event("a.b").await;
    world.pass(Duration::from_secs(1)).await;
    event("c.d").await;
    world.pass(Duration::from_mins(2)).await;
    event("e.f").await;
    world.pass(Duration::from_secs(1)).await;
    world.call(Method::POST, "/v1/webhooks/orders/trigger", Value::Null).await;
    world.follow_hints().await;

    let expected = [202, 200, 200, 201, 500].map(|it| json!(it));
    for limit in 1..=6 {
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        loop {
            let path = format!("/v1/webhooks/orders/attempts?limit={limit}{cursor}");
            let list = get(&world, &path).await;
            seen.extend(list["data"].as_array().expect("a list").clone());
            let Some(next) = list["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let statuses: Vec<_> = seen.iter().map(|it| it["response"]["status"].clone()).collect();
        assert_eq!(statuses, expected, "{limit}");
        for attempt in &seen {
            let path = format!("/v1/attempts/{}", attempt["id"].as_str().expect("an id"));
            assert_eq!(get(&world, &path).await, *attempt);
        }
        // The one that was retried.
        let retried = seen[4]["delivery_id"].as_str().expect("an id");
        let path = format!("/v1/attempts?delivery_id={retried}&limit=1");
        let last = get(&world, &path).await;
        let next = last["next_cursor"].as_str().expect("one more");
        let first = get(&world, &format!("{path}&cursor={next}")).await;
        assert_eq!((last["data"][0].clone(), first["data"][0].clone()), {
            let last = seen.iter().find(|it| it["delivery_id"] == retried && it["attempt"] == 2);
            (last.expect("it is listed").clone(), seen[4].clone())
        });
        assert_eq!(first["next_cursor"], Value::Null);
    }
}

#[tokio::test]
async fn both_webhook_secrets_sign_during_the_overlap() {
    let world = World::start().await;
    let old = make(&world, hook("orders")).await["secret"].clone();
    let rotation = json!({ "overlap_seconds": 3_600 });
    let path = "/v1/webhooks/orders/secret/rotate";
    let rotated = world.call(Method::POST, path, rotation).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text());
    let new = rotated.json()["secret"].clone();
    for old_signs in [true, false] {
        world.call(Method::POST, "/v1/webhooks/orders/trigger", Value::Null).await;
        world.follow_hints().await;
        let post = world.posts().pop().expect("the event was delivered");
        let header = |name| post.headers[name].to_str().expect("text");
        let verifies = |secret: &Value| {
            let secret = secret.as_str().expect("text");
            let (id, second) = (header("webhook-id"), header("webhook-timestamp"));
            verify_standard(secret, id, second, &post.body, header("webhook-signature"))
        };
        assert_eq!((verifies(&new), verifies(&old)), (true, old_signs));
        world.system.clock.advance(Duration::from_hours(1));
    }
    for _ in 0..2 {
        let rotated = world.call(Method::POST, path, Value::Null).await;
        assert_eq!(rotated.status, StatusCode::OK);
    }
    let path = "/v1/webhooks/orders/secret/expire-previous";
    let ended = world.call(Method::POST, path, Value::Null).await;
    assert_eq!(
        (ended.status, &ended.json()["previous_expires_at"]),
        (StatusCode::OK, &Value::Null)
    );
}

#[tokio::test]
async fn payload_is_truncated_per_webhook_limit() {
    let world = World::start().await;
    let mut small = hook("small");
    small["max_payload_bytes"] = 8_192.into();
    make(&world, small).await;
    make(&world, hook("usual")).await;
    let event =
        post(&world, json!({ "type": "build.done", "data": { "log": "x".repeat(9_000) } })).await;
    for post in world.posts() {
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        assert_eq!(body["id"], event["id"]);
        if post.url.as_str().ends_with("small") {
            assert_eq!((&body["truncated"], &body["data"]), (&json!(true), &Value::Null));
            let url = body["data_url"].as_str().expect("an address");
            let path = url.split_once("/v1/").map(|it| format!("/v1/{}", it.1)).expect("ours");
            assert_eq!(get(&world, &path).await["data"], event["data"]);
        } else {
            assert_eq!(body["data"], event["data"]);
        }
    }
    assert_eq!(world.posts().len(), 2);
}

#[tokio::test]
async fn webhook_change_applies_to_the_next_attempt() {
    let world = World::start_answering([reply(500)]).await;
    make(&world, hook("old")).await;
    post(&world, json!({ "type": "build.done", "data": {} })).await;
    let moved = json!({ "url": "https://hooks.example.com/new", "auth": { "type": "bearer", "token": "fresh" } });
    assert_eq!(patch(&world, "old", moved).await.status, StatusCode::OK);
    world.pass(Duration::from_secs(10)).await;
    let posts = world.posts();
    let [first, second] = &posts[..] else { panic!("two attempts") };
    assert!(first.url.as_str().ends_with("/old") && second.url.as_str().ends_with("/new"));
    assert_eq!(second.headers["authorization"], "Bearer fresh");
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_eq!(first.body, second.body);
}

/// A webhook's credentials cannot be redirected: they belong to the scheme, host and port that they
/// were set for.
#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let world = World::start().await;
    let mut webhook = hook("orders");
    webhook["headers"] = json!({ "x-team": "payments" });
    webhook["auth"] = json!({ "type": "basic", "username": "ab", "password": "päss" });
    make(&world, webhook).await;
    let sent = async |change: Value| {
        let patched = patch(&world, "orders", change).await;
        assert_eq!(patched.status, StatusCode::OK, "{}", patched.text());
        post(&world, json!({ "type": "build.done", "data": {} })).await;
        let post = world.posts().pop().expect("the event was delivered");
        let header = |name| post.headers.get(name).map(|it| it.to_str().expect("text").to_owned());
        (header("authorization"), header("x-team"))
    };
    let (basic, team) = (Some("Basic YWI6cMOkc3M=".to_owned()), Some("payments".to_owned()));
    let path = json!({ "url": "https://hooks.example.com/moved" });
    assert_eq!(sent(path).await, (basic, team.clone()));
    let replaced = json!({ "auth": { "type": "bearer", "token": "t0ken" } });
    assert_eq!(sent(replaced).await, (Some("Bearer t0ken".to_owned()), team.clone()));
    assert_eq!(sent(json!({ "auth": null })).await, (None, team));
    let along = json!({
        "url": "https://other.example.com/", "auth": { "type": "bearer", "token": "new" },
    });
    assert_eq!(sent(along).await, (Some("Bearer new".to_owned()), None));
    for url in ["https://other.example.com:8443/", "https://third.example.com/"] {
        patch(&world, "orders", json!({ "headers": { "x-team": "a" } })).await;
        assert_eq!(sent(json!({ "url": url })).await, (None, None), "{url}");
    }
}

/// A webhook that is created again under its id is another one.
#[tokio::test]
async fn recreated_webhook_gets_nothing_of_the_deleted_one() {
    let world = World::start_answering([reply(500)]).await;
    make(&world, hook("orders")).await;
    let event =
        post(&world, json!({ "type": "build.done", "data": { "for": "the old one" } })).await;
    world.call(Method::DELETE, "/v1/webhooks/orders", Value::Null).await;
    let mut second = hook("orders");
    second["event_types"] = json!(["invoice.sent"]);
    make(&world, second).await;
    let of_webhook = "/v1/deliveries?webhook_id=orders";
    for path in ["/v1/webhooks/orders/attempts", of_webhook] {
        assert_eq!(get(&world, path).await["data"], json!([]), "{path}");
    }
    let since = json!({ "since": "2025-01-01T00:00:00Z" });
    let recovered = world.call(Method::POST, "/v1/webhooks/orders/recover", since).await;
    assert_eq!(recovered.json()["redelivered"], 0);
    world.pass(Duration::from_hours(24)).await;
    assert_eq!(world.posts().len(), 1, "the old one's delivery is not sent to the new one");
    let path = format!("/v1/deliveries?event_id={}", event["id"].as_str().expect("an id"));
    assert_eq!(get(&world, &path).await["data"][0]["status"], "cancelled");

    post(&world, json!({ "type": "invoice.sent", "data": {} })).await;
    assert_eq!(get(&world, of_webhook).await["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn replays_of_a_deleted_webhook_do_not_show_the_next_one() {
    let world = World::start().await;
    let call = async |path: &str, key: &str, body: Value| {
        let bearer = format!("Bearer {}", world.key);
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
        world.call_with(Method::POST, path, &headers, body).await
    };
    let rotate = "/v1/webhooks/orders/secret/rotate";
    let made = call("/v1/webhooks", "made", hook("orders")).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(call(rotate, "rotated", json!({})).await.status, StatusCode::OK);
    world.call(Method::DELETE, "/v1/webhooks/orders", Value::Null).await;
    let mut second = hook("orders");
    let id = second.as_object_mut().and_then(|it| it.remove("id"));
    assert_eq!(id, Some(json!("orders")));
    let remade = world.call(Method::PUT, "/v1/webhooks/orders", second).await;
    assert_eq!(remade.status, StatusCode::CREATED, "{}", remade.text());
    for (path, key, body) in
        [("/v1/webhooks", "made", hook("orders")), (rotate, "rotated", json!({}))]
    {
        let replayed = call(path, key, body).await;
        assert_eq!(replayed.status, StatusCode::NOT_FOUND, "{}", replayed.text());
        assert_eq!(replayed.headers["idempotency-replayed"], "true");
    }
    let again = call(rotate, "again", json!({})).await;
    assert!(again.json()["secret"].is_string(), "the new one rotates");
    for number in 1..50 {
        let rotated = call(rotate, &format!("number {number}"), json!({})).await;
        let is_full = number > 47;
        let expected = if is_full { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
        assert_eq!(rotated.status, expected, "{number}: {}", rotated.text());
        assert_eq!(rotated.headers.contains_key("retry-after"), is_full);
    }
    assert_eq!(call(rotate, "again", json!({})).await.json().get("secret"), None, "a replay");
}

#[tokio::test]
async fn deleting_a_webhook_cancels_its_deliveries() {
    let world = World::start_answering([reply(500)]).await;
    make(&world, hook("orders")).await;
    let event = post(&world, json!({ "type": "build.done", "data": {} })).await;
    world.call(Method::DELETE, "/v1/webhooks/orders", Value::Null).await;
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(world.posts().len(), 1);
    let path = format!("/v1/deliveries?event_id={}", event["id"].as_str().expect("an id"));
    assert_eq!(get(&world, &path).await["data"][0]["status"], "cancelled");
}

#[tokio::test]
async fn webhook_deliveries_of_a_request_can_be_fetched() {
    let world = World::start().await;
    let mut small = hook("small");
    small["max_payload_bytes"] = 8_192.into();
    small["event_types"] = json!(["request.finished"]);
    make(&world, small).await;
    let people: Vec<String> = (0..20).map(|it| format!("p{it}@example.com")).collect();
    let request = world
        .create(json!({
            "title": "Deploy?",
            "recipients": people,
            "fields": [{ "key": "why", "type": "textarea", "label": "Why" }],
        }))
        .await;
    for row in 0..20 {
        let answer = json!({ "option": "submit", "fields": { "why": "y".repeat(900) } });
        world.answer(&request, row, answer).await;
    }
    world.follow_hints().await;
    let body: Value = serde_json::from_slice(&world.posts()[0].body).expect("JSON");
    assert_eq!(body["truncated"], true);
    let url = body["data_url"].as_str().expect("an address");
    let path = url.split_once("/v1/").map(|it| format!("/v1/{}", it.1)).expect("ours");
    let whole = get(&world, &path).await;
    assert_eq!((&whole["id"], &whole["type"]), (&body["id"], &body["type"]));
    assert_eq!(whole["data"]["responses"].as_array().map(Vec::len), Some(20));
}
