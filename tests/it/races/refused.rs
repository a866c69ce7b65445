//! Writes that DynamoDB refuses because the item has changed, when many recipients answer at once.
//!
//! `intake` runs over a table whose calls take a few milliseconds each. Everything waits for the clock
//! alone, so a seed decides the order of all calls.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use answerback::{
    Promise,
    domain::{CallbackRules, Owner, Scope},
    egress,
    platform::{Clock, Entropy, Hints, Vault},
    service::{Core, NewKey, new_account},
    store::{
        Attributes, Counted, DueCursor, DuePage, Error, Key, Layout, ListStart, Page, Put, Saved,
        Store, Table,
    },
};
use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode},
};
use futures::{
    future::{Either, join_all, select},
    pin_mut,
};
use jiff::Timestamp;
use local::gateway::HttpFunction;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulation::table::SimulatedTable;
use system_tests::{START, token};

use super::question;

/// Milliseconds of each half of a call: to the table, and back.
const HALF_MS: std::ops::RangeInclusive<u64> = 2..=8;
/// Polls of all calls before the clock moves on.
const POLLS: u32 = 10;

/// A table whose calls take time. Nothing here uses an index.
#[derive(Debug)]
struct SlowTable {
    table: Mutex<SimulatedTable>,
    clock: Clock,
    chance: AtomicU64,
    n_refused: AtomicU64,
}

impl SlowTable {
    async fn call<T>(&self, effect: impl FnOnce(&mut SimulatedTable) -> T) -> T {
        self.take_time().await;
        let done = effect(&mut self.table.lock().expect("no holder panics"));
        self.take_time().await;
        done
    }

    /// A linear congruential generator, whose high bits are random enough.
    async fn take_time(&self) {
        let next = |it: u64| it.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let drawn =
            self.chance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| Some(next(it)));
        let span = HALF_MS.end() - HALF_MS.start() + 1;
        let length = HALF_MS.start() + (drawn.expect("always set") >> 33) % span;
        self.clock.sleep(Duration::from_millis(length)).await;
    }

    async fn put(&self, effect: impl FnOnce(&mut SimulatedTable) -> Put) -> Result<Put, Error> {
        let put = self.call(effect).await;
        if put != Put::Done {
            self.n_refused.fetch_add(1, Ordering::Relaxed);
        }
        Ok(put)
    }
}

impl Table for SlowTable {
    fn get(&self, key: Key) -> Promise<'_, Result<Option<Attributes>, Error>> {
        Box::pin(async move { Ok(self.call(|it| it.get(&key)).await) })
    }

    fn put_new(&self, attributes: Attributes) -> Promise<'_, Result<Put, Error>> {
        Box::pin(self.put(move |it| it.put_new(attributes, 0)))
    }

    fn update(
        &self,
        key: Key,
        moving: Attributes,
        previous: u64,
    ) -> Promise<'_, Result<Put, Error>> {
        Box::pin(self.put(move |it| it.update(&key, moving, previous, 0)))
    }

    fn under(
        &self,
        pk: String,
        beginning: String,
        limit: i32,
        after: Option<String>,
    ) -> Promise<'_, Result<Page, Error>> {
        Box::pin(async move {
            Ok(self.call(|it| it.under(&pk, &beginning, limit, after.as_deref())).await)
        })
    }

    fn get_many(&self, _: Vec<Key>) -> Promise<'_, Result<HashMap<Key, Attributes>, Error>> {
        unused()
    }

    fn due(
        &self,
        _: String,
        _: Timestamp,
        _: i32,
        _: Option<DueCursor>,
    ) -> Promise<'_, Result<DuePage, Error>> {
        unused()
    }

    fn postpone(&self, _: Key, _: Timestamp, _: u32) -> Promise<'_, Result<u32, Error>> {
        unused()
    }

    fn count_up(
        &self,
        _: Key,
        _: u32,
        _: u32,
        _: Timestamp,
    ) -> Promise<'_, Result<Counted, Error>> {
        unused()
    }

    fn quarantine(&self, _: Key, _: Timestamp) -> Promise<'_, Result<(), Error>> {
        unused()
    }

    fn list(
        &self,
        _: &'static str,
        _: String,
        _: i32,
        _: Option<ListStart>,
    ) -> Promise<'_, Result<Page, Error>> {
        unused()
    }

    fn n_listed(&self, _: &'static str, _: String, _: u32) -> Promise<'_, Result<u32, Error>> {
        unused()
    }
}

fn unused<T>() -> Promise<'static, T> {
    panic!("answers do not use this operation")
}

/// `intake` over a slow table.
struct SlowIntake {
    table: Arc<SlowTable>,
    function: HttpFunction,
    key: String,
}

impl SlowIntake {
    async fn start(seed: u64) -> Self {
        let clock = Clock::manual(Timestamp::from_second(START).expect("in range"));
        let table = Arc::new(SlowTable {
            table: Mutex::default(),
            clock: clock.clone(),
            chance: AtomicU64::new(seed),
            n_refused: AtomicU64::new(0),
        });
        let layout =
            Layout { n_due_shards: 4, n_list_shards: 5, retention: Duration::from_hours(24) };
        let store = Store::new(Arc::clone(&table) as _, layout);
        let (vault, entropy) = (Vault::simulated([7; 32]), Entropy::counting());
        let now = clock.now();
        let account = new_account(now, &entropy, &vault).await.expect("a local key seals");
        let key = NewKey::make(Owner::live(account.id), vec![Scope::Admin], now, &entropy);
        let core = Core::new(store.clone(), vault, Hints::Dropped, clock.clone(), entropy);
        let app = intake::App {
            core,
            egress: egress::Client::scripted([]),
            rules: CallbackRules::strict(),
            probes: intake::Probes::default(),
            public_base_url: None,
            publishes: false,
        };
        let function = HttpFunction::new(intake::router(app), clock);
        let this = Self { table, function, key: key.text.expose_secret().to_owned() };
        let saved =
            this.run(async { (store.create(&account).await, store.create(&key.key).await) });
        assert!(matches!(saved.await, (Ok(Saved::Saved), Ok(Saved::Saved))));
        this
    }

    /// Runs `work`, and moves the clock whenever all of it waits.
    async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let clock = &self.table.clock;
        let time = async {
            loop {
                for _ in 0..POLLS {
                    tokio::task::yield_now().await;
                }
                clock.advance(clock.next_sleeper().expect("a call waits"));
            }
        };
        pin_mut!(work, time);
        match select(work, time).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => never,
        }
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("host", "answers.example.com")
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()))
            .expect("a valid request");
        let response = self.function.call(&request, "1").await;
        let body = serde_json::from_slice(response.body()).unwrap_or_default();
        (response.status(), body)
    }
}

/// Has this many recipients answer at the same time. Returns the number of refused writes, and the
/// time until all answers were recorded.
async fn answer_at_once(seed: u64, n_recipients: usize) -> (u64, Duration) {
    let intake = SlowIntake::start(seed).await;
    let mut asked = question(n_recipients);
    asked["timeout_seconds"] = json!(3_600);
    let (status, request) = intake.run(intake.post("/v1/requests", asked)).await;
    assert_eq!(status, StatusCode::CREATED, "{request}");
    let began_at = intake.table.clock.now();
    let answers = join_all((0..n_recipients).map(|number| {
        let path = format!("/v1/answers/{}", token(&request, number));
        let intake = &intake;
        async move { intake.post(&path, json!({ "option": "approve" })).await.0 }
    }));
    let answers = intake.run(answers).await;
    assert_eq!(answers, vec![StatusCode::OK; n_recipients]);
    let took = Duration::try_from(intake.table.clock.now().duration_since(began_at));
    (intake.table.n_refused.load(Ordering::Relaxed), took.expect("not negative"))
}

#[tokio::test]
async fn answers_of_96_recipients_at_once_refuse_250_writes_at_most() {
    let mut counts = Vec::new();
    for seed in 1..=5 {
        counts.push(answer_at_once(seed, 96).await);
    }
    let is_good = |(n_refused, took): &(u64, Duration)| *n_refused <= 250 && took.as_secs() < 10;
    assert!(counts.iter().all(is_good), "{counts:?}");
}

#[tokio::test]
async fn loser_of_a_lone_race_writes_again_at_once() {
    for seed in 1..=20 {
        let (n_refused, took) = answer_at_once(seed, 2).await;
        assert!(n_refused <= 1, "seed {seed}: {n_refused}");
        // Its calls take 16 ms at most: request, webhooks, write, then a wait, a read and a write.
        assert!(took <= Duration::from_millis(5 * 16 + 25), "seed {seed}: {took:?}");
    }
}
