//! DynamoDB calls and capacity units of one request.

mod hottest;
mod units;

use std::time::Duration;

use answerback::store::Saved;
use aws_sdk_dynamodb::config::SharedInterceptor;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{
    Setup, World,
    meter::{Line, Meter},
    reply,
};

/// A world with a metered table, after a first call that fills the cache of keys.
async fn metered(bus: bool) -> (World, Meter) {
    let meter = Meter::default();
    let bus = bus.then(|| "events".to_owned());
    let setup =
        Setup { watchers: vec![SharedInterceptor::new(meter.clone())], bus, ..<_>::default() };
    let world = World::start_with(setup).await;
    let list = world.call(Method::GET, "/v1/requests", Value::Null).await;
    assert_eq!(list.status, StatusCode::OK);
    meter.take();
    (world, meter)
}

/// A question of ordinary size with this many recipients.
fn question(n_recipients: usize) -> Value {
    let recipients: Vec<_> =
        (0..n_recipients).map(|it| format!("recipient-{it}@example.com")).collect();
    json!({
        "title": "Deploy v2.4.1 to production?",
        "body": "All checks have passed. ".repeat(8),
        "recipients": recipients,
        "options": [
            { "value": "approve", "label": "Approve" },
            { "value": "reject", "label": "Reject" },
        ],
        "callback_url": "https://hooks.example.com/answerback",
        "external_reference_id": "deploy-v2.4.1",
    })
}

async fn approve(world: &World, request: &Value, recipient: usize) {
    let answer = world.answer(request, recipient, json!({ "option": "approve" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

#[tokio::test]
async fn request_and_each_answer_cost_one_write() {
    for bus in [false, true] {
        let (world, meter) = metered(bus).await;
        let mut asked = question(3);
        asked["callback"] = json!({
            "events": ["request.created", "request.answered", "request.finished"],
        });
        let request = world.create(asked).await;
        assert_eq!(meter.take().writes().n_calls, 1);
        for recipient in 0..3 {
            approve(&world, &request, recipient).await;
            assert_eq!(meter.take().writes().n_calls, 1, "{recipient}");
        }
        let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
        world.call(Method::GET, &path, Value::Null).await;
        world.call(Method::GET, &format!("{path}/result"), Value::Null).await;
        world.call(Method::GET, "/v1/requests", Value::Null).await;
        world.call(Method::GET, "/v1/deliveries", Value::Null).await;
        assert_eq!(meter.take().writes().n_calls, 0, "reads cost no write");
    }
}

#[tokio::test]
async fn dispatch_costs_one_write_per_event_and_target_and_one_more() {
    for (bus, events, n_events, n_targets) in [
        (false, json!(["request.finished"]), 1, 1),
        (true, json!(["request.finished"]), 1, 2),
        (true, json!(["request.answered", "request.finished"]), 2, 3),
    ] {
        let (world, meter) = metered(bus).await;
        let mut asked = question(1);
        asked["callback"] = json!({ "events": events });
        let request = world.create(asked).await;
        world.follow_hints().await;
        approve(&world, &request, 0).await;
        meter.take();
        world.follow_hints().await;
        let writes = meter.take().writes().n_calls;
        assert_eq!(writes, n_events + n_targets + 1, "{bus} {events}");
        let list = world.call(Method::GET, "/v1/deliveries?status=delivered", Value::Null).await;
        let n_deliveries = u32::from(bus) + n_targets;
        assert_eq!(
            list.json()["data"].as_array().map(Vec::len),
            usize::try_from(n_deliveries).ok()
        );
    }
}

#[tokio::test]
async fn ten_hints_for_one_request_cost_as_much_as_one() {
    let (world, meter) = metered(false).await;
    let mut asked = question(10);
    asked["callback"] = json!({ "events": ["request.answered"] });
    let request = world.create(asked).await;
    for recipient in 0..10 {
        approve(&world, &request, recipient).await;
    }
    meter.take();
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 10);
    assert_eq!(meter.take().writes().n_calls, 1 + 10 + 10);
}

#[tokio::test]
async fn retry_costs_three_writes_timeout_and_breaker_one_each() {
    let (world, meter) = metered(false).await;
    world.egress.script().answer(reply(500));
    let mut asked = question(1);
    asked["timeout_seconds"] = 5.into();
    world.create(asked).await;
    meter.take();
    world.pass(Duration::from_secs(8)).await;
    assert_eq!(world.posts().len(), 1);
    let first = meter.take().writes().n_calls;
    assert_eq!(first, 1 + 3 + 1, "the time-out, the first attempt, and that it failed");
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(world.posts().len(), 2);
    let second = meter.take().writes().n_calls;
    assert_eq!(second, 3 + 1, "lease, record, end, and that its receiver is back");
    world.system.sweep().await;
    let idle = meter.take();
    assert_eq!(idle.writes().n_calls, 0);
    assert_eq!(idle.reads().n_calls, world.system.store.n_due_shards(), "one query a shard");
}

#[tokio::test]
async fn sweep_costs_grow_with_due_items() {
    let (world, meter) = metered(false).await;
    for _ in 0..10 {
        let mut asked = question(1);
        asked["timeout_seconds"] = 3_600.into();
        world.create(asked).await;
    }
    world.system.clock.advance(Duration::from_secs(3_602));
    meter.take();
    assert_eq!(world.system.sweep().await.n_timed_out, 10);
    assert_eq!(meter.take().writes().n_calls, 10, "the timer stands at now anyway");
    world.follow_hints().await;
    assert_eq!(meter.take().writes().n_calls, 10 * 3);
}

/// The bill of one request's lifecycle: created, answered, called back, read. It is not the first
/// one, for which each function loads the account of the key.
async fn lifecycle(n_recipients: usize) -> (Line, Line) {
    let (world, meter) = metered(false).await;
    live(&world, n_recipients).await;
    meter.take();
    live(&world, n_recipients).await;
    let bill = meter.take();
    (bill.writes(), bill.reads())
}

async fn live(world: &World, n_recipients: usize) {
    live_with(world, question(n_recipients), n_recipients).await;
}

async fn live_with(world: &World, question: Value, n_recipients: usize) {
    let request = world.call_with(Method::POST, "/v1/requests", &[TRACE], question).await;
    assert_eq!(request.status, StatusCode::CREATED, "{}", request.text());
    let request = request.json();
    for recipient in 0..n_recipients {
        approve(world, &request, recipient).await;
    }
    world.follow_hints().await;
    let path = format!("/v1/requests/{}/result", request["id"].as_str().expect("an id"));
    let result = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(result["callback_status"], "delivered");
}

/// The header that Lambda's own tracing adds to a call.
const TRACE: (&str, &str) =
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the table of costs is printed")]
async fn request_lifecycle_has_its_price() {
    println!("recipients | writes               | reads");
    let mut prices = Vec::new();
    for n_recipients in [1, 2, 5, 10] {
        let (writes, reads) = lifecycle(n_recipients).await;
        println!("{n_recipients:>10} | {writes} | {reads}");
        let n_answers = u32::try_from(n_recipients).expect("few");
        assert_eq!(writes.n_calls, 1 + n_answers + 3);
        prices.push((n_recipients, writes.units, reads.units));
    }
    let expected = [(1, 11.0, 5.0), (2, 12.0, 6.0), (5, 15.0, 9.0), (10, 21.0, 14.0)];
    assert_eq!(prices, expected);
}

/// The price of a hundred answers, by the length of the question.
#[tokio::test]
async fn hundred_recipients_have_their_price() {
    let mut prices = Vec::new();
    for n_chars in [200, 10_000] {
        let (world, meter) = metered(false).await;
        let ask = || {
            let mut asked = question(100);
            asked["body"] = prose(n_chars).into();
            asked
        };
        live_with(&world, ask(), 100).await;
        meter.take();
        live_with(&world, ask(), 100).await;
        let bill = meter.take();
        prices.push((n_chars, bill.writes().units));
    }
    assert_eq!(prices, [(200, 200.0), (10_000, 163.0)]);
}

/// The price of messages: to each recipient, by an incoming webhook, before the first answers.
#[tokio::test]
async fn messages_have_their_price() {
    let mut prices = Vec::new();
    for n_recipients in [1, 2, 10] {
        let (world, meter) = metered(false).await;
        let notifier = json!({
            "kind": "incoming_webhook", "default": true,
            "settings": { "url": "https://chat.example.com/s/path", "format": "slack" },
        });
        let made = world.call(Method::POST, "/v1/notifiers", notifier).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let told = async |notify: &str| {
            let mut asked = question(n_recipients);
            asked["notify"] = notify.into();
            let request = world.call_with(Method::POST, "/v1/requests", &[TRACE], asked).await;
            assert_eq!(request.status, StatusCode::CREATED, "{}", request.text());
            world.follow_hints().await;
            meter.take().writes().units
        };
        for notify in ["default", "none"] {
            told(notify).await;
        }
        let (with, without) = (told("default").await, told("none").await);
        prices.push((n_recipients, without, with));
        assert_eq!(world.posts().len(), 2 * n_recipients);
    }
    assert_eq!(prices, [(1, 3.0, 9.0), (2, 3.0, 10.0), (10, 3.0, 18.0)]);
}

/// A text of a few words in no order.
fn prose(n_chars: usize) -> String {
    let words = ["all", "checks", "have", "passed", "deploy", "release", "until", "noon", "review"];
    let mut seed = 7_u32;
    let mut text = String::new();
    while text.len() < n_chars {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += words[usize::try_from(seed >> 16).expect("16 bits") % words.len()];
        text += if seed >> 30 == 0 { ". " } else { " " };
    }
    text.truncate(n_chars);
    text
}

/// Creates webhooks that get events of the type `job.failed`, on different paths of one host.
async fn subscribe(world: &World, n_webhooks: usize) {
    for number in 0..n_webhooks {
        let hook = json!({
            "id": format!("hook-{number}"), "event_types": ["job.failed"],
            "url": format!("https://hooks.example.com/{number}"),
        });
        let made = world.call(Method::POST, "/v1/webhooks", hook).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    }
}

/// Posts an event of this type, and delivers it.
async fn post_event(world: &World) {
    let data = json!({ "executionId": "x", "status": "failed" });
    let event = json!({ "type": "job.failed", "data": data });
    let made = world.call_with(Method::POST, "/v1/events", &[TRACE], event).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.text());
    world.follow_hints().await;
}

#[tokio::test]
async fn posted_event_has_its_price() {
    let mut prices = Vec::new();
    for n_webhooks in [0, 1, 10, 50] {
        let (world, meter) = metered(false).await;
        subscribe(&world, n_webhooks).await;
        let post = async || post_event(&world).await;
        post().await;
        meter.take();
        post().await;
        let bill = meter.take();
        let (writes, reads) = (bill.writes(), bill.reads());
        prices.push((n_webhooks, writes.units, writes.n_calls + reads.n_calls));
        assert_eq!(world.posts().len(), 2 * n_webhooks);
    }
    assert_eq!(prices, [(0, 2.0, 2), (1, 9.0, 7), (10, 36.0, 16), (50, 156.0, 56)]);
}

#[tokio::test]
async fn only_rate_limited_keys_cost_a_write_per_call() {
    let (world, meter) = metered(false).await;
    let body = json!({ "scopes": ["requests:read"], "rate_limit_per_minute": 3 });
    let limited = world.call(Method::POST, "/v1/keys", body).await.json();
    let limited = format!("Bearer {}", limited["key"].as_str().expect("a key"));
    let look = async |headers: &[(&str, &str)]| {
        meter.take();
        world.call_with(Method::GET, "/v1/requests", headers, Value::Null).await;
        let bill = meter.take();
        (bill.writes().n_calls, bill.reads().n_calls)
    };
    assert_eq!(look(&[]).await, (0, 1), "the list");
    let headers = [("authorization", limited.as_str())];
    assert_eq!(look(&headers).await, (1, 2), "counted; the key itself is read for the first time");
    for expected in [(1, 1), (1, 1), (1, 0), (0, 0), (0, 0)] {
        assert_eq!(look(&headers).await, expected, "repeated refusals are free");
    }
}

#[tokio::test]
async fn pending_cap_costs_a_query_now_and_then_and_no_write() {
    let mut units = Vec::new();
    for cap in [None, Some(3), Some(10_000)] {
        let (world, meter) = metered(false).await;
        let account = world.account.cap(cap);
        if let Some(account) = &account {
            let saved = world.system.store.save(account).await.expect("written");
            assert!(matches!(saved, Saved::Saved));
        }
        meter.take();
        world.create(question(1)).await;
        let n_reads = meter.take().reads().n_calls;
        assert_eq!(n_reads, 3 + u32::from(cap.is_some()), "who, whose, webhooks");
        if cap == Some(10_000) {
            for _ in 0..600 {
                world.create(question(1)).await;
            }
            let counted = meter.take().reads();
            assert_eq!(counted.n_calls, 3, "600 of 10,000 leave room for many: {counted:?}");
            assert!(counted.units < 60.0, "a tenth of a unit for each: {counted:?}");
            world.system.clock.advance(Duration::from_secs(5));
            world.create(question(1)).await;
            let counted = meter.take().reads();
            assert_eq!(
                counted.n_calls, 4,
                "they are counted again; key, account and webhooks are read: {counted:?}"
            );
            assert!((5.0..20.0).contains(&counted.units), "602 rows: {counted:?}");
        }
        let request = world.create(question(1)).await;
        let made = meter.take();
        assert_eq!(made.writes().n_calls, 1);
        assert_eq!(made.reads().n_calls, u32::from(cap == Some(3)), "near the cap");
        approve(&world, &request, 0).await;
        let ended = meter.take();
        assert_eq!(ended.writes().n_calls, 1, "its capacity is freed");
        units.push((made.writes().units, ended.writes().units));
    }
    let [without, with, _] = units[..] else { panic!("all") };
    assert_eq!((with.0 - without.0, with.1 - without.1), (1.0, 1.0), "its row, added and removed");
}

/// A page of deliveries reads the account, each of its shards, and the deliveries.
#[tokio::test]
async fn list_of_deliveries_has_its_price() {
    let (world, meter) = metered(false).await;
    subscribe(&world, 50).await;
    let list = async |query: &str| {
        meter.take();
        let list = world.call(Method::GET, &format!("/v1/deliveries?{query}"), Value::Null).await;
        let n_shown = list.json()["data"].as_array().map_or(0, Vec::len);
        let reads = meter.take().reads();
        (n_shown, reads.n_calls, reads.units)
    };
    assert_eq!(list("").await, (0, 6, 3.5), "one unit, and half a unit for each of five shards");
    for _ in 0..4 {
        post_event(&world).await;
        world.system.clock.advance(Duration::from_millis(1));
    }
    let prices = [list("").await, list("limit=100").await];
    assert_eq!(prices, [(20, 7, 23.5), (100, 10, 106.0)]);
}
