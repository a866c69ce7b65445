//! Long-polling a request.

use std::{
    pin::{Pin, pin},
    time::{Duration, Instant},
};

use answerback::domain::Scope;
use axum::http::{Method, StatusCode};
use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use serde_json::{Value, json};
use system_tests::{START, World};

use super::{asking, faults, path_of};

/// Real time for the waiting call to notice that the clock has moved.
const NOTICED: Duration = Duration::from_millis(30);

/// Long-polls `request`. Returns the view, and the time of the response.
async fn wait(world: &World, request: &Value, query: &str) -> (Value, Timestamp) {
    let path = format!("{}{query}", path_of(request));
    let answer = world.call(Method::GET, &path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    (answer.json(), world.system.clock.now())
}

/// Moves the time by a second, and lets the call notice.
async fn pass_a_second<T>(world: &World, call: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    world.system.clock.advance(Duration::from_secs(1));
    let moved_at = Instant::now();
    let noticed = async {
        while moved_at.elapsed() < NOTICED {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = call => Some(answer),
        () = noticed => None,
    }
}

/// Moves the time until the response arrives. Returns the view and the number of seconds.
async fn pass_until_answered(
    world: &World,
    mut call: Pin<&mut impl Future<Output = (Value, Timestamp)>>,
) -> (Value, i64) {
    loop {
        if let Some((view, at)) = pass_a_second(world, call.as_mut()).await {
            return (view, at.as_second() - START);
        }
    }
}

#[tokio::test]
async fn long_poll_returns_when_the_request_ends() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    let mut call = pin!(wait(&world, &request, "?wait=25"));
    for _ in 0..3 {
        assert_eq!(pass_a_second(&world, call.as_mut()).await, None, "still pending");
    }
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    let (view, seconds) = pass_until_answered(&world, call).await;
    assert_eq!((&view["status"], &view["decision"]), (&json!("finished"), &json!("yes")));
    assert!(seconds < 25, "{seconds}");
}

#[tokio::test]
async fn long_poll_returns_at_its_timeout() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    let call = pin!(wait(&world, &request, "?wait=5"));
    let (view, seconds) = pass_until_answered(&world, call).await;
    assert_eq!(view, request);
    assert!(seconds >= 5, "{seconds}");
}

#[tokio::test]
async fn long_poll_notices_the_deadline() {
    let world = World::start().await;
    let request = world.create(asking(json!({ "timeout_seconds": 5 }))).await;
    let call = pin!(wait(&world, &request, "?wait=25"));
    let (view, seconds) = pass_until_answered(&world, call).await;
    assert_eq!(view["outcome"], "timed_out");
    assert_eq!(view["finished_at"], request["deadline"]);
    assert_eq!(view["responses"][0]["expired"], true);
    assert!(seconds < 25, "{seconds}");
}

#[tokio::test]
async fn finished_request_is_returned_without_waiting() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    // The clock stands still, so a call that waits would never return.
    assert_eq!(wait(&world, &request, "").await.0, request);
    assert_eq!(wait(&world, &request, "?wait=0").await.0, request);
    world.answer(&request, 0, json!({ "option": "no" })).await;
    let (view, _) = wait(&world, &request, "?wait=25").await;
    assert_eq!(view["decision"], "no");
}

#[tokio::test]
async fn a_wait_is_a_whole_number_of_seconds_up_to_25() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    for query in ["wait=26", "wait=-1", "wait=1.5", "wait=", "wait=a", "wait=1&wait=2", "waits=1"] {
        let path = format!("{}?{query}", path_of(&request));
        let answer = world.call(Method::GET, &path, Value::Null).await;
        assert_eq!(faults(&answer), [query.split('=').next().expect("a name")], "{query}");
    }
}

#[tokio::test]
async fn key_has_at_most_fifty_held_calls() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    let path = format!("{}?wait=25", path_of(&request));
    let result = format!("{}/result?wait=25", path_of(&request));
    // The clock stands still, so only calls that are not held return.
    let mut calls: FuturesUnordered<_> = (0..60)
        .map(|it| world.call(Method::GET, if it % 2 == 0 { &path } else { &result }, Value::Null))
        .collect();
    for _ in 0..10 {
        let refused = calls.next().await.expect("a call");
        assert_eq!(refused.status, StatusCode::OK);
        assert_eq!(refused.json()["status"], "pending");
        assert_eq!(refused.headers["retry-after"], "25");
    }
    let bearer = format!("Bearer {}", world.key_with(&[Scope::RequestsRead]).await);
    let headers = [("authorization", bearer.as_str())];
    let mut other = pin!(world.call_with(Method::GET, &path, &headers, Value::Null));
    tokio::select! {
        _ = calls.next() => panic!("the others are held"),
        answer = pass_a_second(&world, other.as_mut()) => assert!(answer.is_none(), "it has room"),
    }

    let released = async {
        while let Some(held) = calls.next().await {
            assert!(!held.headers.contains_key("retry-after"));
            assert_ne!(held.json()["status"], "pending");
        }
    };
    let answered = async {
        world.answer(&request, 0, json!({ "option": "yes" })).await;
        world.system.clock.advance(Duration::from_secs(2));
    };
    futures::join!(released, answered);
}
