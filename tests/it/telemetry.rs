//! Logs with one object per line and identifiers; metrics in CloudWatch's format; and traces, from
//! the creating call to the callback.

use std::{collections::BTreeSet, time::Duration};

use answerback::{
    domain::{Delivery, OpId, RequestId},
    platform::telemetry::{self, METRICS, NAMESPACE},
    store::{Saved, keys},
};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{World, reply};
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::canaries::Lines;

const STACK: &str = "answerback-test";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn question(more: &Value) -> Value {
    let mut question = json!({
        "title": "Deploy?",
        "options": [{ "value": "yes", "label": "Yes" }, { "value": "no", "label": "No" }],
        "callback_url": "https://hooks.example.com/",
        "timeout_seconds": 3_600,
    });
    for (name, value) in more.as_object().expect("an object") {
        question[name] = value.clone();
    }
    question
}

/// Log lines while `flow` runs.
async fn logged(flow: impl Future<Output = ()>) -> Vec<Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let levels = Targets::new().with_default(LevelFilter::INFO);
    let subscriber = telemetry::json(Some(STACK.to_owned()), levels, move || writer.clone());
    // With a single subscriber, parallel tests decide which lines are recorded.
    let _second = Dispatch::new(NoSubscriber::default());
    let guard = tracing::subscriber::set_default(subscriber);
    flow.await;
    drop(guard);
    let text = lines.text();
    text.lines().map(|it| serde_json::from_str(it).expect("a line is JSON")).collect()
}

/// Creates a request, answers it, and delivers to all receivers.
async fn ask_and_answer(world: &World, more: &Value) -> Value {
    let request = world.create(question(more)).await;
    let answer = world.answer(&request, 0, json!({ "option": "yes" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    world.follow_hints().await;
    request
}

/// Gives up a delivery whose workers died in every attempt.
async fn crash_loop(world: &World) {
    let list = world.call(Method::GET, "/v1/deliveries?limit=1", Value::Null).await.json();
    let id = list["data"][0]["id"].as_str().expect("an id").parse().expect("an id");
    let store = &world.system.store;
    let delivery: Option<Delivery> = store.get(keys::delivery(id)).await.expect("a table");
    let now = world.system.clock.now();
    let again = delivery.and_then(|it| it.redeliver(now, OpId(7))).expect("it is over");
    let saved = store.save(&Delivery { starts: 100, ..again }).await.expect("a table");
    assert!(matches!(saved, Saved::Saved));
    world.system.sweep().await;
    world.follow_hints().await;
}

/// Triggers every metric.
async fn everything() {
    let callback = |more: Value| json!({ "callback": more });
    let world = World::start_answering((0..7).map(|_| reply(503))).await;
    // One retry: it fails twice and is dead-lettered.
    ask_and_answer(&world, &callback(json!({ "retry": { "delays_seconds": [1] } }))).await;
    world.pass(Duration::from_secs(5)).await;
    // Without retries: five failures in a row open the breaker.
    for _ in 0..4 {
        ask_and_answer(&world, &callback(json!({ "profile": "ping" }))).await;
    }
    world.pass(Duration::from_mins(2)).await;
    world.create(question(&json!({ "timeout_seconds": 5, "callback_url": null }))).await;
    let request = world.create(question(&json!({}))).await;
    let path = format!("/v1/requests/{}/cancel", request["id"].as_str().expect("an id"));
    world.call(Method::POST, &path, Value::Null).await;
    world.call(Method::POST, "/v1/requests", json!({})).await;
    world.system.clock.advance(Duration::from_secs(65));
    world.system.sweep().await;
    world.pass(Duration::from_mins(5)).await;

    crash_loop(&world).await;

    let broken = [
        ("pk", AttributeValue::S("req_00000000000000000000000001".to_owned())),
        ("sk", AttributeValue::S("-".to_owned())),
        ("due_shard", AttributeValue::S("3".to_owned())),
        ("due_at", AttributeValue::N("1".to_owned())),
    ];
    let hints = include_str!("../events/hints.json");
    let hints = serde_json::from_str(hints).expect("an event of the queue's");
    let failed = deliver::deliver(&world.system.deliver, hints, None).await;
    assert_eq!(failed.batch_item_failures.len(), 1, "one is no hint");

    let client = world.system.sdk().dynamodb();
    let put = client.put_item().table_name("answerback");
    let broken = broken.map(|(name, value)| (name.to_owned(), value));
    put.set_item(Some(broken.into())).send().await.expect("put");
    for _ in 0..5 {
        world.system.sweep().await;
        world.system.clock.advance(Duration::from_mins(5));
    }
}

#[tokio::test]
async fn metrics_are_counted_in_the_format_of_cloudwatch() {
    let lines = logged(Box::pin(everything())).await;
    let mut seen = BTreeSet::new();
    for line in &lines {
        assert!(line["message"].is_string(), "{line}");
        let Some(emf) = line.get("_aws") else {
            let stray = METRICS.iter().find(|it| line.get(it.name).is_some());
            assert!(stray.is_none(), "it is no metric of CloudWatch's: {line}");
            continue;
        };
        assert!(emf["Timestamp"].is_i64(), "{line}");
        for directive in emf["CloudWatchMetrics"].as_array().expect("a list") {
            assert_eq!(directive["Namespace"], NAMESPACE);
            let [metric] = &directive["Metrics"].as_array().expect("a list")[..] else {
                panic!("one metric each: {line}")
            };
            let name = metric["Name"].as_str().expect("a name");
            let known = METRICS.iter().find(|it| it.name == name).expect("one of ours");
            assert_eq!(metric["Unit"], known.unit);
            assert!(line[name].as_i64().is_some_and(|it| it >= 0), "{name} is a number: {line}");
            let dimensions = &directive["Dimensions"][0];
            assert_eq!(dimensions[0], "Stack");
            assert_eq!(dimensions.get(1).and_then(Value::as_str), known.by);
            for dimension in dimensions.as_array().expect("a list") {
                let value = &line[dimension.as_str().expect("a name")];
                assert!(value.as_str().is_some_and(|it| !it.is_empty()), "{dimension}: {line}");
            }
            seen.insert(name);
        }
    }
    let all: BTreeSet<&str> = METRICS.iter().map(|it| it.name).collect();
    // The only difference is the machine's clock.
    let unseen: Vec<_> = all.difference(&seen).collect();
    assert_eq!(unseen, [&"ClockSkew"]);

    let sum = |name: &str| lines.iter().filter_map(|it| it[name].as_i64()).sum::<i64>();
    let by = |name: &str, value: &str| lines.iter().filter(|it| it[name] == value).count();
    assert_eq!((sum("RequestsCreated"), sum("RequestsFinished")), (7, 7));
    let outcomes = ["completed", "timed_out", "cancelled"].map(|it| by("Outcome", it));
    assert_eq!(outcomes, [5, 1, 1]);
    let results = ["retried", "failed", "delivered"].map(|it| by("Result", it));
    assert_eq!((results, sum("Attempts")), ([1, 5, 0], 6));
    assert_eq!((sum("DeadLetters"), sum("CrashLoops"), sum("BreakerOpenings")), (2, 1, 1));
    let ended = lines.iter().filter(|it| it.get("DeadLetters").is_some()).count();
    assert_eq!(ended, 6, "each delivery that ends counts towards the share");
    assert_eq!((sum("SweepErrors"), sum("Quarantined"), sum("TimeoutLateness")), (5, 1, 60_000));
}

#[tokio::test]
async fn log_lines_have_identifiers_and_no_user_content() {
    let lines = logged(Box::pin(async {
        let world = World::start().await;
        let asked = json!({ "title": "a word that nobody reads in a log" });
        let request = ask_and_answer(&world, &asked).await;
        let list = world.call(Method::GET, "/v1/requests", Value::Null).await;
        assert_eq!(list.status, StatusCode::OK);
        let again = world.answer(&request, 0, json!({ "option": "no" })).await;
        assert_eq!(again.status, StatusCode::CONFLICT);
    }))
    .await;
    let said: Vec<&str> = lines.iter().filter_map(|it| it["message"].as_str()).collect();
    let expected = [
        "created a request",
        "recorded an answer",
        "attempted a delivery",
        "served a call",
        "refused a call",
    ];
    assert_eq!(said, expected);
    for line in &lines {
        let text = line.to_string();
        assert!(!text.contains("nobody reads"), "{text}");
        for name in ["timestamp", "level", "target"] {
            assert!(line[name].is_string(), "{name}: {text}");
        }
        let time = line["timestamp"].as_str().expect("a text").parse::<jiff::Timestamp>();
        assert!(time.is_ok(), "{text}");
    }
    let [created, answered, attempted, served, refused] = &lines[..] else { panic!("five lines") };
    // Who called: with a key, or with a link.
    assert!(created["key"]["id"].as_str().is_some_and(|it| it.starts_with("key_")), "{created}");
    assert_eq!((&served["key"], &served["source_ip"]), (&created["key"], &json!("127.0.0.1")));
    assert_eq!((&served["status"], &answered["key"]), (&json!(200), &Value::Null));
    assert_eq!((&created["method"], &created["route"]), (&json!("POST"), &json!("/v1/requests")));
    assert_eq!(answered["request"], created["request"]);
    assert_eq!(answered["account"], attempted["account"]);
    assert_eq!((&attempted["status"], &attempted["attempt"]), (&json!(200), &json!(1)));
    assert_eq!(refused["route"], "/v1/answers/{token}");
    assert_eq!((&refused["code"], &refused["status"]), (&json!("already_answered"), &json!(409)));
}

#[tokio::test]
async fn callback_continues_the_trace_of_its_request() {
    let given = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let x_ray = format!("Root=1-{}-{};Sampled=0", &TRACE[..8], &TRACE[8..]);
    let other = format!("Root=1-{}-{}", "0".repeat(8), "1".repeat(24));
    for (headers, flags) in [
        (vec![("traceparent", &*given)], "01"),
        (vec![("x-amzn-trace-id", &*x_ray)], "00"),
        (vec![("x-amzn-trace-id", &*other), ("traceparent", &*given)], "01"),
    ] {
        let world = World::start_answering([reply(503)]).await;
        let body = question(&json!({}));
        let made = world.call_with(Method::POST, "/v1/requests", &headers, body).await.json();
        world.answer(&made, 0, json!({ "option": "yes" })).await;
        world.pass(Duration::from_secs(10)).await;
        let traces = traces(&world);
        assert_eq!(traces.len(), 2);
        for trace in &traces {
            assert_eq!((&*trace.0, &*trace.2), (TRACE, flags));
        }
        assert_ne!(traces[0].1, traces[1].1, "each attempt is a span");
    }
}

#[tokio::test]
async fn event_continues_the_trace_of_its_call() {
    let world = World::start().await;
    let given = format!("00-{TRACE}-00f067aa0ba902b7-00");
    let body = json!({
        "type": "deploy.done", "data": {}, "callback_url": "https://hooks.example.com/",
    });
    world.call_with(Method::POST, "/v1/events", &[("traceparent", &given)], body).await;
    world.follow_hints().await;
    assert_eq!(traces(&world)[0].0, TRACE);
}

#[tokio::test]
async fn untraced_request_sends_no_traceparent_but_logs_a_trace() {
    let world = World::start().await;
    let events = ["request.answered", "request.finished"];
    let asked = json!({ "callback": { "events": events } });
    // An invalid or unsampled trace is no reason to refuse a request.
    let open = format!("Root=1-{}-{}", &TRACE[..8], &TRACE[8..]);
    let wrong = [("traceparent", "00-wrong"), ("x-amzn-trace-id", open.as_str())];
    let body = question(&asked);
    let request = world.call_with(Method::POST, "/v1/requests", &wrong, body).await.json();
    let lines = logged(Box::pin(async {
        world.answer(&request, 0, json!({ "option": "yes" })).await;
        world.follow_hints().await;
    }))
    .await;
    assert_eq!(world.posts().len(), 2);
    assert!(world.posts().iter().all(|it| !it.headers.contains_key("traceparent")));
    let id: RequestId = request["id"].as_str().expect("an id").parse().expect("one");
    let attempts = lines.iter().filter(|it| it["message"] == "attempted a delivery");
    let noted: Vec<&Value> = attempts.map(|it| &it["trace"]["id"]).collect();
    assert_eq!(noted, vec![&format!("{:032x}", id.bits()); 2]);
}

/// The traces, spans and flags of all posts.
fn traces(world: &World) -> Vec<(String, String, String)> {
    let read = |it: &answerback::egress::Post| {
        let text = it.headers["traceparent"].to_str().expect("ASCII").to_owned();
        let parts: Vec<&str> = text.split('-').collect();
        let ["00", trace, span, flags] = parts[..] else { panic!("no traceparent: {text}") };
        (trace.to_owned(), span.to_owned(), flags.to_owned())
    };
    world.posts().iter().map(read).collect()
}
