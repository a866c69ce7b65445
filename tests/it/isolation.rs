//! Isolation of slow receivers: message groups, the slow lane, and a breaker for each account and
//! host.

mod breaker;
mod hanging;

use std::time::Duration;

use answerback::{
    egress::{Failure, FailureKind, Post, Reply},
    platform::Lane,
};
use axum::http::{Method, StatusCode};
use local::system::{HINTS, SLOW_HINTS};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{World, reply};

const SLOW: &str = "https://slow.example.com/hook";
const OTHER: &str = "https://other.example.com/hook";

/// A key of another account.
async fn stranger(world: &World) -> String {
    let key = world.system.make_account().await.expect("an account").key;
    key.text.expose_secret().to_owned()
}

/// Creates a request with this key that calls back `url`, and answers it. Delivery has not started.
async fn answered(world: &World, key: &str, url: &str, callback: Value) -> Value {
    let asked = json!({
        "title": "Deploy?",
        "options": [{ "value": "approve", "label": "Approve" }],
        "callback_url": url,
        "callback": callback,
    });
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let made = world.call_with(Method::POST, "/v1/requests", &headers, asked).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let request = made.json();
    let answer = world.answer(&request, 0, json!({ "option": "approve" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    request
}

/// The only delivery of a request, as its sender sees it.
async fn delivery_of(world: &World, request: &Value) -> Value {
    let id = request["id"].as_str().expect("an id");
    let path = format!("/v1/deliveries?request_id={id}");
    let list = world.call(Method::GET, &path, Value::Null).await.json();
    let [delivery] = list["data"].as_array().expect("a list").as_slice() else {
        panic!("not one delivery: {list}")
    };
    let path = format!("/v1/deliveries/{}", delivery["id"].as_str().expect("an id"));
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(shown, *delivery);
    shown
}

/// The state of a delivery: status, reason, and numbers of starts and failures.
fn standing(delivery: &Value) -> (&str, Option<&str>, u64, u64) {
    let number = |name: &str| delivery[name].as_u64().expect("a number");
    let status = delivery["status"].as_str().expect("a status");
    (status, delivery["state_reason"].as_str(), number("attempts"), number("failures"))
}

fn failure(kind: FailureKind) -> Result<Reply, Failure> {
    Err(Failure::new(kind, "the reason"))
}

fn hosts(posts: &[Post]) -> Vec<&str> {
    posts.iter().map(|it| it.url.host()).collect()
}

#[tokio::test]
async fn deliveries_to_a_slow_receiver_use_the_slow_lane() {
    let world = World::start_answering([failure(FailureKind::Timeout)]).await;
    let theirs = stranger(&world).await;
    let first = answered(&world, &world.key, SLOW, json!({})).await;
    world.follow_hints().await;
    let expected = ("pending", Some("slow_lane"), 1, 1);
    assert_eq!(standing(&delivery_of(&world, &first).await), expected, "its retry");

    let mut queued = Vec::new();
    for _ in 0..30 {
        queued.push(answered(&world, &world.key, SLOW, json!({})).await);
    }
    let other_host = answered(&world, &world.key, OTHER, json!({})).await;
    answered(&world, &theirs, SLOW, json!({})).await;
    world.follow_hints_of(Lane::Fast).await;
    let posts = world.posts();
    let mut told = hosts(&posts[1..]);
    told.sort_unstable();
    assert_eq!(told, ["other.example.com", "slow.example.com"], "another host and another account");
    assert_eq!(delivery_of(&world, &other_host).await["status"], "delivered");
    for request in &queued {
        let delivery = delivery_of(&world, request).await;
        assert_eq!(standing(&delivery), ("pending", Some("slow_lane"), 0, 0));
    }

    // The receiver is healthy again, and later deliveries are attempted at once.
    world.follow_hints_of(Lane::Slow).await;
    assert_eq!(world.posts().len(), 3 + 30);
    for request in &queued {
        assert_eq!(standing(&delivery_of(&world, request).await), ("delivered", None, 1, 0));
    }
    answered(&world, &world.key, SLOW, json!({})).await;
    world.follow_hints_of(Lane::Fast).await;
    assert_eq!(world.posts().len(), 3 + 30 + 1);
}

#[tokio::test]
async fn swept_and_redelivered_items_change_to_the_slow_lane() {
    let world = World::start_answering([reply(500), failure(FailureKind::Timeout)]).await;
    let retry = json!({ "retry": { "delays_seconds": [30], "jitter": 0 } });
    let waiting = answered(&world, &world.key, SLOW, retry).await;
    world.follow_hints().await;
    answered(&world, &world.key, SLOW, json!({})).await;
    world.follow_hints().await;
    assert_eq!(standing(&delivery_of(&world, &waiting).await), ("pending", None, 1, 1));

    let id = delivery_of(&world, &waiting).await["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/deliveries/{id}/redeliver");
    let told = world.call(Method::POST, &path, Value::Null).await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
    world.follow_hints_of(Lane::Fast).await;
    let moved = delivery_of(&world, &waiting).await;
    assert_eq!(standing(&moved), ("pending", Some("slow_lane"), 1, 0));
    assert_eq!(world.posts().len(), 2);
    world.follow_hints_of(Lane::Slow).await;
    assert_eq!(standing(&delivery_of(&world, &waiting).await), ("delivered", None, 2, 0));
}

/// A lost hint costs the same in the slow lane as in the fast one.
#[tokio::test]
async fn sweep_sends_hints_to_the_lane_of_their_delivery() {
    let world = World::start_answering([failure(FailureKind::Timeout)]).await;
    answered(&world, &world.key, SLOW, json!({ "retry": { "delays_seconds": [] } })).await;
    world.follow_hints().await;
    let request = answered(&world, &world.key, SLOW, json!({})).await;
    world.follow_hints_of(Lane::Fast).await;
    let lost = world.system.receive(Lane::Slow, Duration::ZERO).await.expect("a queue");
    assert_eq!(lost.len(), 1);
    world.system.clock.advance(Duration::from_secs(11));
    assert_eq!(world.system.sweep().await.n_hinted, 1);
    assert_eq!(world.follow_hints_of(Lane::Fast).await, 0);
    assert_eq!(world.follow_hints_of(Lane::Slow).await, 1);
    assert_eq!(standing(&delivery_of(&world, &request).await), ("delivered", None, 1, 0));
}

#[tokio::test]
async fn hints_are_grouped_by_account_and_delivery_hints_by_host() {
    let world = World::start_answering([failure(FailureKind::Timeout), reply(500)]).await;
    let groups = async |queue: &str| {
        let messages = world.system.aws.queue().peek(queue).await.expect("a queue");
        let groups = messages.into_iter().map(|it| it.group_id.expect("a group"));
        groups.collect::<Vec<_>>()
    };
    answered(&world, &world.key, SLOW, json!({})).await;
    let account = world.account.id.to_string();
    assert_eq!(groups(HINTS).await, [account.as_str()]);
    world.follow_hints_of(Lane::Fast).await;
    answered(&world, &world.key, OTHER, json!({})).await;
    world.follow_hints_of(Lane::Fast).await;

    let (slow, fast) = (groups(SLOW_HINTS).await, groups(HINTS).await);
    assert_eq!((slow.len(), fast.len()), (1, 1), "a retry each");
    assert_ne!(slow, fast);
    for group in slow.iter().chain(&fast) {
        assert!(group.starts_with(&format!("{account}.")), "{group}");
        assert!(!group.contains("example") && group.len() <= 128, "{group}");
    }
}
