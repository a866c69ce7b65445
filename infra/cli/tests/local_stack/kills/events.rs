//! Many events for many webhooks, with kills while they are delivered.
//!
//! `ANSWERBACK_MANY_EVENTS=1000` runs a larger test, which takes minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use answerback::signing::verify_standard;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Program, Random,
    endpoint::{Endpoint, WAIT_MAX},
};
use crate::stack::{Arrived, Receiver, pause};

/// The variable that sets the number of events.
const EVENTS: &str = "ANSWERBACK_MANY_EVENTS";
const N_EVENTS: usize = 100;
/// The flags of the program. A thousand deliveries at once take longer than one, so the lease is longer
/// than under random kills.
const FLAGS: [&str; 4] = ["--sweep-interval", "1s", "--lease", "20s"];
const N_WEBHOOKS: usize = 10;
/// Concurrent posts of events. The emulated AWS makes one write at a time, and clients that wait
/// longer time out.
const POSTERS: usize = 20;
/// The header that names the webhook.
const HEADER: &str = "x-webhook";
/// Interval between checks if everything has arrived.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Interval between checks if it is time for a kill.
const KILL_CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// The posted events and their webhooks.
struct EventRun {
    endpoint: Endpoint,
    receiver: Receiver,
    /// The secret of each webhook, by its identifier.
    secrets: BTreeMap<String, String>,
    events: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn five_kills_lose_no_event_and_repeats_are_identical() {
    const WAVES: usize = 5;
    #[expect(clippy::disallowed_methods, reason = "a larger number for a manual run")]
    let n_events = std::env::var(EVENTS).map_or(N_EVENTS, |it| it.parse().expect("a number"));
    let n_in_wave = n_events / WAVES;
    let began = Instant::now();
    let program = Program::new().await;
    let mut stack = program.start(FLAGS.to_vec()).await;
    let mut run = EventRun::begin(&program).await;
    let mut n_interrupted = 0;
    for wave in 0..WAVES {
        let n_before = run.receiver.n_arrived();
        let endpoint = run.endpoint.clone();
        let posts = tokio::spawn(async move { post(&endpoint, wave, n_in_wave).await });
        while run.receiver.n_arrived() < n_before + n_in_wave * N_WEBHOOKS / 3 {
            pause(KILL_CHECK_INTERVAL).await;
        }
        program.endpoint.close();
        stack.kill();
        n_interrupted +=
            usize::from(run.arrived_pairs().len() < (wave + 1) * n_in_wave * N_WEBHOOKS);
        stack = program.start(FLAGS.to_vec()).await;
        run.events.extend(posts.await.expect("every event is posted in the end"));
    }
    assert_eq!(n_interrupted, WAVES, "a kill came after all events had arrived");
    run.wait_until_delivered().await;
    let n_repeats = run.count(WAVES * n_in_wave);
    let (n_deliveries, seconds) = (WAVES * n_in_wave * N_WEBHOOKS, began.elapsed().as_secs());
    let n_lost = run.endpoint.n_lost();
    eprintln!(
        "{n_deliveries} deliveries in {seconds} s, {n_repeats} repeated; {n_lost} calls got no response"
    );
}

impl Program {
    /// A new folder, and a receiver that accepts everything.
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let receiver = Receiver::start(204).await;
        Self { folder, endpoint: Endpoint::default(), receiver, random: Random(0) }
    }
}

impl EventRun {
    /// Creates the webhooks.
    async fn begin(program: &Program) -> Self {
        let (endpoint, receiver) = (program.endpoint.clone(), program.receiver.clone());
        let mut secrets = BTreeMap::new();
        for number in 0..N_WEBHOOKS {
            let id = format!("hook-{number}");
            let webhook = json!({
                "id": id,
                "url": receiver.url,
                "headers": { HEADER: id },
                "retry": { "delays_seconds": vec![1; 20], "jitter": 0 },
            });
            let (status, webhook) =
                endpoint.call(Method::POST, "/v1/webhooks", &[], &webhook).await;
            assert_eq!(status, StatusCode::CREATED, "{webhook}");
            secrets.insert(id, text(&webhook["secret"]).to_owned());
        }
        Self { endpoint, receiver, secrets, events: BTreeSet::new() }
    }

    /// The webhook and the event id of every callback that arrived.
    fn arrived_pairs(&self) -> BTreeSet<(String, String)> {
        let pair = |it: &Arrived| {
            let event: Value = serde_json::from_slice(&it.body).expect("JSON");
            (it.header(HEADER).to_owned(), text(&event["id"]).to_owned())
        };
        self.receiver.arrived().iter().map(pair).collect()
    }

    /// Waits until every event is recorded as delivered to every webhook.
    async fn wait_until_delivered(&self) {
        let began = Instant::now();
        for id in self.secrets.keys() {
            while self.delivered(id).await < self.events.len() {
                assert!(began.elapsed() < WAIT_MAX, "not every event was delivered to {id}");
                pause(CHECK_INTERVAL).await;
            }
        }
    }

    /// The number of finished deliveries to a webhook.
    async fn delivered(&self, webhook: &str) -> usize {
        let (mut n_delivered, mut cursor) = (0, String::new());
        loop {
            let path = format!("/v1/deliveries?webhook_id={webhook}&limit=100{cursor}");
            let (_, page) = self.endpoint.call(Method::GET, &path, &[], &Value::Null).await;
            let data = page["data"].as_array().expect("a list");
            n_delivered += data.iter().filter(|it| it["status"] == "delivered").count();
            let Some(next) = page["next_cursor"].as_str() else { return n_delivered };
            cursor = format!("&cursor={next}");
        }
    }

    /// Checks that every webhook got each of `n_events` events, always with the same delivery id and the
    /// same bytes. Returns the number of repeats.
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
            let arrived_pairs = (webhook.to_owned(), text(&event["id"]).to_owned());
            if let Some(before) = names.insert(name, (arrived_pairs.clone(), arrived.body.clone()))
            {
                assert_eq!(
                    before,
                    (arrived_pairs, arrived.body),
                    "one delivery id for two deliveries"
                );
                n_repeats += 1;
            }
        }
        let arrived_pairs: BTreeSet<_> = names.values().map(|it| it.0.clone()).collect();
        assert_eq!(arrived_pairs.len(), names.len(), "an event has two deliveries to one webhook");
        let mut expected = BTreeSet::new();
        for webhook in self.secrets.keys() {
            expected.extend(self.events.iter().map(|it| (webhook.clone(), it.clone())));
        }
        assert_eq!(arrived_pairs, expected);
        n_repeats
    }
}

/// Posts events concurrently, each until there is a response, and returns their ids.
async fn post(endpoint: &Endpoint, wave: usize, n: usize) -> BTreeSet<String> {
    let mut posters = JoinSet::new();
    for poster in 0..POSTERS {
        let endpoint = endpoint.clone();
        posters.spawn(async move {
            let mut ids = Vec::new();
            for number in (poster..n).step_by(POSTERS) {
                let key = format!("wave {wave}, event {number}");
                let event = json!({ "type": "build.done", "data": { "name": key } });
                let headers = [("idempotency-key", &*key)];
                let (status, event) =
                    endpoint.call(Method::POST, "/v1/events", &headers, &event).await;
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
