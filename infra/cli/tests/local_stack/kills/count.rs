//! Nothing that was acknowledged is missing: what the program holds in the end, and what arrived,
//! held against what its callers were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use answerback::signing::verify_standard;
use axum::http::Method;
use serde_json::{Value, json};

use super::{
    callers::{Asked, create, stands},
    door::{Door, PATIENCE},
};
use crate::stack::{Arrived, Receiver, pause};

/// After so long everything whose worker was killed is with another, but for dead hints.
const LEASE: Duration = Duration::from_mins(1);
/// How often one looks whether all has been told.
const LOOK: Duration = Duration::from_millis(200);

/// How much there was.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) n_kills: u64,
    pub(crate) n_early_kills: u64,
    pub(crate) n_requests: usize,
    pub(crate) n_answers: usize,
    pub(crate) n_completed: usize,
    pub(crate) n_cancelled: usize,
    pub(crate) n_timed_out: usize,
    /// Deliveries, each of one event.
    pub(crate) n_callbacks: usize,
    /// Arrivals beyond the first of a delivery.
    pub(crate) n_repeats: usize,
    /// Arrivals at a receiver that had accepted the delivery before.
    pub(crate) n_duplicates: usize,
    pub(crate) n_lost_calls: usize,
    /// Requests that somebody had to ask about before they went on.
    pub(crate) n_woken: usize,
    pub(crate) seconds_to_rest: u64,
}

/// What a receiver knows of one delivery.
struct Told {
    event: Value,
    arrivals: Vec<Arrived>,
}

/// Waits until everybody has been told of everything that the program knows of.
///
/// Gives how many had to be woken: their hints were taken by so many killed workers that they are
/// dead, and the sweep waits for minutes with another.
pub(crate) async fn come_to_rest(door: &Door, asked: &[Asked]) -> usize {
    let began = Instant::now();
    let mut n_woken = 0;
    for asked in asked {
        let mut is_woken = false;
        while !is_at_rest(door, asked).await {
            assert!(began.elapsed() < PATIENCE, "not everything is told of {}", asked.id);
            if began.elapsed() > LEASE && !is_woken {
                // A sender who makes sure gets the same request.
                let again = create(door, &asked.key, &asked.body).await;
                assert_eq!(again["id"], *asked.id, "{}", asked.key);
                (is_woken, n_woken) = (true, n_woken + 1);
            }
            pause(LOOK).await;
        }
    }
    n_woken
}

async fn is_at_rest(door: &Door, asked: &Asked) -> bool {
    let path = format!("/v1/requests/{}", asked.id);
    let (_, request) = door.call(Method::GET, &path, &[], &Value::Null).await;
    let is_told = match text(&request["callback"]["status"]) {
        "waiting" => !asked.has_deadline(),
        // What it was told last has arrived; then all else is a delivery by now.
        "delivered" => request["status"] != "pending" || !asked.has_deadline(),
        _ => false,
    };
    is_told && deliveries(door, asked).await.iter().all(|it| it["status"] == "delivered")
}

/// Counts, and holds everything against everything.
pub(crate) async fn count(door: &Door, asked: &mut [Asked], receiver: &Receiver) -> Count {
    let mut count = Count { n_lost_calls: door.n_lost(), ..Count::default() };
    let (_, secret) = door.call(Method::GET, "/v1/secret?reveal=true", &[], &Value::Null).await;
    let mut told = arrived(receiver, text(&secret["secret"]));
    count.n_callbacks = told.len();
    for told in told.values() {
        let accepted = told.arrivals.iter().filter(|it| it.status == 204).count();
        assert!(accepted > 0, "{} was given up", told.event);
        count.n_repeats += told.arrivals.len() - 1;
        count.n_duplicates += accepted - 1;
    }
    assert_eq!(listed(door).await, asked.iter().map(|it| it.id.clone()).collect());

    for asked in &mut *asked {
        let request = asked.look(door).await;
        check_end(asked, &request);
        // Whoever reads `once` for the first time does so only now.
        asked.read(door).await;
        let deliveries = deliveries(door, asked).await;
        let mut kinds: Vec<&str> = deliveries.iter().map(|it| text(&it["event_type"])).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, events(asked, &request), "{request}");
        let ids: Vec<&str> = deliveries.iter().map(|it| text(&it["id"])).collect();
        let told: Vec<Told> = ids.iter().filter_map(|it| told.remove(*it)).collect();
        assert_eq!(told.len(), ids.len(), "not everything arrived that is said to have");
        check_told(asked, &request, &told);

        count.n_requests += 1;
        count.n_answers += asked.answers.len();
        count.n_completed += usize::from(request["outcome"] == "completed");
        count.n_cancelled += usize::from(request["outcome"] == "cancelled");
        count.n_timed_out += usize::from(request["outcome"] == "timed_out");
    }
    assert!(told.is_empty(), "{} deliveries that nobody knows", told.len());
    count
}

/// Everything that arrived, by delivery: always the same bytes under one signed name.
fn arrived(receiver: &Receiver, secret: &str) -> BTreeMap<String, Told> {
    let mut all: BTreeMap<String, Told> = BTreeMap::new();
    for arrived in receiver.arrived() {
        let name = |name| arrived.header(name);
        assert!(verify_standard(
            secret,
            name("webhook-id"),
            name("webhook-timestamp"),
            &arrived.body,
            name("webhook-signature"),
        ));
        let event: Value = serde_json::from_slice(&arrived.body).expect("JSON");
        assert_eq!(event["type"], name("answerback-event"));
        let id = name("webhook-id").to_owned();
        let told = all.entry(id).or_insert(Told { event, arrivals: Vec::new() });
        if let Some(before) = told.arrivals.first() {
            assert_eq!(before.body, arrived.body);
        }
        let attempt = name("answerback-attempt");
        let is_new = told.arrivals.iter().all(|it| it.header("answerback-attempt") != attempt);
        assert!(is_new, "attempt {attempt} came twice: {}", told.event);
        told.arrivals.push(arrived);
    }
    let events: BTreeSet<&str> = all.values().map(|it| text(&it.event["id"])).collect();
    assert_eq!(events.len(), all.len(), "an event came under two names");
    all
}

/// The request is as its sender and recipients were told.
fn check_end(asked: &Asked, request: &Value) {
    let is_complete = asked.answers.len() == asked.emails.len();
    assert!(!(is_complete && asked.is_cancelled), "{request}");
    let outcome = match () {
        () if is_complete => json!("completed"),
        () if asked.is_cancelled => json!("cancelled"),
        () if asked.has_deadline() => json!("timed_out"),
        () => Value::Null,
    };
    assert_eq!(request["outcome"], outcome, "{request}");
    if outcome == "timed_out" {
        assert_eq!(request["finished_at"], request["deadline"]);
    }
    if !asked.is_once() {
        check_responses(asked, request);
    }
}

/// Every answer that was acknowledged is there, and no other.
fn check_responses(asked: &Asked, told: &Value) {
    let responses = told["responses"].as_array().expect("a list");
    assert_eq!(responses.len(), asked.emails.len());
    for (row, response) in responses.iter().enumerate() {
        match asked.answers.get(&row) {
            Some(answer) => assert!(stands(response, answer), "{told} after {answer}"),
            None => assert_eq!(response["option"], Value::Null, "{told}"),
        }
    }
}

/// The receiver was told the same.
fn check_told(asked: &mut Asked, request: &Value, told: &[Told]) {
    let mut rows = BTreeSet::new();
    for Told { event, arrivals } in told {
        let data = &event["data"];
        assert_eq!(data["request_id"], *asked.id);
        match text(&event["type"]) {
            "request.created" => assert_eq!(data["status"], "pending"),
            "request.answered" => {
                let response = &data["responses"][0];
                let mut answers = asked.answers.iter();
                let row = answers.find(|(_, answer)| stands(response, answer));
                let (row, _) = row.unwrap_or_else(|| panic!("nobody said {event}"));
                assert!(rows.insert(*row), "told once more by {event}");
            }
            _ => {
                asked.saw(data);
                check_responses(asked, data);
                assert!(asked.result.as_ref().is_none_or(|it| it == data), "{event}");
                if data["outcome"] == "timed_out" {
                    assert!(arrivals.iter().all(|it| asked.deadline <= it.at), "early: {event}");
                }
                assert_eq!(data["outcome"], request["outcome"]);
            }
        }
    }
}

/// The events that the callback of this request is to be told of, by name.
fn events(asked: &Asked, request: &Value) -> Vec<&'static str> {
    let mut events = Vec::new();
    if asked.body["callback"]["events"].as_array().expect("a list").len() > 2 {
        events.extend(vec!["request.answered"; asked.answers.len()]);
        events.push("request.created");
    }
    match text(&request["status"]) {
        "finished" => events.push("request.finished"),
        "cancelled" => events.push("request.cancelled"),
        _ => (),
    }
    events.sort_unstable();
    events
}

/// The deliveries that there are, which are all on one page.
async fn deliveries(door: &Door, asked: &Asked) -> Vec<Value> {
    let path = format!("/v1/deliveries?request_id={}", asked.id);
    let (_, list) = door.call(Method::GET, &path, &[], &Value::Null).await;
    list["data"].as_array().expect("a list").clone()
}

/// The identifiers of all requests that there are.
async fn listed(door: &Door) -> BTreeSet<String> {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/v1/requests?limit=100{cursor}");
        let (_, page) = door.call(Method::GET, &path, &[], &Value::Null).await;
        let data = page["data"].as_array().expect("a list");
        ids.extend(data.iter().map(|it| text(&it["id"]).to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { return ids };
        cursor = format!("&cursor={next}");
    }
}

impl Count {
    /// Adds what another folder's count was.
    pub(crate) fn add(&mut self, other: &Self) {
        self.n_kills += other.n_kills;
        self.n_early_kills += other.n_early_kills;
        self.n_requests += other.n_requests;
        self.n_answers += other.n_answers;
        self.n_completed += other.n_completed;
        self.n_cancelled += other.n_cancelled;
        self.n_timed_out += other.n_timed_out;
        self.n_callbacks += other.n_callbacks;
        self.n_repeats += other.n_repeats;
        self.n_duplicates += other.n_duplicates;
        self.n_lost_calls += other.n_lost_calls;
        self.n_woken += other.n_woken;
        self.seconds_to_rest = self.seconds_to_rest.max(other.seconds_to_rest);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
