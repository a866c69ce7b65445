//! Usage, calls and dollars of each operation and of whole lifecycles.
//!
//! `tests/bench/units.py` runs this test with `UNITS_JSON`, a file for the results, and prints them as
//! tables. The prices are those of `tests/bench/prices.toml`.
//!
//! Counted here: capacity units, calls to DynamoDB and SQS, invocations, callbacks, and the bytes of
//! our own log lines. Assumed, in `prices.toml`: durations, and the bytes of the lines that AWS writes.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use answerback::platform::{Lane, telemetry};
use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use system_tests::{Setup, World, meter::Meter, nonce_of, reply, token};
use tracing::{Dispatch, Instrument as _, subscriber::DefaultGuard, subscriber::NoSubscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{SharedInterceptor, TRACE, question};
use crate::canaries::Lines;

mod operations;

/// Most dollars for a million lifecycles with two recipients, by the way of their answers.
const DOLLARS_MAX: [(By, f64); 2] = [(By::Json, 15.5), (By::Page, 22.0)];
/// Longer than anything is cached.
const CACHES_EXPIRE: Duration = Duration::from_mins(1);
/// The trace that Lambda adds to its log lines.
const XRAY_TRACE: &str =
    "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=0";
const SWEEPS_PER_MONTH: f64 = 60.0 * 24.0 * 30.0;
const MILLION: f64 = 1e6;

/// The way of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum By {
    /// One call.
    Json,
    /// Three calls, as a browser makes them: page, form, and the page that the form leads to.
    Page,
}

/// A lifecycle.
#[derive(Clone, Copy, Debug)]
struct Life {
    n_recipients: usize,
    by: By,
    /// See [`Bench::is_cold`].
    is_cold: bool,
}

/// What an operation or a lifecycle takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Usage {
    write_units: f64,
    read_units: f64,
    dynamodb_calls: u32,
    sqs_calls: u32,
    http_calls: u32,
    /// Invocations of `deliver`.
    deliveries: u32,
    sweeps: u32,
    callbacks: u32,
    /// Bytes of our own log lines.
    log_bytes: u32,
}

/// `tests/bench/prices.toml`.
#[derive(Debug, Deserialize)]
struct Prices {
    per_million: PerMillion,
    per_gb: PerGb,
    assumed: Assumed,
}

#[derive(Debug, Deserialize)]
struct PerMillion {
    http_calls: f64,
    invocations: f64,
    gb_seconds: f64,
    write_units: f64,
    read_units: f64,
    sqs_calls: f64,
    schedules: f64,
}

#[derive(Debug, Deserialize)]
struct PerGb {
    logs: f64,
}

#[derive(Debug, Deserialize)]
struct Assumed {
    memory_mb: f64,
    base_ms: f64,
    call_ms: f64,
    receiver_ms: f64,
    access_log_bytes: f64,
    system_log_bytes: f64,
}

impl Prices {
    fn load() -> Self {
        toml::from_str(include_str!("../../bench/prices.toml")).expect("valid prices")
    }

    /// The dollars of a million, by what they pay for.
    fn of(&self, units: &Usage) -> BTreeMap<&'static str, f64> {
        let (prices, assumed) = (&self.per_million, &self.assumed);
        let invocations = f64::from(units.http_calls + units.deliveries + units.sweeps);
        let milliseconds = invocations * assumed.base_ms
            + f64::from(units.dynamodb_calls + units.sends()) * assumed.call_ms
            + f64::from(units.deliveries) * assumed.receiver_ms;
        let gb_seconds = milliseconds / 1000.0 * assumed.memory_mb / 1024.0;
        let log_bytes = f64::from(units.log_bytes)
            + f64::from(units.http_calls) * assumed.access_log_bytes
            + invocations * assumed.system_log_bytes;
        BTreeMap::from([
            ("http_api", f64::from(units.http_calls) * prices.http_calls),
            ("writes", units.write_units * prices.write_units),
            ("reads", units.read_units * prices.read_units),
            ("invocations", invocations * prices.invocations),
            ("duration", gb_seconds * prices.gb_seconds),
            ("queue", f64::from(units.sqs_calls) * prices.sqs_calls),
            // A million times the bytes of one, in GB.
            ("logs", log_bytes * MILLION / 1e9 * self.per_gb.logs),
            ("schedule", f64::from(units.sweeps) * prices.schedules),
        ])
    }
}

impl Usage {
    /// Calls to SQS that a function makes. The others are Lambda's: receive and delete.
    fn sends(&self) -> u32 {
        self.sqs_calls - 2 * self.deliveries
    }
}

/// A world with metered functions.
struct Bench {
    world: World,
    meter: Meter,
    lines: Lines,
    http_calls: Cell<u32>,
    deliveries: Cell<u32>,
    sweeps: Cell<u32>,
    seen: Cell<Seen>,
    /// True if a minute passes before each call, so that caches of keys, accounts and webhooks are
    /// empty, as they are when calls are rare.
    is_cold: bool,
    _logging: DefaultGuard,
    _second: Dispatch,
}

/// How much was already counted.
#[derive(Clone, Copy, Default)]
struct Seen {
    callbacks: usize,
    log_bytes: usize,
}

impl Bench {
    async fn start(is_cold: bool) -> Self {
        let meter = Meter::default();
        let watchers = vec![SharedInterceptor::new(meter.clone())];
        let world = World::start_with(Setup { watchers, ..<_>::default() }).await;
        let lines = Lines::default();
        let writer = lines.clone();
        let levels = Targets::new().with_default(LevelFilter::INFO);
        let stack = Some("answerback".to_owned());
        let subscriber = telemetry::json(stack, levels, move || writer.clone());
        // With a single subscriber, parallel tests decide which lines are recorded.
        let second = Dispatch::new(NoSubscriber::default());
        Self {
            world,
            meter,
            lines,
            http_calls: Cell::default(),
            deliveries: Cell::default(),
            sweeps: Cell::default(),
            seen: Cell::default(),
            is_cold,
            _logging: tracing::subscriber::set_default(subscriber),
            _second: second,
        }
    }

    /// Runs an invocation, whose log lines name it as the Lambda runtime does.
    async fn invoke<T>(&self, count: &Cell<u32>, invocation: impl Future<Output = T>) -> T {
        if self.is_cold {
            self.world.system.clock.advance(CACHES_EXPIRE);
        }
        count.set(count.get() + 1);
        let span = tracing::info_span!(
            "Lambda runtime invoke",
            requestId = "8be8bf7c-5c5d-4a4b-9b8f-0e0e0e0e0e0e",
            xrayTraceId = XRAY_TRACE
        );
        invocation.instrument(span).await
    }

    /// Calls with the account's key. A response that is not a success fails the test.
    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Value {
        let headers: Vec<_> = headers.iter().copied().chain([TRACE]).collect();
        let call = self.world.call_with(method.clone(), path, &headers, body);
        let answer = self.invoke(&self.http_calls, call).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text());
        serde_json::from_slice(&answer.bytes).unwrap_or_default()
    }

    /// Calls without a key.
    async fn visit(&self, method: Method, path: &str, content_type: &str, body: &str) -> String {
        let headers = [("content-type", content_type), TRACE];
        let body = Bytes::from(body.to_owned());
        let call = self.world.send(method.clone(), path, &headers, body);
        let answer = self.invoke(&self.http_calls, call).await;
        let is_ok = answer.status.is_success() || answer.status == StatusCode::SEE_OTHER;
        assert!(is_ok, "{method} {path}: {} {}", answer.status, answer.text());
        answer.text()
    }

    /// Opens the page of a recipient.
    async fn open_page(&self, request: &Value, recipient: usize) -> Page {
        let path = format!("/a/{}", token(request, recipient));
        let page = self.visit(Method::GET, &path, "text/plain", "").await;
        self.world.system.clock.advance(answerback::domain::assurance::READING_TIME_MIN);
        Page { nonce: nonce_of(&page).expect("a form"), path }
    }

    async fn send_form(&self, page: &Page) {
        let form = format!("option=approve&nonce={}", page.nonce);
        let form_type = "application/x-www-form-urlencoded";
        self.visit(Method::POST, &page.path, form_type, &form).await;
    }

    async fn answer(&self, request: &Value, recipient: usize, by: By) {
        if by == By::Json {
            let path = format!("/v1/answers/{}", token(request, recipient));
            let answer = r#"{"option": "approve"}"#;
            self.visit(Method::POST, &path, "application/json", answer).await;
            return;
        }
        let page = self.open_page(request, recipient).await;
        self.send_form(&page).await;
        self.visit(Method::GET, &page.path, "text/plain", "").await;
    }

    /// Follows hints as Lambda does: up to ten at once.
    async fn follow_hints(&self) {
        let deliver = async || {
            let n = self.world.system.deliver(Lane::Fast, Duration::ZERO).await.expect("a queue");
            (n > 0).then_some(n)
        };
        while self.invoke(&self.deliveries, deliver()).await.is_some() {}
        // The last one found nothing.
        self.deliveries.set(self.deliveries.get() - 1);
    }

    async fn sweep(&self) {
        self.invoke(&self.sweeps, self.world.system.sweep()).await;
    }

    /// What was counted since the last call of this.
    fn take(&self) -> Usage {
        let bill = self.meter.take();
        let (writes, reads) = (bill.writes(), bill.reads());
        let now = Seen { callbacks: self.world.posts().len(), log_bytes: self.lines.text().len() };
        let before = self.seen.replace(now);
        let count = |now: usize, before: usize| u32::try_from(now - before).expect("few");
        let deliveries = self.deliveries.take();
        Usage {
            write_units: writes.units,
            read_units: reads.units,
            dynamodb_calls: writes.n_calls + reads.n_calls,
            sqs_calls: bill.n_sends() + 2 * deliveries,
            http_calls: self.http_calls.take(),
            deliveries,
            sweeps: self.sweeps.take(),
            callbacks: count(now.callbacks, before.callbacks),
            log_bytes: count(now.log_bytes, before.log_bytes),
        }
    }

    /// A request, an answer of each recipient, and a callback.
    async fn live(&self, life: Life) {
        let question = question(life.n_recipients);
        let request = self.call(Method::POST, "/v1/requests", &[], question).await;
        for recipient in 0..life.n_recipients {
            self.answer(&request, recipient, life.by).await;
        }
        self.follow_hints().await;
    }

    async fn post_event(&self) {
        let data = json!({ "executionId": "x", "status": "failed" });
        let event = json!({ "type": "job.failed", "data": data });
        self.call(Method::POST, "/v1/events", &[], event).await;
        self.follow_hints().await;
    }
}

struct Page {
    path: String,
    nonce: String,
}

/// The second of two equal lifecycles, because the first one fills caches.
async fn lifecycle(life: Life) -> Usage {
    let bench = Bench::start(life.is_cold).await;
    bench.live(life).await;
    bench.take();
    bench.live(life).await;
    let usage = bench.take();
    assert_eq!(usage.callbacks, 1);
    usage
}

async fn event(n_webhooks: u32) -> Usage {
    let bench = Bench::start(false).await;
    for number in 0..n_webhooks {
        let hook = json!({
            "id": format!("hook-{number}"), "event_types": ["job.failed"],
            "url": format!("https://hooks.example.com/{number}"),
        });
        bench.call(Method::POST, "/v1/webhooks", &[], hook).await;
    }
    bench.post_event().await;
    bench.take();
    bench.post_event().await;
    let units = bench.take();
    assert_eq!(units.callbacks, n_webhooks);
    units
}

/// A sweep that finds nothing.
async fn idle_sweep() -> Usage {
    let bench = Bench::start(false).await;
    bench.sweep().await;
    bench.take();
    bench.sweep().await;
    bench.take()
}

/// The results as JSON.
fn rows(prices: &Prices, all: &[(String, Usage)]) -> Value {
    let rows = all.iter().map(|(name, units)| {
        let parts = prices.of(units);
        let dollars: f64 = parts.values().sum();
        json!({ "name": name, "usage": units, "parts": parts, "dollars_per_million": dollars })
    });
    rows.collect()
}

#[tokio::test]
async fn million_lifecycles_have_their_price() {
    let prices = Prices::load();
    let mut lifecycles = Vec::new();
    for (n_recipients, by, is_cold) in [
        (1, By::Json, false),
        (2, By::Json, false),
        (2, By::Page, false),
        (2, By::Page, true),
        (5, By::Page, false),
        (10, By::Page, false),
        (100, By::Page, false),
    ] {
        let caches = if is_cold { ", empty caches" } else { "" };
        let name = format!("{n_recipients} by {by:?}{caches}").to_lowercase();
        lifecycles.push((name, lifecycle(Life { n_recipients, by, is_cold }).await));
    }
    let mut events = Vec::new();
    for n_webhooks in [0, 1, 10, 50] {
        events.push((format!("{n_webhooks} webhooks"), event(n_webhooks).await));
    }
    let sweep = idle_sweep().await;
    // A million lifecycles in a month share the month's sweeps.
    let sweeps: f64 = prices.of(&sweep).values().sum::<f64>() * SWEEPS_PER_MONTH / MILLION;
    if let Some(file) = std::env::var_os("UNITS_JSON") {
        let results = json!({
            "lifecycles": rows(&prices, &lifecycles),
            "events": rows(&prices, &events),
            "operations": rows(&prices, &Box::pin(operations::all()).await),
            "sweep": rows(&prices, &[("idle".to_owned(), sweep)])[0],
            "sweeps_of_a_month": sweeps,
            "dollars_max": DOLLARS_MAX,
        });
        std::fs::write(file, format!("{results:#}\n")).expect("the file can be written");
    }
    for ((by, dollars_max), (_, usage)) in DOLLARS_MAX.into_iter().zip(&lifecycles[1..]) {
        let n_calls = if by == By::Json { 3 } else { 7 };
        let counts = (usage.write_units, usage.http_calls, usage.deliveries, usage.sqs_calls);
        assert_eq!(counts, (12.0, n_calls, 1, 3), "{by:?}: {usage:?}");
        let dollars = prices.of(usage).values().sum::<f64>() + sweeps;
        assert!(dollars <= dollars_max, "{by:?}: {dollars:.2} dollars, {:?}", prices.of(usage));
    }
}
