//! Many events for many webhooks, with kills in the middle of it.
//!
//! `ANSWERBACK_MANY_EVENTS=1000` is for a person who can wait some minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use answerback::signing::verify_standard;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Chance, Stage,
    door::{Door, PATIENCE},
};
use crate::stack::{Arrived, Receiver, pause};

/// Where another number of events can be given.
const EVENTS: &str = "ANSWERBACK_MANY_EVENTS";
const N_EVENTS: usize = 100;
const N_WEBHOOKS: usize = 10;
/// Events that are posted at once: what stands in for AWS does one thing at a time, and whoever
/// waits for it too long gives up.
const POSTERS: usize = 20;
/// Says which webhook it is.
const HEADER: &str = "x-webhook";
/// How often one looks whether all has been told.
const LOOK: Duration = Duration::from_millis(200);
/// How often one looks whether it is time for a kill.
const LURK: Duration = Duration::from_millis(5);

/// What was posted, and who is told of it.
struct Run {
    door: Door,
    receiver: Receiver,
    /// The secret of each webhook, by its identifier.
    secrets: BTreeMap<String, String>,
    events: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn five_kills_in_the_middle_lose_no_event_and_what_comes_twice_is_the_same() {
    const WAVES: usize = 5;
    #[expect(
        clippy::disallowed_methods,
        reason = "a person may want more than a test has time for"
    )]
    let n_events = std::env::var(EVENTS).map_or(N_EVENTS, |it| it.parse().expect("a number"));
    let in_wave = n_events / WAVES;
    let began = Instant::now();
    let stage = Stage::new().await;
    let mut stack = stage.start(&[]).await;
    let mut run = Run::begin(&stage).await;
    let mut n_interrupted = 0;
    for wave in 0..WAVES {
        let n_before = run.receiver.n_arrived();
        let door = run.door.clone();
        let posts = tokio::spawn(async move { post(&door, wave, in_wave).await });
        while run.receiver.n_arrived() < n_before + in_wave * N_WEBHOOKS / 3 {
            pause(LURK).await;
        }
        stage.door.shut();
        stack.kill();
        n_interrupted += usize::from(run.told().len() < (wave + 1) * in_wave * N_WEBHOOKS);
        stack = stage.start(&[]).await;
        run.events.extend(posts.await.expect("everything is posted in the end"));
    }
    assert_eq!(n_interrupted, WAVES, "a kill came when all had been told");
    run.come_to_rest().await;
    let n_repeats = run.count(WAVES * in_wave);
    let (n_told, seconds) = (WAVES * in_wave * N_WEBHOOKS, began.elapsed().as_secs());
    let n_lost = run.door.n_lost();
    eprintln!("{n_told} told in {seconds} s, {n_repeats} again; {n_lost} calls got no answer");
}

impl Stage {
    /// A new folder, and a receiver that takes everything.
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let receiver = Receiver::start(204).await;
        Self { folder, door: Door::default(), receiver, chance: Chance(0) }
    }
}

impl Run {
    /// Makes the webhooks.
    async fn begin(stage: &Stage) -> Self {
        let (door, receiver) = (stage.door.clone(), stage.receiver.clone());
        let mut secrets = BTreeMap::new();
        for number in 0..N_WEBHOOKS {
            let id = format!("hook-{number}");
            let webhook = json!({
                "id": id,
                "url": receiver.url,
                "headers": { HEADER: id },
                "retry": { "delays_seconds": vec![1; 20], "jitter": 0 },
            });
            let (status, made) = door.call(Method::POST, "/v1/webhooks", &[], &webhook).await;
            assert_eq!(status, StatusCode::CREATED, "{made}");
            secrets.insert(id, text(&made["secret"]).to_owned());
        }
        Self { door, receiver, secrets, events: BTreeSet::new() }
    }

    /// Which webhook was told of which event.
    fn told(&self) -> BTreeSet<(String, String)> {
        let told = |it: &Arrived| {
            let event: Value = serde_json::from_slice(&it.body).expect("JSON");
            (it.header(HEADER).to_owned(), text(&event["id"]).to_owned())
        };
        self.receiver.arrived().iter().map(told).collect()
    }

    /// Waits until every webhook was told of every event, and that is written down.
    async fn come_to_rest(&self) {
        let began = Instant::now();
        for id in self.secrets.keys() {
            while self.delivered(id).await < self.events.len() {
                assert!(began.elapsed() < PATIENCE, "{id} was not told of everything");
                pause(LOOK).await;
            }
        }
    }

    /// How many deliveries to a webhook are done.
    async fn delivered(&self, webhook: &str) -> usize {
        let (mut n_delivered, mut cursor) = (0, String::new());
        loop {
            let path = format!("/v1/deliveries?webhook_id={webhook}&limit=100{cursor}");
            let (_, page) = self.door.call(Method::GET, &path, &[], &Value::Null).await;
            let data = page["data"].as_array().expect("a list");
            n_delivered += data.iter().filter(|it| it["status"] == "delivered").count();
            let Some(next) = page["next_cursor"].as_str() else { return n_delivered };
            cursor = format!("&cursor={next}");
        }
    }

    /// Every webhook was told of each of `n_events`, under one name and in the same bytes however
    /// often. Gives how often something came again.
    fn count(&self, n_events: usize) -> usize {
        assert_eq!(self.events.len(), n_events);
        let (mut names, mut n_repeats) = (BTreeMap::new(), 0);
        for arrived in self.receiver.arrived() {
            let event: Value = serde_json::from_slice(&arrived.body).expect("JSON");
            let name = arrived.header("webhook-id").to_owned();
            let webhook = arrived.header(HEADER);
            assert!(verify_standard(
                &self.secrets[webhook],
                &name,
                arrived.header("webhook-timestamp"),
                &arrived.body,
                arrived.header("webhook-signature"),
            ));
            let told = (webhook.to_owned(), text(&event["id"]).to_owned());
            if let Some(before) = names.insert(name, (told.clone(), arrived.body.clone())) {
                assert_eq!(before, (told, arrived.body), "one name for two things");
                n_repeats += 1;
            }
        }
        let told: BTreeSet<_> = names.values().map(|it| it.0.clone()).collect();
        assert_eq!(told.len(), names.len(), "an event came to one webhook under two names");
        let mut expected = BTreeSet::new();
        for webhook in self.secrets.keys() {
            expected.extend(self.events.iter().map(|it| (webhook.clone(), it.clone())));
        }
        assert_eq!(told, expected);
        n_repeats
    }
}

/// Posts events, some at once, each until there is an answer, and gives their identifiers.
async fn post(door: &Door, wave: usize, n: usize) -> BTreeSet<String> {
    let mut posters = JoinSet::new();
    for poster in 0..POSTERS {
        let door = door.clone();
        posters.spawn(async move {
            let mut ids = Vec::new();
            for number in (poster..n).step_by(POSTERS) {
                let key = format!("wave {wave}, event {number}");
                let event = json!({ "type": "build.done", "data": { "name": key } });
                let headers = [("idempotency-key", &*key)];
                let (status, event) = door.call(Method::POST, "/v1/events", &headers, &event).await;
                assert!(status.is_success(), "{event}");
                ids.push(text(&event["id"]).to_owned());
            }
            ids
        });
    }
    let ids: BTreeSet<String> = posters.join_all().await.into_iter().flatten().collect();
    assert_eq!(ids.len(), n, "one event for each key");
    ids
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
