//! Long-polling a request.

use std::{
    cell::{Cell, RefCell},
    pin::{Pin, pin},
    time::{Duration, Instant},
};

use answerback::domain::{Scope, limits::HELD_CALLS_MAX};
use aws_sdk_dynamodb::config::SharedInterceptor;
use axum::http::{Method, StatusCode};
use futures::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use system_tests::{START, Setup, World, meter::Meter, token};
use tokio::sync::Semaphore;

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
async fn few_calls_of_a_key_are_held() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    let path = format!("{}?wait=25", path_of(&request));
    let result = format!("{}/result?wait=25", path_of(&request));
    // The clock stands still, so only calls that are not held return.
    let mut calls: FuturesUnordered<_> = (0..HELD_CALLS_MAX + 10)
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

/// Processes that serve one call at a time, as Lambda has them.
const N_PROCESSES: usize = 100;
/// Callers with one key.
const N_CALLERS: usize = 1_000;
/// Time between two steps of the clock.
const STEP: Duration = Duration::from_millis(500);
/// Real time without a response or a call of the table, after which nothing more happens until the clock moves.
const QUIET: Duration = Duration::from_millis(50);

/// From the middle of a window: calls that are held in it stay while the next begins.
#[tokio::test]
async fn a_thousand_held_calls_leave_processes_for_pages() {
    let meter = Meter::default();
    let watchers = vec![SharedInterceptor::new(meter.clone())];
    let world = World::start_with(Setup { watchers, ..Setup::default() }).await;
    let clock = &world.system.clock;
    clock.advance(Duration::from_secs(13));
    let request = world.create(asking(json!({}))).await;
    let path = format!("{}?wait=25", path_of(&request));
    let page = format!("/a/{}", token(&request, 0));
    let processes = Semaphore::new(N_PROCESSES);
    let (n_served, waits) = (Cell::new(0), RefCell::new(Vec::new()));

    let caller = async || {
        loop {
            let process = processes.acquire().await.expect("it is open");
            let answer = world.call(Method::GET, &path, Value::Null).await;
            drop(process);
            n_served.set(n_served.get() + 1);
            assert_eq!(answer.status, StatusCode::OK);
            let seconds = answer.headers.get("retry-after").map(|it| it.to_str().expect("ASCII"));
            let seconds = seconds.map_or(0, |it| it.parse().expect("a number"));
            clock.sleep(Duration::from_secs(seconds)).await;
        }
    };
    let visitor = async || {
        loop {
            let came_at = clock.now();
            let process = processes.acquire().await.expect("it is open");
            let shown = world.visit(Method::GET, &page, "").await;
            drop(process);
            n_served.set(n_served.get() + 1);
            assert_eq!(shown.status, StatusCode::OK);
            waits.borrow_mut().push(clock.now().duration_since(came_at));
            clock.sleep(STEP).await;
        }
    };
    let time = async {
        for _ in 0..2 * 60 {
            let (mut n_before, mut quiet_since) = (n_served.get(), Instant::now());
            while quiet_since.elapsed() < QUIET {
                tokio::task::yield_now().await;
                let calls = meter.take();
                let n_calls = calls.reads().n_calls + calls.writes().n_calls;
                if n_calls > 0 || n_served.get() > n_before {
                    (n_before, quiet_since) = (n_served.get(), Instant::now());
                }
            }
            clock.advance(STEP);
        }
    };
    let callers = join_all((0..N_CALLERS).map(|_| caller()));
    tokio::select! {
        _ = callers => unreachable!("they never stop"),
        _ = visitor() => unreachable!("it never stops"),
        () = time => (),
    }

    let mut waits = waits.into_inner();
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100];
    assert!(waits.len() > 80, "only {} pages were shown", waits.len());
    assert!(p99 < SignedDuration::from_secs(1), "{p99:?}");
    assert!(n_served.get() > 2 * (N_CALLERS - N_PROCESSES), "the callers returned in each window");
}
