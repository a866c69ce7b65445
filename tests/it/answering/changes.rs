//! Answers that are sent again, or change.

use std::time::Duration;

use aws_sdk_dynamodb::config::SharedInterceptor;
use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::{Value, json};
use system_tests::{Setup, World, meter::Meter};

use super::{poll, question, shown};

async fn metered() -> (World, Meter) {
    let meter = Meter::default();
    let watchers = vec![SharedInterceptor::new(meter.clone())];
    (World::start_with(Setup { watchers, ..<_>::default() }).await, meter)
}

#[tokio::test]
async fn equal_answer_is_accepted_without_a_write() {
    let (world, meter) = metered().await;
    let cancel = async |request: &Value| {
        let path = format!("/v1/requests/{}/cancel", request["id"].as_str().expect("an id"));
        world.call(Method::POST, &path, Value::Null).await;
    };
    for asked in [question(), poll()] {
        let request = world.create(asked).await;
        let answer = json!({ "option": "approve", "fields": { "comment": "Go" } });
        let first = world.answer(&request, 0, answer.clone()).await.json();
        let check = async || {
            meter.take();
            for _ in 0..3 {
                let again = world.answer(&request, 0, answer.clone()).await;
                assert_eq!(again.status, StatusCode::OK, "{}", again.text());
                assert_eq!(again.json()["response"], first["response"]);
            }
            let form = world.send_form(&request, 0, "option=approve&field.comment=Go").await;
            assert_eq!(form.status, StatusCode::SEE_OTHER);
            assert_eq!(meter.take().writes().n_calls, 0);
        };
        check().await;
        cancel(&request).await;
        check().await;
    }
}

#[tokio::test]
async fn answer_changes_once_a_second_and_200_times() {
    let world = World::start().await;
    let mut asked = poll();
    asked["timeout_seconds"] = 3_600.into();
    let request = world.create(asked).await;
    let change = async |number: u32| {
        let fields = json!({ "comment": number.to_string() });
        world.answer(&request, 0, json!({ "option": "approve", "fields": fields })).await
    };
    change(0).await;
    let soon = change(1).await;
    assert_eq!(
        (soon.status, soon.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_changes")
    );
    assert_eq!(soon.headers["retry-after"], "1");
    for number in 1..=200 {
        world.system.clock.advance(Duration::from_secs(1));
        assert_eq!(change(number).await.status, StatusCode::OK, "{number}");
    }
    world.system.clock.advance(Duration::from_secs(100));
    let often = change(201).await;
    assert_eq!(
        (often.status, often.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_changes")
    );
    assert_eq!(often.headers["retry-after"], "3300", "the time that is left");
    assert_eq!(change(200).await.status, StatusCode::OK, "an equal answer");
    assert_eq!(shown(&world, &request).await["responses"][0]["fields"]["comment"], "200");
}

#[tokio::test]
async fn changed_answer_is_reported_once_if_nothing_was_sent_before() {
    let world = World::start().await;
    let mut asked = poll();
    asked["callback_url"] = "https://hooks.example.com/".into();
    asked["callback"] = json!({ "events": ["request.answered"] });
    let request = world.create(asked).await;
    for option in ["approve", "reject", "approve"] {
        world.answer(&request, 0, json!({ "option": option })).await;
        world.answer(&request, 1, json!({ "option": "reject" })).await;
        world.system.clock.advance(Duration::from_secs(1));
    }
    world.follow_hints().await;
    let bodies: Vec<Value> =
        world.posts().iter().map(|it| serde_json::from_slice(&it.body).expect("JSON")).collect();
    let mut options: Vec<_> = bodies
        .iter()
        .map(|it| it["data"]["responses"][0]["option"].as_str().expect("text"))
        .collect();
    options.sort_unstable();
    assert_eq!(options, ["approve", "reject"]);
}

/// Twelve connections change one answer for thirty seconds. Another recipient answers at any time
/// without a retry.
#[tokio::test]
async fn flood_of_one_link_delays_no_other_recipient() {
    let (world, meter) = metered().await;
    let mut asked = poll();
    asked["recipients"] = (0..40).map(|it| format!("u{it}@example.com")).collect();
    asked["timeout_seconds"] = 60.into();
    asked["callback_url"] = "https://hooks.example.com/".into();
    asked["callback"] = json!({ "events": ["request.answered"] });
    let request = world.create(asked).await;
    let mut n_written = 0;
    for second in 0..30_usize {
        meter.take();
        for round in 0..4_usize {
            let flood = (0..12).map(|it| {
                let comment = format!("{second} {round} {it}");
                let fields = json!({ "comment": comment });
                world.answer(&request, 0, json!({ "option": "approve", "fields": fields }))
            });
            let answers = join_all(flood).await;
            let n_ok = answers.iter().filter(|it| it.status == StatusCode::OK).count();
            assert!(n_ok <= 1, "{second} {round}");
            n_written += n_ok;
            let others = answers.iter().filter(|it| it.status != StatusCode::OK);
            assert!(others.into_iter().all(|it| it.status == StatusCode::TOO_MANY_REQUESTS));
            world.system.clock.advance(Duration::from_millis(250));
        }
        // The workers have not dispatched anything so far, and yet there is room.
        let n_writes = meter.take().writes().n_calls;
        assert!(n_writes <= 12, "only a race of the first round writes: {n_writes}");
        if second % 2 == 0 && second < 40 {
            let other = world.answer(&request, 1 + second / 2, json!({ "option": "reject" })).await;
            assert_eq!(other.status, StatusCode::OK, "{}", other.text());
            assert_eq!(meter.take().writes().n_calls, 1, "at the first try");
        }
    }
    assert!((25..=30).contains(&n_written), "{n_written}");
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1 + 15, "one event of each recipient");
}
