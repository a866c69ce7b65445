//! Receivers that were written for other products, from the event to the end of its delivery: each
//! checks exactly what its product documents.
//!
//! Tests of the APIs of `NextKS` and Ping are in `fronts`.

mod many;
mod nextmv;
mod notify;
mod noukai;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::Duration,
};

use answerback::{
    Promise,
    domain::CallbackUrl,
    egress::{self, Failure, Post, Receivers, Reply},
    platform::Clock,
};
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use system_tests::{START, Setup, World, reply};

/// A receiver's handling of callbacks.
trait Receiver: Send + 'static {
    /// Handles `post`, which arrives at `now`, and returns the response status.
    fn receive(&mut self, post: &Post, now: Timestamp) -> u16;
}

/// The host of the receiver.
struct Host<R> {
    clock: OnceLock<Clock>,
    receiver: Mutex<R>,
}

impl<R: Receiver> Host<R> {
    /// A service whose callbacks all go to `receiver`.
    async fn start(receiver: R) -> (World, Arc<Self>) {
        let host = Arc::new(Self { clock: OnceLock::new(), receiver: Mutex::new(receiver) });
        let egress = egress::Client::Simulated(Arc::<Self>::clone(&host));
        let world = World::start_with(Setup { egress: Some(egress), ..<_>::default() }).await;
        host.clock.set(world.system.clock.clone()).expect("it is set once");
        (world, host)
    }

    fn receiver(&self) -> MutexGuard<'_, R> {
        self.receiver.lock().expect("no holder panics")
    }
}

impl<R: Receiver> Receivers for Host<R> {
    fn post(&self, post: Post) -> Promise<'_, Result<Reply, Failure>> {
        let now = self.clock.get().expect("nothing is posted before the world exists").now();
        let answer = reply(self.receiver().receive(&post, now));
        Box::pin(async { answer })
    }

    fn check(&self, _: CallbackUrl) -> Promise<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn probe(&self, _: CallbackUrl, _: Duration) -> Promise<'_, Result<u16, Failure>> {
        Box::pin(async { Ok(200) })
    }
}

impl<R> fmt::Debug for Host<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// The time and the signatures of these names in a `t=…,v1=…` header.
fn timed<'a>(header: &'a str, names: &[&str]) -> Option<(i64, Vec<&'a str>)> {
    let parts = || header.split(',').filter_map(|it| it.split_once('='));
    let time = parts().find(|(name, _)| *name == "t")?.1.parse().ok()?;
    Some((time, parts().filter(|it| names.contains(&it.0)).map(|it| it.1).collect()))
}

/// Creates a webhook, and returns its secret.
async fn webhook(world: &World, webhook: Value) -> String {
    webhook_at(world, "/v1/webhooks", webhook).await
}

async fn webhook_at(world: &World, path: &str, webhook: Value) -> String {
    let answer = world.call(Method::POST, path, webhook).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    text(&answer.json()["secret"]).to_owned()
}

/// Posts an event, and returns its identifier.
async fn event(world: &World, event_type: &str, data: &Value) -> String {
    let event = json!({ "type": event_type, "data": data });
    let answer = world.call(Method::POST, "/v1/events", event).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    text(&answer.json()["id"]).to_owned()
}

/// Posts an event, delivers it, and returns the delivery.
async fn told(world: &World, event_type: &str, data: &Value) -> Value {
    let event = event(world, event_type, data).await;
    world.follow_hints().await;
    let list = get(world, &format!("/v1/deliveries?event_id={event}")).await;
    let [delivery] = &list["data"].as_array().expect("a list")[..] else { panic!("{list}") };
    delivery.clone()
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world.call(Method::GET, path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

/// Lets time pass with regular sweeps, which find items without a hint.
async fn live(world: &World, n_sweeps: u32, every: Duration) {
    for _ in 0..n_sweeps {
        world.pass(every).await;
        world.system.sweep().await;
    }
    world.follow_hints().await;
}

/// Seconds since the start of the test.
fn second(now: Timestamp) -> i64 {
    now.as_second() - START
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// A header as text.
fn header<'a>(post: &'a Post, name: &str) -> Option<&'a str> {
    post.headers.get(name)?.to_str().ok()
}
