//! Settling at the deadline: to the second by a hint, and by the sweep if hints are lost.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, SharedInterceptor,
        interceptors::BeforeSerializationInterceptorContextRef,
    },
    error::BoxError,
    operation::{get_item::GetItemInput, put_item::PutItemInput},
    types::AttributeValue,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use axum::http::{Method, StatusCode};
use local::system::HINTS;
use serde_json::{Value, json};
use system_tests::{START, Setup, World};

/// A question to two people, with a callback.
fn question(timeout_seconds: u32) -> Value {
    json!({
        "title": "Deploy?",
        "recipients": ["a@example.com", "b@example.com"],
        "options": [
            { "value": "approve", "label": "Approve" },
            { "value": "reject", "label": "Reject" },
        ],
        "timeout_seconds": timeout_seconds,
        "callback_url": "https://hooks.example.com/",
    })
}

async fn shown(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::GET, &path, Value::Null).await.json()
}

/// The times of callbacks, in seconds since the start of the test.
fn called_back_at(world: &World) -> Vec<i64> {
    let second = |post: &answerback::egress::Post| {
        let second = post.headers["webhook-timestamp"].to_str().expect("ASCII");
        second.parse::<i64>().expect("a number") - START
    };
    world.posts().iter().map(second).collect()
}

#[tokio::test]
async fn deadline_within_15_minutes_is_settled_to_the_second() {
    for timeout_seconds in [5, 898] {
        let world = World::start().await;
        let request = world.create(question(timeout_seconds)).await;
        world.answer(&request, 0, json!({ "option": "approve" })).await;
        world.pass(Duration::from_secs(u64::from(timeout_seconds) + 10)).await;
        let [second] = called_back_at(&world).try_into().expect("one callback");
        let after = second - i64::from(timeout_seconds);
        assert!((2..=3).contains(&after), "{after}");

        let told: Value = serde_json::from_slice(&world.posts()[0].body).expect("JSON");
        let data = &told["data"];
        assert_eq!(data["outcome"], "timed_out");
        assert_eq!(data["decided_by"], "deadline_policy");
        assert_eq!(data["decision"], Value::Null);
        assert_eq!(data["finished_at"], request["deadline"]);
        assert_eq!(data["responses"][0]["option"], "approve");
        assert_eq!(data["responses"][0]["expired"], false);
        assert_eq!(data["responses"][1]["expired"], true);
        assert_eq!(world.system.sweep().await, sweep::Swept::default(), "nothing is left to do");
    }
}

#[tokio::test]
async fn later_deadline_is_settled_by_the_sweep() {
    let world = World::start().await;
    let request = world.create(question(899)).await;
    assert!(world.system.aws.queue().peek(HINTS).await.expect("a queue").is_empty());
    world.system.clock.advance(Duration::from_millis(900_999));
    assert_eq!(world.system.sweep().await, sweep::Swept::default(), "not before the guard band");
    world.system.clock.advance(Duration::from_millis(1));
    let swept = world.system.sweep().await;
    assert_eq!((swept.n_timed_out, swept.n_hinted, swept.n_errors), (1, 1, 0));
    assert_eq!(world.posts().len(), 0, "the sweep calls nobody itself");
    world.follow_hints().await;
    assert_eq!(called_back_at(&world), [901]);
    assert_eq!(shown(&world, &request).await["finished_at"], request["deadline"]);
}

#[tokio::test]
async fn sweep_settles_requests_without_a_queue() {
    let world = World::start_with(Setup { has_queue: false, ..<_>::default() }).await;
    let request = world.create(question(5)).await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    world.pass(Duration::from_mins(1)).await;
    assert_eq!(world.posts().len(), 0);
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(called_back_at(&world), [60]);
    let shown = shown(&world, &request).await;
    assert_eq!(shown["outcome"], "timed_out");
    assert_eq!(shown["callback"]["status"], "delivered");
    for _ in 0..10 {
        world.pass(Duration::from_mins(1)).await;
        world.system.sweep().await;
    }
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1);
}

#[tokio::test]
async fn first_reader_settles_and_one_callback_is_sent() {
    let world = World::start_with(Setup { has_queue: false, ..<_>::default() }).await;
    let request = world.create(question(5)).await;
    world.system.clock.advance(Duration::from_secs(7));
    let settled = shown(&world, &request).await;
    assert_eq!(settled["outcome"], "timed_out");
    assert_eq!(settled["finished_at"], request["deadline"]);
    world.system.clock.advance(Duration::from_mins(1));
    let swept = world.system.sweep().await;
    assert_eq!((swept.n_timed_out, swept.n_hinted), (0, 1));
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1);
}

#[tokio::test]
async fn policy_decides_for_recipients_without_an_answer() {
    let world = World::start().await;
    let mut asked = question(5);
    asked["on_deadline"] = json!({ "kind": "default", "option": "reject" });
    let request = world.create(asked).await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    world.pass(Duration::from_secs(10)).await;
    let shown = shown(&world, &request).await;
    assert_eq!(shown["outcome"], "defaulted");
    assert_eq!(shown["decided_by"], "deadline_policy");
    assert_eq!(shown["decision"], "reject");
    assert_eq!(shown["responses"][0]["option"], "approve");
    assert_eq!(shown["responses"][1]["option"], Value::Null);
    assert_eq!(shown["responses"][1]["expired"], true);
}

#[tokio::test]
async fn poll_is_settled_at_its_deadline_and_not_before() {
    let cases = [
        (json!("all"), vec!["approve", "approve"], "completed", json!("approve")),
        (json!("all"), vec!["approve", "reject"], "completed", Value::Null),
        (json!("all"), vec!["approve"], "timed_out", Value::Null),
        (json!("any"), vec!["reject"], "completed", json!("reject")),
        (json!({ "count": "all", "veto": ["reject"] }), vec!["reject"], "vetoed", json!("reject")),
        (json!({ "count": 2, "option": "approve" }), vec!["reject"], "not_met", json!("reject")),
    ];
    for (quorum, options, outcome, decision) in cases {
        let world = World::start().await;
        let mut asked = question(5);
        asked["mode"] = "on_timeout".into();
        asked["quorum"] = quorum.clone();
        let request = world.create(asked).await;
        for (row, option) in options.iter().enumerate() {
            let answer = world.answer(&request, row, json!({ "option": option })).await;
            assert_eq!(answer.json()["status"], "pending", "{quorum} {options:?}");
        }
        world.pass(Duration::from_secs(10)).await;
        let shown = shown(&world, &request).await;
        assert_eq!(shown["outcome"], outcome, "{quorum} {options:?}");
        assert_eq!(shown["decision"], decision, "{quorum} {options:?}");
        assert_eq!(shown["finished_at"], request["deadline"]);
        assert_eq!(shown["responses"][1]["expired"], options.len() < 2);
        assert_eq!(world.posts().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_sweeps_settle_each_request_once() {
    let world = World::start_with(Setup { has_queue: false, ..<_>::default() }).await;
    for _ in 0..20 {
        world.create(question(5)).await;
    }
    world.system.clock.advance(Duration::from_secs(7));
    let sweeps = (0..5).map(|_| world.system.sweep());
    let mut n_timed_out = 0;
    for swept in futures::future::join_all(sweeps).await {
        n_timed_out += swept.n_timed_out;
        assert_eq!((swept.n_errors, swept.n_left), (0, 0));
    }
    assert_eq!(n_timed_out, 20);
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 20);
}

#[tokio::test]
async fn broken_item_is_quarantined_and_others_proceed() {
    let world = World::start().await;
    let client = world.system.sdk().dynamodb();
    let n_shards = world.system.store.n_due_shards();
    for shard in 0..n_shards {
        let broken = [
            (format!("req_{shard:026}"), "-".to_owned()),
            (format!("evt_{:026}", 0), format!("dlv#0000000#{shard:016x}")),
        ];
        for (pk, sk) in broken {
            let text = |it: String| AttributeValue::S(it);
            let item = HashMap::from([
                ("pk".to_owned(), text(pk)),
                ("sk".to_owned(), text(sk)),
                ("due_shard".to_owned(), text(shard.to_string())),
                ("due_at".to_owned(), AttributeValue::N("1".to_owned())),
            ]);
            client
                .put_item()
                .table_name("answerback")
                .set_item(Some(item))
                .send()
                .await
                .expect("put");
        }
    }
    let n_broken = 2 * n_shards;
    let request = world.create(question(3_600)).await;
    world.system.clock.advance(Duration::from_secs(3_602));
    let swept = world.system.sweep().await;
    assert_eq!((swept.n_timed_out, swept.n_errors, swept.n_quarantined), (1, n_broken, 0));
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1);
    let at_once = world.system.sweep().await;
    assert_eq!(at_once.n_errors, 0, "the item is postponed");
    for try_ in 2..=5 {
        world.system.clock.advance(Duration::from_mins(5));
        let swept = world.system.sweep().await;
        assert_eq!(swept.n_errors, n_broken, "{try_}");
        assert_eq!(swept.n_quarantined, if try_ == 5 { n_broken } else { 0 }, "{try_}");
    }
    world.system.clock.advance(Duration::from_hours(1));
    assert_eq!(world.system.sweep().await, sweep::Swept::default());
    assert_eq!(shown(&world, &request).await["callback"]["status"], "delivered");
}

#[tokio::test]
async fn sweep_out_of_time_leaves_the_rest_to_the_next_sweep() {
    let world = World::start().await;
    for _ in 0..30 {
        world.create(question(5)).await;
    }
    world.system.clock.advance(Duration::from_secs(7));
    let now = world.system.clock.now();
    let cut_off = sweep::sweep(&world.system.sweep, Some(now + Duration::from_secs(3))).await;
    assert_eq!(cut_off, sweep::Swept { n_left: 30, ..<_>::default() });
    let silent = sweep::sweep(&world.system.sweep, Some(now + Duration::from_secs(1))).await;
    let n_left = world.system.store.n_due_shards();
    let unknown = sweep::Swept { n_left, ..<_>::default() };
    assert_eq!(silent, unknown, "no time is left to count");
    let swept = world.system.sweep().await;
    assert_eq!((swept.n_timed_out, swept.n_left), (30, 0));
}

/// Fails all reads while it is on.
#[derive(Clone, Debug, Default)]
struct Outage(Arc<AtomicBool>);

#[dyn_dispatch_hint]
impl Intercept for Outage {
    fn name(&self) -> &'static str {
        "Outage"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_read = context.input().downcast_ref::<GetItemInput>().is_some();
        if is_read && self.0.load(Ordering::SeqCst) { Err("an outage".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn outage_quarantines_nothing() {
    let outage = Outage::default();
    let watchers = vec![SharedInterceptor::new(outage.clone())];
    let world = World::start_with(Setup { watchers, ..<_>::default() }).await;
    world.create(question(3_600)).await;
    world.system.clock.advance(Duration::from_secs(3_602));
    outage.0.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(world.system.sweep().await, sweep::Swept { n_errors: 1, ..<_>::default() });
        world.system.clock.advance(Duration::from_mins(1));
    }
    outage.0.store(false, Ordering::SeqCst);
    assert_eq!(world.system.sweep().await.n_timed_out, 1);
}

/// Fails all writes of new deliveries while it is on.
#[derive(Clone, Debug, Default)]
struct DeliveriesFail(Arc<AtomicBool>);

#[dyn_dispatch_hint]
impl Intercept for DeliveriesFail {
    fn name(&self) -> &'static str {
        "DeliveriesFail"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let item = context.input().downcast_ref::<PutItemInput>().and_then(PutItemInput::item);
        let sk = item.and_then(|it| it["sk"].as_s().ok());
        let is_delivery = sk.is_some_and(|it| it.starts_with("dlv#"));
        if is_delivery && self.0.load(Ordering::SeqCst) { Err("throttled".into()) } else { Ok(()) }
    }
}

/// A worker that comes late stores before it attempts, so its claim keeps no other worker from the event.
#[tokio::test]
async fn late_worker_that_failed_delays_no_other() {
    let failing = DeliveriesFail::default();
    let watchers = vec![SharedInterceptor::new(failing.clone())];
    let world = World::start_with(Setup { watchers, ..<_>::default() }).await;
    let request = world.create(question(3_600)).await;
    for recipient in [0, 1] {
        world.answer(&request, recipient, json!({ "option": "approve" })).await;
    }
    world.system.clock.advance(Duration::from_secs(20));
    failing.0.store(true, Ordering::SeqCst);
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 0, "it is not stored");
    failing.0.store(false, Ordering::SeqCst);
    world.system.clock.advance(Duration::from_secs(40));
    assert_eq!(world.system.sweep().await.n_hinted, 1);
    world.follow_hints().await;
    assert_eq!(called_back_at(&world), [60]);
    assert_eq!(world.posts()[0].headers["answerback-attempt"], "1");
}

#[tokio::test]
async fn cancellation_callback_is_sent_once_if_subscribed() {
    let world = World::start().await;
    let mut asked = question(60);
    asked["callback"] = json!({ "events": ["request.finished", "request.cancelled"] });
    let request = world.create(asked).await;
    let path = format!("/v1/requests/{}/cancel", request["id"].as_str().expect("an id"));
    for wrong in ["x".repeat(501), " \u{200b}".to_owned()] {
        let refused = world.call(Method::POST, &path, json!({ "reason": wrong })).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    }
    let reason = json!({ "reason": "The build failed." });
    let cancelled = world.call(Method::POST, &path, reason).await;
    assert_eq!(cancelled.status, StatusCode::OK);
    assert_eq!(cancelled.json()["outcome"], "cancelled");
    assert_eq!(cancelled.json()["cancel_reason"], "The build failed.");
    let again = world.call(Method::POST, &path, Value::Null).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "already_finished"));
    assert_eq!(again.json()["outcome"], "cancelled");
    world.pass(Duration::from_mins(2)).await;
    let [post] = world.posts().try_into().expect("one callback");
    let told: Value = serde_json::from_slice(&post.body).expect("JSON");
    assert_eq!(told["type"], "request.cancelled");
    assert_eq!(told["data"]["decided_by"], "sender");
    assert_eq!(told["data"]["cancel_reason"], "The build failed.");
}
