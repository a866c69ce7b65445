//! A receiver that accepts connections and never responds.

use std::sync::{Arc, Mutex, OnceLock};

use answerback::{
    Promise,
    domain::{
        CallbackUrl,
        breaker::{Authority, Endpoint},
    },
    egress::{self, Receivers},
    platform::Clock,
    store::keys,
};
use futures::{
    FutureExt as _,
    stream::{FuturesUnordered, StreamExt as _},
};
use jiff::Timestamp;
use system_tests::Setup;

use super::*;

/// Paths of the hanging host that get a callback each.
const N_PATHS: usize = 200;
/// Events for other hosts meanwhile.
const N_OTHERS: usize = 100;
/// Interval between these events.
const INTERVAL: Duration = Duration::from_millis(100);
/// Longest wait of 99 % of the others.
const P99_MAX: Duration = Duration::from_secs(2);
/// Concurrent invocations for the fast lane.
const INVOCATIONS_MAX: usize = 250;

/// Receivers that accept everything at once, except one host that hangs.
#[derive(Debug, Default)]
struct OneHangs {
    clock: OnceLock<Clock>,
    arrived: Mutex<Vec<Arrived>>,
}

/// A post that arrived.
#[derive(Clone, Debug)]
struct Arrived {
    url: String,
    at: Timestamp,
}

impl OneHangs {
    fn clock(&self) -> &Clock {
        self.clock.get().expect("it was set")
    }

    /// The time at which the first post to `url` arrived.
    fn arrived_at(&self, url: &str) -> Option<Timestamp> {
        let arrived = self.arrived.lock().expect("no holder panics");
        arrived.iter().find(|it| it.url == url).map(|it| it.at)
    }
}

impl Receivers for OneHangs {
    fn post(&self, post: Post) -> Promise<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let arrived = Arrived { url: post.url.as_str().to_owned(), at: self.clock().now() };
            self.arrived.lock().expect("no holder panics").push(arrived);
            if post.url.host() != "slow.example.com" {
                return reply(200);
            }
            self.clock().sleep(post.timeout).await;
            failure(FailureKind::Timeout)
        })
    }

    fn check(&self, _: CallbackUrl) -> Promise<'_, Result<(), Failure>> {
        std::future::ready(Ok(())).boxed()
    }

    fn probe(&self, _: CallbackUrl, _: Duration) -> Promise<'_, Result<u16, Failure>> {
        std::future::ready(Ok(200)).boxed()
    }
}

/// Three seconds into the first attempts, which still hang, later deliveries already use the slow
/// lane.
#[tokio::test]
async fn hanging_receiver_is_detected_before_its_timeout() {
    let receivers = Arc::new(OneHangs::default());
    let egress = Some(egress::Client::Simulated(receivers.clone()));
    let world = World::start_with(Setup { egress, ..Setup::default() }).await;
    let clock = &world.system.clock;
    receivers.clock.set(clock.clone()).expect("it is set once");
    let first = answered(&world, &world.key, SLOW, json!({})).await;
    let key = keys::breaker(world.account.id, &Authority::of(SLOW).expect("a host"));
    let endpoint = Endpoint::of_callback(SLOW).expect("a URL");
    let known = async || {
        let store = &world.system.store;
        store.get::<answerback::domain::Breaker>(key.clone()).await.expect("a table")
    };

    let hanging = world.follow_hints_of(Lane::Fast);
    let meanwhile = async {
        while receivers.arrived_at(SLOW).is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(2));
        assert_eq!(known().await, None);
        clock.advance(Duration::from_secs(1));
        while known().await.is_none() {
            tokio::task::yield_now().await;
        }
        let second = answered(&world, &world.key, SLOW, json!({})).await;
        let other = answered(&world, &world.key, OTHER, json!({})).await;
        world.follow_hints_of(Lane::Fast).await;
        let delivery = delivery_of(&world, &second).await;
        assert_eq!(standing(&delivery), ("pending", Some("slow_lane"), 0, 0));
        assert_eq!(standing(&delivery_of(&world, &other).await), ("delivered", None, 1, 0));
        // It was stored without its result.
        assert_eq!(standing(&delivery_of(&world, &first).await), ("pending", None, 1, 0));
        clock.advance(Duration::from_secs(17));
    };
    futures::join!(hanging, meanwhile);
    assert_eq!(standing(&delivery_of(&world, &first).await), ("pending", Some("slow_lane"), 1, 1));
    let breaker = known().await.expect("it is slow");
    assert!(breaker.is_closed_for(&endpoint), "a time-out holds nothing");
}

/// Concurrent invocations for the fast lane.
#[derive(Default)]
struct Invocations<'a>(FuturesUnordered<Promise<'a, ()>>);

impl<'a> Invocations<'a> {
    /// Starts what has a hint, and continues what can continue now.
    async fn run(&mut self, world: &'a World) {
        for _ in 0..100 {
            if self.0.len() < INVOCATIONS_MAX {
                let hints = world.system.receive(Lane::Fast, Duration::ZERO).await;
                let hints = hints.expect("the queue exists");
                if !hints.is_empty() {
                    let followed = world.system.follow(hints);
                    self.0.push(Box::pin(followed.map(|it| assert!(it.is_ok(), "{it:?}"))));
                }
            }
            self.0.next().now_or_never();
            tokio::task::yield_now().await;
        }
    }
}

/// Posts an event with a callback to `url`.
async fn post_event(world: &World, url: &str) {
    let body = json!({
        "type": "load.posted",
        "data": {},
        "callback_url": url,
        "callback": { "probe": "skip" },
    });
    let posted = world.call(Method::POST, "/v1/events", body).await;
    assert_eq!(posted.status, StatusCode::ACCEPTED, "{}", posted.text());
}

/// Every job has a callback URL of its own, and all of them hang.
#[tokio::test]
async fn paths_of_a_hanging_host_delay_no_other_host() {
    let receivers = Arc::new(OneHangs::default());
    let egress = Some(egress::Client::Simulated(receivers.clone()));
    let world = World::start_with(Setup { egress, ..Setup::default() }).await;
    let clock = &world.system.clock;
    receivers.clock.set(clock.clone()).expect("it is set once");
    let path = |number: usize| format!("https://slow.example.com/jobs/{number}");
    let other = |number: usize| format!("https://other.example.com/jobs/{number}");

    let mut invocations = Invocations::default();
    let mut posted_at = Vec::new();
    for number in 0..N_OTHERS {
        for hanging in [2 * number, 2 * number + 1] {
            if hanging < N_PATHS {
                post_event(&world, &path(hanging)).await;
            }
        }
        post_event(&world, &other(number)).await;
        posted_at.push(clock.now());
        invocations.run(&world).await;
        clock.advance(INTERVAL);
    }
    let waits = posted_at.iter().enumerate().map(|(number, posted_at)| {
        let arrived_at = receivers.arrived_at(&other(number)).expect("it arrived");
        Duration::try_from(arrived_at.duration_since(*posted_at)).expect("it came later")
    });
    let mut waits: Vec<Duration> = waits.collect();
    waits.sort_unstable();
    let p99 = waits[N_OTHERS * 99 / 100];
    assert!(p99 <= P99_MAX, "{waits:?}");
    let n_hanging = (0..N_PATHS).filter(|it| receivers.arrived_at(&path(*it)).is_some()).count();
    assert!(n_hanging < N_PATHS / 2, "{n_hanging} took workers of the fast lane");
}

/// The callback about each answer takes 20 seconds, and each waits in the request until it is stored.
#[tokio::test]
async fn hundred_answers_in_twenty_seconds_pass_a_hanging_receiver() {
    let receivers = Arc::new(OneHangs::default());
    let egress = Some(egress::Client::Simulated(receivers.clone()));
    let world = World::start_with(Setup { egress, ..Setup::default() }).await;
    let clock = &world.system.clock;
    receivers.clock.set(clock.clone()).expect("it is set once");
    let recipients: Vec<_> = (0..100).map(|it| format!("u{it}@example.com")).collect();
    let request = world
        .create(json!({
            "title": "Who comes?",
            "recipients": recipients,
            "options": [{ "value": "me", "label": "Me" }],
            "callback_url": SLOW,
            "callback": {
                "probe": "skip", "timeout_seconds": 20,
                "events": ["request.answered", "request.finished"],
            },
        }))
        .await;
    let mut invocations = Invocations::default();
    for recipient in 0..100 {
        let answered = world.answer(&request, recipient, json!({ "option": "me" })).await;
        assert_eq!(answered.status, StatusCode::OK, "{recipient}: {}", answered.text());
        invocations.run(&world).await;
        clock.advance(Duration::from_millis(200));
    }
}
