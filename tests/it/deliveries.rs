//! Retries of a callback, the record of its attempts, and redelivery.

mod crashes;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use answerback::egress::{Failure, FailureKind, Reply};
use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, SharedInterceptor,
        interceptors::{
            BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
        },
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use axum::http::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{START, Setup, World, reply};

/// A question to an anonymous recipient, with a callback.
fn question(callback: &Value) -> Value {
    json!({
        "title": "Deploy?",
        "options": [{ "value": "approve", "label": "Approve" }],
        "callback_url": "https://hooks.example.com/answerback",
        "callback": callback,
    })
}

/// An answered request whose callback was attempted once.
async fn answered(world: &World, question: Value) -> Value {
    let request = world.create(question).await;
    let answer = world.answer(&request, 0, json!({ "option": "approve" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    world.follow_hints().await;
    request
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world.call(Method::GET, path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

/// The only delivery of a request.
async fn delivery_of(world: &World, request: &Value) -> Value {
    let path = format!("/v1/deliveries?request_id={}", request["id"].as_str().expect("an id"));
    let list = get(world, &path).await;
    let [delivery] = list["data"].as_array().expect("a list").as_slice() else {
        panic!("not one delivery: {list}")
    };
    delivery.clone()
}

async fn redeliver(world: &World, delivery: &Value) -> StatusCode {
    let path = format!("/v1/deliveries/{}/redeliver", delivery["id"].as_str().expect("an id"));
    world.call(Method::POST, &path, Value::Null).await.status
}

/// Moves the time to the next attempt of the delivery, which the hint or else the sweep starts.
async fn until_next_attempt(world: &World, delivery: &Value) {
    let due: jiff::Timestamp =
        delivery["next_attempt_at"].as_str().and_then(|it| it.parse().ok()).expect("a time");
    let wait = due.duration_since(world.system.clock.now());
    let n_posts = world.posts().len();
    world.pass(Duration::try_from(wait).unwrap_or_default() + Duration::from_secs(1)).await;
    if world.posts().len() == n_posts {
        // The schedule runs every minute.
        world.system.clock.advance(Duration::from_secs(59));
        world.system.sweep().await;
        world.follow_hints().await;
    }
}

#[tokio::test]
async fn delivery_is_retried_for_three_days_and_then_fails() {
    const DELAYS: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    let world = World::start_answering((0..10).map(|_| reply(500))).await;
    let request = answered(&world, question(&json!({}))).await;
    for _ in DELAYS {
        let delivery = delivery_of(&world, &request).await;
        assert_eq!(delivery["status"], "pending");
        until_next_attempt(&world, &delivery).await;
    }
    let posts = world.posts();
    let at = |post: &answerback::egress::Post| {
        let second = post.headers["webhook-timestamp"].to_str().expect("ASCII");
        second.parse::<i64>().expect("a number") - START
    };
    let times: Vec<i64> = posts.iter().map(at).collect();
    assert_eq!(times.len(), 10);
    let mut is_stretched = false;
    for (pair, delay) in times.windows(2).zip(DELAYS) {
        let gap = pair[1] - pair[0];
        // Jitter of up to a fifth, and up to a minute until the next sweep.
        let slack = if delay > 900 { 61 } else { 2 };
        assert!((delay..=delay * 6 / 5 + slack).contains(&gap), "{gap} s for {delay} s");
        is_stretched |= gap > delay + slack;
    }
    assert!(is_stretched, "the delays have jitter");
    assert!(posts.iter().all(|it| it.headers["webhook-id"] == posts[0].headers["webhook-id"]));
    assert!(posts.iter().all(|it| it.body == posts[0].body));
    let numbers: Vec<_> = posts.iter().map(|it| it.headers["answerback-attempt"].clone()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);

    let delivery = delivery_of(&world, &request).await;
    assert_eq!(delivery["status"], "dead_lettered");
    assert_eq!(delivery["state_reason"], "retries_spent");
    assert_eq!((&delivery["attempts"], &delivery["failures"]), (&json!(10), &json!(10)));
    assert_eq!(delivery["next_attempt_at"], Value::Null);
    world.pass(Duration::from_hours(48)).await;
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 10);

    let id = delivery["id"].as_str().expect("an id");
    let path = format!("/v1/attempts?delivery_id={id}&limit=6");
    let first = get(&world, &path).await;
    let cursor = first["next_cursor"].as_str().expect("more follow");
    let second = get(&world, &format!("{path}&cursor={cursor}")).await;
    let pages = [&first, &second].map(|it| it["data"].as_array().expect("a list").as_slice());
    let numbers: Vec<_> = pages.concat().iter().filter_map(|it| it["attempt"].as_u64()).collect();
    assert_eq!(numbers, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn retry_after_is_followed_within_limits() {
    for (retry_after, second) in [("8", 8), ("3600", 10), ("1", 5), ("later", 5)] {
        let headers = vec![("Retry-After".to_owned(), retry_after.to_owned())];
        let world =
            World::start_answering([Ok(Reply { status: 503, headers, body: vec![] })]).await;
        let retry = json!({ "retry": { "delays_seconds": [5], "jitter": 0 } });
        let request = answered(&world, question(&retry)).await;
        let next = delivery_of(&world, &request).await["next_attempt_at"].clone();
        assert_eq!(next, format!("2026-01-01T00:00:{second:02}.000Z"), "{retry_after}");
    }
}

/// The attempt's record keeps few headers. The delay does not depend on it.
#[tokio::test]
async fn retry_after_is_read_behind_any_headers() {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let many = vec![header("set-cookie", "a=b"); 60];
    let long = vec![header("content-security-policy", &"a".repeat(9_000))];
    for mut headers in [many, long] {
        headers.push(header("retry-after", "8"));
        let world =
            World::start_answering([Ok(Reply { status: 429, headers, body: vec![] })]).await;
        let retry = json!({ "retry": { "delays_seconds": [5], "jitter": 0 } });
        let request = answered(&world, question(&retry)).await;
        let delivery = delivery_of(&world, &request).await;
        assert_eq!(delivery["next_attempt_at"], "2026-01-01T00:00:08.000Z");
        let id = delivery["id"].as_str().expect("an id");
        let attempts = get(&world, &format!("/v1/attempts?delivery_id={id}")).await;
        let kept = attempts["data"][0]["response"]["headers"].to_string();
        assert!(kept.len() < 8_192 && !kept.contains("retry-after"), "{kept}");
    }
}

/// A receiver that has sent its status has decided, whatever becomes of the rest.
#[tokio::test]
async fn status_decides_although_the_response_breaks_off() {
    for (status, ping, expected) in
        [(200, false, "delivered"), (200, true, "delivered"), (500, true, "failed")]
    {
        for kind in [FailureKind::Protocol, FailureKind::Timeout, FailureKind::TooLarge] {
            let reply = Reply { status, headers: Vec::new(), body: b"half".to_vec() };
            let message = "it broke off".to_owned();
            let broken = Failure { kind, message, reply: Some(reply) };
            let world = World::start_answering([Err(broken)]).await;
            let callback = if ping { json!({ "profile": "ping" }) } else { json!({}) };
            let request = answered(&world, question(&callback)).await;
            let delivery = delivery_of(&world, &request).await;
            assert_eq!(delivery["status"], expected, "{status} {kind:?}");
            let id = delivery["id"].as_str().expect("an id");
            let attempts = get(&world, &format!("/v1/attempts?delivery_id={id}")).await;
            assert_eq!(attempts["data"][0]["response"]["status"], status);
        }
    }
}

#[tokio::test]
async fn delivery_is_redelivered_twenty_times_an_hour() {
    let world = World::start().await;
    let request = answered(&world, question(&json!({}))).await;
    let delivery = delivery_of(&world, &request).await;
    let id = delivery["id"].as_str().expect("an id");
    let path = format!("/v1/deliveries/{id}/redeliver");
    for _ in 0..20 {
        assert_eq!(redeliver(&world, &delivery).await, StatusCode::ACCEPTED);
        world.follow_hints().await;
        world.system.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(world.posts().len(), 21);
    let refused = world.call(Method::POST, &path, Value::Null).await;
    assert_eq!(refused.code(), "rate_limited");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 =
        refused.headers["retry-after"].to_str().expect("ASCII").parse().expect("seconds");
    assert_eq!(wait, 40 * 60 + 1);
    world.system.clock.advance(Duration::from_secs(wait));
    assert_eq!(redeliver(&world, &delivery).await, StatusCode::ACCEPTED);
    let other = answered(&world, question(&json!({}))).await;
    let other = delivery_of(&world, &other).await;
    assert_eq!(redeliver(&world, &other).await, StatusCode::ACCEPTED, "another delivery");
}

fn failure(kind: FailureKind) -> Result<Reply, Failure> {
    Err(Failure { kind, message: "the reason".to_owned(), reply: None })
}

#[tokio::test]
async fn permanent_failure_is_not_retried() {
    let name = "https://hooks.example.com/";
    let literal = "https://93.184.215.14/";
    let blocked = || failure(FailureKind::BlockedAddress);
    let cases = [
        ("standard", name, reply(302), "failed", json!("redirect")),
        ("standard", name, reply(410), "failed", json!("gone")),
        ("standard", literal, blocked(), "failed", json!("blocked_address")),
        ("standard", name, blocked(), "pending", Value::Null),
        ("standard", name, reply(404), "pending", Value::Null),
        ("nextks", name, reply(302), "pending", Value::Null),
        ("nextks", name, reply(410), "pending", Value::Null),
        ("nextks", literal, blocked(), "failed", json!("blocked_address")),
        ("nextks", name, blocked(), "pending", Value::Null),
    ];
    for (profile, url, answer, status, reason) in cases {
        let shown = format!("{profile} {url} {answer:?}");
        let world = World::start_answering([answer]).await;
        let mut asked = question(&json!({ "profile": profile }));
        asked["callback_url"] = url.into();
        let request = answered(&world, asked).await;
        let delivery = delivery_of(&world, &request).await;
        assert_eq!(delivery["status"], status, "{shown}");
        assert_eq!(delivery["state_reason"], reason, "{shown}");
        world.pass(Duration::from_mins(10)).await;
        let n_posts = if status == "failed" { 1 } else { 2 };
        assert_eq!(world.posts().len(), n_posts, "{shown}");
    }
}

#[tokio::test]
async fn attempts_record_the_exchange_without_secrets() {
    let body = "x".repeat(4_096);
    let headers = vec![("server".to_owned(), "receiver".to_owned())];
    let said = Reply { status: 500, headers, body: format!("{body}more").into_bytes() };
    let kinds = [
        ("dns", FailureKind::Dns),
        ("blocked_address", FailureKind::BlockedAddress),
        ("connect", FailureKind::Connect),
        ("tls", FailureKind::Tls),
        ("timeout", FailureKind::Timeout),
        ("protocol", FailureKind::Protocol),
        ("too_large", FailureKind::TooLarge),
    ];
    let world = World::start_answering([Ok(said)]).await;
    for (_, kind) in kinds {
        world.egress.script().answer(failure(kind));
    }
    let callback = json!({
        "auth": { "type": "bearer", "token": "s3cr3t-token" },
        "retry": { "delays_seconds": [1, 1, 1, 1, 1, 1, 1, 1], "jitter": 0 },
    });
    let request = answered(&world, question(&callback)).await;
    for _ in 0..10 {
        world.pass(Duration::from_secs(20)).await;
        world.system.sweep().await;
        world.follow_hints().await;
    }
    let sent = world.posts()[0].headers["authorization"].clone();
    assert_eq!(sent, "Bearer s3cr3t-token");
    let delivery = delivery_of(&world, &request).await;
    assert_eq!(delivery["status"], "delivered");
    let id = delivery["id"].as_str().expect("an id");
    let list = get(&world, &format!("/v1/attempts?delivery_id={id}")).await;
    assert!(!list.to_string().contains("s3cr3t"), "{list}");
    let mut data = list["data"].as_array().expect("a list").clone();
    data.reverse();
    assert_eq!(data.len(), 9);

    let path = format!("/v1/attempts/{}", data[0]["id"].as_str().expect("an id"));
    let first = get(&world, &path).await;
    assert_eq!(first, data[0]);
    assert_eq!(first["delivery_id"], id);
    assert_eq!(first["event_id"], delivery["event_id"]);
    assert_eq!(first["request"]["url"], "https://hooks.example.com/answerback");
    assert_eq!(first["request"]["headers"]["authorization"], "***");
    assert_eq!(first["request"]["headers"]["webhook-id"], id);
    let body_sent = String::from_utf8_lossy(&world.posts()[0].body).into_owned();
    assert_eq!(first["request"]["body"], body_sent);
    assert_eq!(first["response"]["status"], 500);
    assert_eq!(first["response"]["headers"]["server"], "receiver");
    assert_eq!(first["response"]["body"], body, "its first 4 KiB");
    assert_eq!(first["error"]["kind"], "status");
    assert_eq!(first["duration_ms"], 0, "the clock stands still");
    for (attempt, (kind, _)) in data[1..].iter().zip(kinds) {
        assert_eq!(attempt["error"], json!({ "kind": kind, "message": "the reason" }));
        assert_eq!(attempt["response"], Value::Null);
    }
    assert_eq!(data[8]["error"], Value::Null);
    assert_eq!(data[8]["response"]["status"], 200);

    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::DELETE, &path, Value::Null).await;
    world.follow_hints().await;
    let erased = get(&world, &format!("/v1/attempts?delivery_id={id}")).await.to_string();
    for gone in ["approve", "hooks.example.com", "receiver", "xxxx"] {
        assert!(!erased.contains(gone), "{gone}");
    }
}

#[tokio::test]
async fn redelivery_keeps_its_id_and_resets_its_retries() {
    let world = World::start_answering((0..3).map(|_| reply(500))).await;
    let retry = json!({ "retry": { "delays_seconds": [1], "jitter": 0 } });
    let request = answered(&world, question(&retry)).await;
    // A delivery that waits for its retry is attempted at once, with all its retries again.
    let waiting = delivery_of(&world, &request).await;
    assert_eq!((&waiting["status"], &waiting["failures"]), (&json!("pending"), &json!(1)));
    assert_eq!(redeliver(&world, &waiting).await, StatusCode::ACCEPTED);
    world.follow_hints().await;
    assert_eq!(delivery_of(&world, &request).await["attempts"], 2);
    world.pass(Duration::from_secs(5)).await;
    let dead = delivery_of(&world, &request).await;
    assert_eq!((&dead["status"], &dead["failures"]), (&json!("dead_lettered"), &json!(2)));

    assert_eq!(redeliver(&world, &dead).await, StatusCode::ACCEPTED);
    world.pass(Duration::from_secs(5)).await;
    let delivered = delivery_of(&world, &request).await;
    assert_eq!((&delivered["status"], &delivered["failures"]), (&json!("delivered"), &json!(0)));
    assert_eq!(delivered["attempts"], 4);
    let posts = world.posts();
    assert!(posts.iter().all(|it| it.headers["webhook-id"] == posts[0].headers["webhook-id"]));
    assert!(posts.iter().all(|it| it.body == posts[0].body));

    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::DELETE, &path, Value::Null).await;
    world.follow_hints().await;
    assert_eq!(redeliver(&world, &delivered).await, StatusCode::CONFLICT);
    let unknown = json!({ "id": "dlv_000000000000000000000000000000000000000001" });
    assert_eq!(redeliver(&world, &unknown).await, StatusCode::NOT_FOUND);
    world.pass(Duration::from_mins(10)).await;
    assert_eq!(world.posts().len(), 4);
}

#[tokio::test]
async fn deliveries_are_filtered_by_status_request_and_event() {
    let world = World::start_answering([reply(410)]).await;
    let failed = answered(&world, question(&json!({}))).await;
    world.system.clock.advance(Duration::from_secs(1));
    let delivered = answered(&world, question(&json!({}))).await;
    let ids = async |query: &str| {
        let list = get(&world, &format!("/v1/deliveries?{query}")).await;
        let data = list["data"].as_array().expect("a list").clone();
        data.iter()
            .map(|it| it["request_id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    let id_of = |it: &Value| it["id"].as_str().expect("an id").to_owned();
    let (failed_id, delivered_id) = (id_of(&failed), id_of(&delivered));
    assert_eq!(ids("").await, [&*delivered_id, &*failed_id]);
    assert_eq!(ids("status=failed").await, [&*failed_id]);
    assert_eq!(ids("status=delivered").await, [&*delivered_id]);
    assert_eq!(ids("status=pending").await, [""; 0]);
    let event = delivery_of(&world, &failed).await["event_id"].as_str().expect("an id").to_owned();
    assert_eq!(ids(&format!("event_id={event}")).await, [&*failed_id]);
    assert_eq!(ids(&format!("event_id={event}&status=delivered")).await, [""; 0]);
    assert_eq!(ids("webhook_id=wh_1").await, [""; 0]);
    let id = delivery_of(&world, &failed).await["id"].as_str().expect("an id").to_owned();
    assert_eq!(get(&world, &format!("/v1/deliveries/{id}")).await["request_id"], failed_id);
    for wrong in ["status=lost", "event_id=1", "request_id=x", "limit=0", "limit=101", "page=2"] {
        let path = format!("/v1/deliveries?{wrong}");
        let refused = world.call(Method::GET, &path, Value::Null).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn delivery_cursor_of_another_account_is_refused() {
    let world = World::start().await;
    let both = json!({ "events": ["request.created", "request.finished"] });
    let request = answered(&world, question(&both)).await;
    let path = format!("/v1/deliveries?limit=1&request_id={}", request["id"].as_str().expect("id"));
    assert_ne!(get(&world, &path).await["next_cursor"], Value::Null);

    let theirs = world.system.make_account().await.expect("an account").key;
    let bearer = format!("Bearer {}", theirs.text.expose_secret());
    let headers = [("authorization", bearer.as_str())];
    let told = world.call_with(Method::GET, &path, &headers, Value::Null).await;
    assert_eq!(told.json(), json!({ "data": [], "next_cursor": null }));
}

#[tokio::test]
async fn long_success_response_completes_the_delivery() {
    let reply = Reply { status: 200, headers: Vec::new(), body: b"<html>".to_vec() };
    let kind = FailureKind::TooLarge;
    let message = "the answer is too large".to_owned();
    let world = World::start_answering([Err(Failure { kind, message, reply: Some(reply) })]).await;
    let request = answered(&world, question(&json!({}))).await;
    let delivery = delivery_of(&world, &request).await;
    assert_eq!(delivery["status"], "delivered");
    let id = delivery["id"].as_str().expect("an id");
    let attempts = get(&world, &format!("/v1/attempts?delivery_id={id}")).await;
    assert_eq!(attempts["data"][0]["error"]["kind"], "too_large");
    assert_eq!(attempts["data"][0]["response"]["status"], 200);
}

/// The beginnings and ends of writes.
#[derive(Clone, Debug, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

impl Writes {
    fn note(&self, config: &ConfigBag, what: &str) {
        let Some(operation) = config.load::<Metadata>().map(Metadata::name) else { return };
        if ["PutItem", "UpdateItem"].contains(&operation) {
            self.0.lock().expect("no holder panics").push(format!("{operation} {what}"));
        }
    }
}

impl Intercept for Writes {
    fn name(&self) -> &'static str {
        "Writes"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.note(config, "begins");
        Ok(())
    }

    fn read_after_transmit(
        &self,
        _: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.note(config, "ends");
        Ok(())
    }
}

/// A caller that sees `delivered` can list the attempt. This one is too long for its delivery.
#[tokio::test]
async fn attempt_is_recorded_before_its_delivery_ends() {
    let writes = Writes::default();
    let watchers = vec![SharedInterceptor::new(writes.clone())];
    let world = World::start_with(Setup { watchers, ..Setup::default() }).await;
    let headers = vec![("x-long".to_owned(), "a".repeat(5_000))];
    world.egress.script().answer(Ok(Reply { status: 200, headers, body: vec![] }));
    let request = world.create(question(&json!({}))).await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    let take = || std::mem::take(&mut *writes.0.lock().expect("no holder panics"));
    take();
    world.follow_hints().await;
    let all = take();
    let is = |wanted: &'static str| move |it: &String| it == wanted;
    assert_eq!(
        all.iter().filter(|it| is("PutItem ends")(it)).count(),
        3,
        "claim, delivery, attempt"
    );
    let recorded = all.iter().rposition(is("PutItem ends"));
    let ended = all.iter().rposition(is("UpdateItem begins"));
    assert!(recorded < ended, "{all:?}");
    let delivery = delivery_of(&world, &request).await;
    let id = delivery["id"].as_str().expect("an id");
    let list = get(&world, &format!("/v1/attempts?delivery_id={id}")).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
}
