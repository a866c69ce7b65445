//! The breaker: five failures in a row, a minute, one trial. Held deliveries resume within half a
//! minute after it.

use answerback::{
    domain::{
        Breaker,
        breaker::{Authority, Circuit, Endpoint},
    },
    store::{Saved, keys},
};
use jiff::Timestamp;

use super::*;

const HOST: &str = "slow.example.com:443";

/// A world with a receiver that has just failed five times in a row with `kind`.
async fn broken(kind: impl Fn() -> Result<Reply, Failure>) -> World {
    let world = World::start_answering((0..5).map(|_| kind())).await;
    for _ in 0..5 {
        // Without a retry, so that nothing else happens afterwards.
        answered(&world, &world.key, SLOW, json!({ "retry": { "delays_seconds": [] } })).await;
        world.follow_hints().await;
    }
    assert_eq!(world.posts().len(), 5);
    world
}

/// The circuit of the URL of callbacks to the slow receiver.
fn circuit_of(breaker: &Breaker) -> Circuit {
    let endpoint = Endpoint::of_callback(SLOW).expect("a URL");
    breaker.endpoints.get(&endpoint).map_or(Circuit::HEALTHY, |it| it.circuit.clone())
}

/// True if a circuit of the slow receiver is open.
fn is_open(breaker: &Breaker) -> bool {
    !breaker.is_closed_for(&Endpoint::of_callback(SLOW).expect("a URL"))
}

async fn breaker(world: &World) -> Option<Breaker> {
    let key = keys::breaker(world.account.id, &Authority::from_text(HOST));
    world.system.store.get(key).await.expect("a table")
}

fn next_attempt_in(world: &World, delivery: &Value) -> i64 {
    let at = delivery["next_attempt_at"].as_str().expect("it waits");
    let at: Timestamp = at.parse().expect("a time");
    at.duration_since(world.system.clock.now()).as_secs()
}

/// Lets time pass with a sweep every minute.
async fn pass(world: &World, minutes: u32) {
    for _ in 0..minutes {
        world.pass(Duration::from_mins(1)).await;
        world.system.sweep().await;
        world.follow_hints().await;
    }
}

#[tokio::test]
async fn open_breaker_holds_deliveries_without_using_retries() {
    for kind in [500, 429, 503] {
        let world = broken(|| reply(kind)).await;
        let request = answered(&world, &world.key, SLOW, json!({})).await;
        answered(&world, &world.key, OTHER, json!({})).await;
        answered(&world, &stranger(&world).await, SLOW, json!({})).await;
        world.follow_hints().await;
        let delivery = delivery_of(&world, &request).await;
        assert_eq!(standing(&delivery), ("pending", Some("breaker_open"), 0, 0));
        assert!((60..90).contains(&next_attempt_in(&world, &delivery)));
        assert_eq!(world.posts().len(), 5 + 2, "another host, and another account");

        world.pass(Duration::from_secs(59)).await;
        assert_eq!(world.posts().len(), 5 + 2);
        world.pass(Duration::from_secs(32)).await;
        assert_eq!(standing(&delivery_of(&world, &request).await), ("delivered", None, 1, 0));
        let known = breaker(&world).await.expect("it has failed before");
        assert_eq!(circuit_of(&known), Circuit::HEALTHY);
        answered(&world, &world.key, SLOW, json!({})).await;
        world.follow_hints_of(Lane::Fast).await;
        assert_eq!(world.posts().len(), 5 + 2 + 2, "a healthy receiver is not held");
    }
}

#[tokio::test]
async fn breaker_counts_only_failures_of_an_unavailable_receiver() {
    let name = |kind| move || failure(kind);
    for kind in [FailureKind::Dns, FailureKind::Connect, FailureKind::Tls, FailureKind::Protocol] {
        let world = broken(name(kind)).await;
        let known = breaker(&world).await.expect("it failed");
        assert!(is_open(&known), "{kind:?}");
    }
    let known = breaker(&broken(name(FailureKind::Timeout)).await).await.expect("it is slow");
    assert!(!is_open(&known) && known.is_slow, "a time-out holds nothing");
    for status in [400, 404, 410, 302] {
        assert_eq!(breaker(&broken(|| reply(status)).await).await, None, "{status}");
    }
    assert_eq!(breaker(&broken(name(FailureKind::BlockedAddress)).await).await, None);
    assert_eq!(breaker(&broken(|| reply(200)).await).await, None, "a success costs no write");
}

#[tokio::test]
async fn breaker_allows_one_trial_while_other_deliveries_wait() {
    let world = broken(|| reply(500)).await;
    let mut requests = Vec::new();
    for _ in 0..12 {
        requests.push(answered(&world, &world.key, SLOW, json!({})).await);
    }
    world.follow_hints().await;
    world.egress.script().answer(reply(500));
    world.pass(Duration::from_secs(91)).await;
    assert_eq!(world.posts().len(), 5 + 1, "one trial");
    let mut standings = Vec::new();
    for request in &requests {
        let delivery = delivery_of(&world, request).await;
        let (_, reason, attempts, failures) = standing(&delivery);
        assert_eq!(reason, Some("breaker_open"));
        standings.push((attempts, failures));
    }
    standings.sort_unstable();
    let (tried, waiting) = standings.split_last().expect("twelve");
    assert_eq!(*tried, (1, 1));
    assert!(waiting.iter().all(|it| *it == (0, 0)), "{waiting:?}");

    // Twice as long, counted from the failure of the trial.
    world.pass(Duration::from_secs(60 + 120 - 92)).await;
    assert_eq!(world.posts().len(), 5 + 1);
    pass(&world, 5).await;
    assert_eq!(world.posts().len(), 5 + 1 + 12, "the next trial succeeds");
    for request in &requests {
        let delivery = delivery_of(&world, request).await;
        let (status, reason, attempts, failures) = standing(&delivery);
        assert_eq!((status, reason), ("delivered", None));
        assert_eq!(attempts, failures + 1);
    }
}

#[tokio::test]
async fn custom_retry_delays_ignore_the_breaker() {
    for (profile, wait, more) in
        [("nextks", 60, json!({})), ("notify", 300, json!({ "body": "standard" }))]
    {
        let world = broken(|| reply(500)).await;
        for _ in 0..2 {
            world.egress.script().answer(reply(500));
        }
        let mut callback = more;
        callback["profile"] = profile.into();
        let request = answered(&world, &world.key, SLOW, callback).await;
        world.follow_hints().await;
        let delivery = delivery_of(&world, &request).await;
        assert_eq!(standing(&delivery), ("pending", Some("slow_lane"), 1, 1), "{profile}");
        assert_eq!(next_attempt_in(&world, &delivery), wait, "{profile}");
        world.pass(Duration::from_secs(wait.unsigned_abs())).await;
        assert_eq!(world.posts().len(), 7, "{profile}");
        let circuit = circuit_of(&breaker(&world).await.expect("it failed"));
        assert!(matches!(circuit, Circuit::Open { n_openings: 2, .. }), "{profile}: {circuit:?}");
    }
    let world = broken(|| reply(500)).await;
    let ping = json!({ "profile": "ping" });
    answered(&world, &world.key, SLOW, ping).await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 6);
}

#[tokio::test]
async fn redelivery_does_not_wait_for_the_breaker() {
    let world = broken(|| reply(500)).await;
    let request = answered(&world, &world.key, SLOW, json!({})).await;
    world.follow_hints().await;
    let id = delivery_of(&world, &request).await["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/deliveries/{id}/redeliver");
    let told = world.call(Method::POST, &path, Value::Null).await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
    world.follow_hints().await;
    assert_eq!(standing(&delivery_of(&world, &request).await), ("delivered", None, 1, 0));
    let known = breaker(&world).await.expect("it failed before");
    assert_eq!(circuit_of(&known), Circuit::HEALTHY, "and shows that it is back");
}

#[tokio::test]
async fn breaker_delays_a_delivery_by_at_most_six_hours() {
    let world = broken(|| reply(500)).await;
    let request = answered(&world, &world.key, SLOW, json!({})).await;
    world.follow_hints().await;
    let began_at = world.system.clock.now();
    let mut n_waits = 0;
    while world.posts().len() == 5 {
        // Other deliveries are attempted when its time is over, and fail.
        let delivery = delivery_of(&world, &request).await;
        let wait = Duration::from_secs(next_attempt_in(&world, &delivery).unsigned_abs() + 1);
        let until = world.system.clock.now() + wait + Duration::from_mins(50);
        let known = breaker(&world).await.expect("it failed");
        let next = Breaker {
            connection: Circuit::Open { until, n_openings: 9 },
            revision: known.revision + 1,
            ..known
        };
        let saved = world.system.store.save(&next).await.expect("a table");
        assert!(matches!(saved, Saved::Saved));
        world.system.clock.advance(wait);
        world.system.sweep().await;
        world.follow_hints().await;
        n_waits += 1;
        assert!(n_waits < 10, "the delivery still waits");
    }
    let attempted = world.posts().pop().expect("the last").headers["webhook-timestamp"].clone();
    let attempted: i64 = attempted.to_str().expect("ASCII").parse().expect("a number");
    let waited = attempted - began_at.as_second();
    assert!((6 * 3_600..6 * 3_600 + n_waits).contains(&waited), "{waited} s");
    assert_eq!(standing(&delivery_of(&world, &request).await), ("delivered", None, 1, 0));
}

/// Creates a webhook at `path` of the slow host for events of this type.
async fn webhook(world: &World, id: &str, path: &str) {
    let url = format!("https://slow.example.com{path}");
    let body = json!({ "id": id, "url": url, "event_types": [format!("job.{id}")] });
    let made = world.call(Method::POST, "/v1/webhooks", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
}

/// Posts an event for the webhook `id`, and follows its hints. Returns the event's id.
async fn job(world: &World, id: &str) -> String {
    let body = json!({ "type": format!("job.{id}"), "data": {} });
    let posted = world.call(Method::POST, "/v1/events", body).await;
    assert_eq!(posted.status, StatusCode::ACCEPTED, "{}", posted.text());
    world.follow_hints().await;
    posted.json()["id"].as_str().expect("an id").to_owned()
}

async fn delivery_of_event(world: &World, event: &str) -> Value {
    let path = format!("/v1/deliveries?event_id={event}");
    world.call(Method::GET, &path, Value::Null).await.json()["data"][0].clone()
}

#[tokio::test]
async fn failing_path_delays_no_other_path_of_its_host() {
    let world = broken(|| reply(500)).await;
    webhook(&world, "well", "/well").await;
    let held = answered(&world, &world.key, &format!("{SLOW}?job=7"), json!({})).await;
    let other = answered(&world, &world.key, "https://slow.example.com/other", json!({})).await;
    world.follow_hints_of(Lane::Fast).await;
    let event = job(&world, "well").await;
    let reason = delivery_of(&world, &held).await["state_reason"].clone();
    assert_eq!(reason, "breaker_open", "the query does not matter");
    for delivery in [delivery_of(&world, &other).await, delivery_of_event(&world, &event).await] {
        assert_eq!(standing(&delivery), ("delivered", None, 1, 0));
        assert_eq!(delivery["created_at"], delivery["finished_at"], "at once");
    }
}

#[tokio::test]
async fn webhooks_of_one_url_have_breakers_of_their_own() {
    let world = World::start_answering((0..5).map(|_| reply(500))).await;
    webhook(&world, "ill", "/hook").await;
    webhook(&world, "well", "/hook").await;
    for _ in 0..5 {
        job(&world, "ill").await;
    }
    let held = job(&world, "ill").await;
    let well = job(&world, "well").await;
    assert_eq!(delivery_of_event(&world, &held).await["state_reason"], "breaker_open");
    assert_eq!(delivery_of_event(&world, &well).await["status"], "delivered");
}

#[tokio::test]
async fn trigger_passes_an_open_breaker_and_frees_held_deliveries() {
    // The receiver is down for an hour by now.
    let world = World::start_answering((0..5).map(|_| reply(500))).await;
    webhook(&world, "ill", "/hook").await;
    for _ in 0..5 {
        job(&world, "ill").await;
    }
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(job(&world, "ill").await);
    }
    let n_posts = world.posts().len();
    assert_eq!(n_posts, 5, "all others are held");
    for event in &held {
        assert_eq!(delivery_of_event(&world, event).await["state_reason"], "breaker_open");
    }
    world.egress.script().answer(reply(500));
    let trigger = async || {
        let path = "/v1/webhooks/ill/trigger";
        let told = world.call(Method::POST, path, json!({})).await;
        assert_eq!(told.status, StatusCode::ACCEPTED, "{}", told.text());
        world.follow_hints().await;
    };
    trigger().await;
    assert_eq!(world.posts().len(), n_posts + 1, "it goes at once, and fails");
    trigger().await;
    assert_eq!(world.posts().len(), n_posts + 2, "it goes at once, and succeeds");
    // The others follow within half a minute, which is before the end of their wait.
    world.pass(Duration::from_secs(31)).await;
    for event in &held {
        let delivery = delivery_of_event(&world, event).await;
        assert_eq!(standing(&delivery), ("delivered", None, 1, 0));
    }
}

#[tokio::test]
async fn redelivery_frees_held_callbacks_to_the_same_url() {
    let world = broken(|| reply(500)).await;
    let mut held = Vec::new();
    for number in 0..4 {
        let url = format!("{SLOW}?job={number}");
        held.push(answered(&world, &world.key, &url, json!({})).await);
    }
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 5);
    let id = delivery_of(&world, &held[0]).await["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/deliveries/{id}/redeliver");
    world.call(Method::POST, &path, Value::Null).await;
    world.pass(Duration::from_secs(31)).await;
    for request in &held {
        assert_eq!(standing(&delivery_of(&world, request).await), ("delivered", None, 1, 0));
    }
}
