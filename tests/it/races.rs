//! Concurrent calls.
//!
//! Callers are spread over threads with several calls in flight each, so they meet in the table
//! like functions on many machines.

mod refused;

use std::{collections::BTreeMap, time::Duration};

use answerback::{domain::Delivery, platform::Hint, store::keys};
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::{Value, json};
use system_tests::World;

/// Number of calling threads.
const THREADS: usize = 4;

/// The results of `n_calls` concurrent calls.
pub(crate) async fn at_once<T: Send + 'static>(
    world: &World,
    n_calls: usize,
    call: impl AsyncFn(&World, usize) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let threads = (0..THREADS).map(|thread| {
        let (world, call) = (world.clone(), call.clone());
        tokio::task::spawn_blocking(move || {
            let calls = (thread..n_calls).step_by(THREADS).map(|number| call(&world, number));
            tokio::runtime::Handle::current().block_on(join_all(calls))
        })
    });
    let done = world.as_time_passes(join_all(threads)).await;
    done.into_iter().flat_map(|it| it.expect("no panic")).collect()
}

/// Number of occurrences of each value.
fn count<T: Ord>(all: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn question(n_recipients: usize) -> Value {
    let recipients: Vec<_> = (0..n_recipients).map(|it| format!("r{it}@example.com")).collect();
    json!({
        "title": "Deploy?",
        "recipients": recipients,
        "options": [
            { "value": "approve", "label": "Approve" },
            { "value": "reject", "label": "Reject" },
        ],
        "callback_url": "https://hooks.example.com/",
        "timeout_seconds": 60,
    })
}

async fn shown(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::GET, &path, Value::Null).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn first_of_200_answers_by_one_recipient_is_recorded() {
    let world = World::start().await;
    let request = world.create(question(1)).await;
    let asked = request.clone();
    let answers = at_once(&world, 200, async move |world, number| {
        let option = if number % 2 == 0 { "approve" } else { "reject" };
        let answer = world.answer(&asked, 0, json!({ "option": option })).await;
        (answer.status.as_u16(), answer.code(), answer.json()["response"].to_string())
    });
    let answers = answers.await;
    let recorded = shown(&world, &request).await["responses"][0].to_string();
    // An equal answer gets the response of the first one.
    let expected = [
        ((200, String::new(), recorded.clone()), 100),
        ((409, "already_answered".to_owned(), recorded), 100),
    ];
    assert_eq!(count(answers), expected.into());
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_answers_are_recorded_or_asked_to_retry() {
    let world = World::start().await;
    // The clock moves on whenever a loser waits, so many of them meet again.
    let mut asked = question(60);
    asked["timeout_seconds"] = json!(3_600);
    let request = world.create(asked).await;
    let asked = request.clone();
    let answers = at_once(&world, 60, async move |world, number| {
        let answer = world.answer(&asked, number, json!({ "option": "approve" })).await;
        let comes_again = answer.headers.contains_key("retry-after");
        (number, answer.status, comes_again)
    });
    let mut answers = answers.await;
    answers.sort_unstable();
    let rows = shown(&world, &request).await["responses"].clone();
    for (number, status, comes_again) in &answers {
        let is_recorded = rows[number]["option"] == "approve";
        let expected = if is_recorded { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!((*status, *comes_again), (expected, !is_recorded), "{number}");
    }
    // Recipients that were turned away try again, and the quorum is met.
    let turned_away = answers.iter().filter(|(_, status, _)| *status != StatusCode::OK);
    for (number, ..) in turned_away {
        let answer = world.answer(&request, *number, json!({ "option": "approve" })).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(shown(&world, &request).await["outcome"], "completed");
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_50_readers_gets_a_read_once_or_leased_result() {
    for (mode, others) in [("once", "already_read"), ("lease", "pending")] {
        let world = World::start().await;
        let mut asked = question(1);
        asked["read"] = json!({ "mode": mode });
        let request = world.create(asked).await;
        world.answer(&request, 0, json!({ "option": "approve" })).await;
        let path = format!("/v1/requests/{}/result", request["id"].as_str().expect("an id"));
        let read = at_once(&world, 50, async move |world, _| {
            let read = world.call(Method::GET, &path, Value::Null).await.json();
            read["status"].as_str().expect("a status").to_owned()
        });
        let expected = [("submitted".to_owned(), 1), (others.to_owned(), 49)];
        assert_eq!(count(read.await), expected.into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_answer_and_cancel_leave_one_outcome() {
    let world = World::start().await;
    for _ in 0..10 {
        let mut asked = question(1);
        asked["callback"] = json!({ "events": ["request.finished", "request.cancelled"] });
        let request = world.create(asked).await;
        let (both, n_posts) = (request.clone(), world.posts().len());
        let ended = at_once(&world, 8, async move |world, number| {
            let path = format!("/v1/requests/{}/cancel", both["id"].as_str().expect("an id"));
            let answer = if number % 2 == 0 {
                world.call(Method::POST, &path, Value::Null).await
            } else {
                world.answer(&both, 0, json!({ "option": "approve" })).await
            };
            (number % 2 == 0, answer.status.as_u16(), answer.json()["outcome"].clone())
        });
        let ended = ended.await;
        let outcome = shown(&world, &request).await["outcome"].clone();
        let is_cancelled = outcome == "cancelled";
        let won: Vec<_> = ended.iter().filter(|(_, status, _)| *status == 200).collect();
        // The answers are equal, so either all of them or one of the cancellations has won.
        assert_eq!(won.len(), if is_cancelled { 1 } else { 4 }, "{ended:?}");
        assert!(won.iter().all(|it| it.0 == is_cancelled), "{ended:?}");
        for (cancels, status, told) in ended.iter().filter(|(_, status, _)| *status != 200) {
            let expected = if *cancels || !is_cancelled { 409 } else { 410 };
            assert_eq!((*status, told), (expected, &outcome), "{ended:?}");
        }
        world.follow_hints().await;
        assert_eq!(world.posts().len(), n_posts + 1);
        let told: Value = serde_json::from_slice(&world.posts()[n_posts].body).expect("JSON");
        assert_eq!(told["data"]["outcome"], outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_settling_at_the_deadline_leaves_one_outcome() {
    let world = World::start().await;
    for _ in 0..5 {
        let request = world.create(question(2)).await;
        world.answer(&request, 0, json!({ "option": "approve" })).await;
        world.system.clock.advance(Duration::from_secs(62));
        let (all, n_posts) = (request.clone(), world.posts().len());
        let seen = at_once(&world, 12, async move |world, number| {
            let path = format!("/v1/requests/{}", all["id"].as_str().expect("an id"));
            match number % 4 {
                0 => _ = world.system.sweep().await,
                1 => world.follow_hints().await,
                2 => {
                    let cancel = format!("{path}/cancel");
                    let refused = world.call(Method::POST, &cancel, Value::Null).await;
                    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text());
                }
                _ => {
                    let late = world.answer(&all, 1, json!({ "option": "approve" })).await;
                    assert_eq!(late.status, StatusCode::GONE, "{}", late.text());
                }
            }
            world.call(Method::GET, &path, Value::Null).await.json()["outcome"].to_string()
        });
        assert_eq!(count(seen.await), [(r#""timed_out""#.to_owned(), 12)].into());
        world.follow_hints().await;
        world.system.sweep().await;
        world.follow_hints().await;
        assert_eq!(world.posts().len(), n_posts + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_20_workers_with_the_same_hint_calls() {
    let world = World::start().await;
    let request = world.create(question(1)).await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    let id = request["id"].as_str().and_then(|it| it.parse().ok()).expect("an id");
    follow_20_times(&world, &Hint::request(id)).await;
    assert_eq!(world.posts().len(), 1);

    let path = format!("/v1/deliveries?request_id={}", request["id"].as_str().expect("an id"));
    let list = world.call(Method::GET, &path, Value::Null).await.json();
    let id = list["data"][0]["id"].as_str().expect("an id").to_owned();
    let again = format!("/v1/deliveries/{id}/redeliver");
    world.call(Method::POST, &again, Value::Null).await;
    let key = keys::delivery(id.parse().expect("an id"));
    let delivery: Option<Delivery> = world.system.store.get(key).await.expect("read");
    let delivery = delivery.expect("the delivery exists");
    follow_20_times(&world, &Hint::delivery(delivery.id, delivery.attempt)).await;
    assert_eq!(world.posts().len(), 2);
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 2, "its own hint is stale");
}

/// Has 20 workers follow the same hint at once, as SQS may deliver it.
async fn follow_20_times(world: &World, hint: &Hint) {
    let mut message = SqsMessage::default();
    message.message_id = Some("1".to_owned());
    message.body = Some(serde_json::to_string(hint).expect("plain data"));
    let mut event = SqsEvent::default();
    event.records = vec![message];
    let failed = at_once(world, 20, async move |world, _| {
        let response = deliver::deliver(&world.system.deliver, event.clone(), None).await;
        response.batch_item_failures.len()
    });
    assert_eq!(count(failed.await), [(0, 20)].into());
}
