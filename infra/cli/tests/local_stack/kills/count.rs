//! The final count: compares the program's data and the callbacks that arrived with the responses
//! that its clients received. Nothing that was acknowledged may be missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use answerback::signing::verify_standard;
use axum::http::Method;
use serde_json::{Value, json};

use super::{
    LEASE_SECONDS,
    clients::{TrackedRequest, create, matches},
    endpoint::{Endpoint, WAIT_MAX},
};
use crate::stack::{Arrived, Receiver, pause};

/// By then another worker has taken over from every killed one, except where a hint is dead: the timer
/// of an event is a minute after it.
const RECREATE_AFTER: Duration = Duration::from_secs(60 + 3 * LEASE_SECONDS);
/// Interval between checks if everything has arrived.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The totals of a run.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) n_kills: u64,
    pub(crate) n_early_kills: u64,
    pub(crate) n_requests: usize,
    pub(crate) n_answers: usize,
    pub(crate) n_completed: usize,
    pub(crate) n_cancelled: usize,
    pub(crate) n_timed_out: usize,
    /// Deliveries that arrived.
    pub(crate) n_callbacks: usize,
    /// Arrivals beyond the first of a delivery.
    pub(crate) n_repeats: usize,
    /// Arrivals at a receiver that had accepted the delivery before.
    pub(crate) n_duplicates: usize,
    pub(crate) n_lost_calls: usize,
    /// Requests that continued only after a client created them again.
    pub(crate) n_recreated: usize,
    pub(crate) seconds_to_idle: u64,
}

/// One delivery, as the receiver got it.
struct Received {
    event: Value,
    arrivals: Vec<Arrived>,
}

/// Waits until every delivery of every request has arrived.
///
/// Returns the number of requests that had to be created again. Their hints are dead, because too
/// many killed workers had received them, and the sweep sends another only after minutes.
pub(crate) async fn wait_until_idle(endpoint: &Endpoint, tracked: &[TrackedRequest]) -> usize {
    let began = Instant::now();
    let mut n_recreated = 0;
    for tracked in tracked {
        let mut is_recreated = false;
        while !is_idle(endpoint, tracked).await {
            assert!(began.elapsed() < WAIT_MAX, "not all events of {} arrived", tracked.id);
            if began.elapsed() > RECREATE_AFTER && !is_recreated {
                // A repeated call with the same idempotency key returns the same request.
                let again = create(endpoint, &tracked.key, &tracked.body).await;
                assert_eq!(again["id"], *tracked.id, "{}", tracked.key);
                (is_recreated, n_recreated) = (true, n_recreated + 1);
            }
            pause(CHECK_INTERVAL).await;
        }
    }
    n_recreated
}

async fn is_idle(endpoint: &Endpoint, tracked: &TrackedRequest) -> bool {
    let path = format!("/v1/requests/{}", tracked.id);
    let (_, request) = endpoint.call(Method::GET, &path, &[], &Value::Null).await;
    let is_notified = match text(&request["callback"]["status"]) {
        "waiting" => !tracked.has_deadline(),
        // The last event has arrived.
        "delivered" => request["status"] != "pending" || !tracked.has_deadline(),
        _ => false,
    };
    if !is_notified {
        return false;
    }
    let deliveries = deliveries(endpoint, tracked).await;
    deliveries.len() >= expected_events(tracked, &request).len()
        && deliveries.iter().all(|it| it["status"] == "delivered")
}

/// Compares everything, and returns the totals.
pub(crate) async fn count(
    endpoint: &Endpoint,
    tracked: &mut [TrackedRequest],
    receiver: &Receiver,
) -> Count {
    let mut count = Count { n_lost_calls: endpoint.n_lost(), ..Count::default() };
    let (_, secret) = endpoint.call(Method::GET, "/v1/secret?reveal=true", &[], &Value::Null).await;
    let mut seen = arrived(receiver, text(&secret["secret"]));
    count.n_callbacks = seen.len();
    for seen in seen.values() {
        let accepted = seen.arrivals.iter().filter(|it| it.status == 204).count();
        assert!(accepted > 0, "{} was dead-lettered", seen.event);
        count.n_repeats += seen.arrivals.len() - 1;
        count.n_duplicates += accepted - 1;
    }
    assert_eq!(listed(endpoint).await, tracked.iter().map(|it| it.id.clone()).collect());

    for tracked in &mut *tracked {
        let request = tracked.look(endpoint).await;
        check_end(tracked, &request);
        // Results with `once` that no client has read yet are read now.
        tracked.read(endpoint).await;
        let deliveries = deliveries(endpoint, tracked).await;
        let mut kinds: Vec<&str> = deliveries.iter().map(|it| text(&it["event_type"])).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, expected_events(tracked, &request), "{request}");
        let ids: Vec<&str> = deliveries.iter().map(|it| text(&it["id"])).collect();
        let seen: Vec<Received> = ids.iter().filter_map(|it| seen.remove(*it)).collect();
        assert_eq!(seen.len(), ids.len(), "a delivered delivery did not arrive");
        check_events(tracked, &request, &seen);

        count.n_requests += 1;
        count.n_answers += tracked.answers.len();
        count.n_completed += usize::from(request["outcome"] == "completed");
        count.n_cancelled += usize::from(request["outcome"] == "cancelled");
        count.n_timed_out += usize::from(request["outcome"] == "timed_out");
    }
    assert!(seen.is_empty(), "{} arrived deliveries belong to no request", seen.len());
    count
}

/// Everything that arrived, by delivery. All attempts of a delivery have the same bytes.
fn arrived(receiver: &Receiver, secret: &str) -> BTreeMap<String, Received> {
    let mut all: BTreeMap<String, Received> = BTreeMap::new();
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
        let seen = all.entry(id).or_insert(Received { event, arrivals: Vec::new() });
        if let Some(before) = seen.arrivals.first() {
            assert_eq!(before.body, arrived.body);
        }
        let attempt = name("answerback-attempt");
        let is_new = seen.arrivals.iter().all(|it| it.header("answerback-attempt") != attempt);
        assert!(is_new, "attempt {attempt} came twice: {}", seen.event);
        seen.arrivals.push(arrived);
    }
    let events: BTreeSet<&str> = all.values().map(|it| text(&it.event["id"])).collect();
    assert_eq!(events.len(), all.len(), "an event has two deliveries");
    all
}

/// Checks that the request ended as its clients were informed.
fn check_end(tracked: &TrackedRequest, request: &Value) {
    let is_complete = tracked.answers.len() == tracked.emails.len();
    assert!(!(is_complete && tracked.is_cancelled), "{request}");
    let outcome = match () {
        () if is_complete => json!("completed"),
        () if tracked.is_cancelled => json!("cancelled"),
        () if tracked.has_deadline() => json!("timed_out"),
        () => Value::Null,
    };
    assert_eq!(request["outcome"], outcome, "{request}");
    if outcome == "timed_out" {
        assert_eq!(request["finished_at"], request["deadline"]);
    }
    if !tracked.is_once() {
        check_responses(tracked, request);
    }
}

/// Checks that the responses are exactly the acknowledged answers.
fn check_responses(tracked: &TrackedRequest, received: &Value) {
    let responses = received["responses"].as_array().expect("a list");
    assert_eq!(responses.len(), tracked.emails.len());
    for (row, response) in responses.iter().enumerate() {
        match tracked.answers.get(&row) {
            Some(answer) => assert!(matches(response, answer), "{received} after {answer}"),
            None => assert_eq!(response["option"], Value::Null, "{received}"),
        }
    }
}

/// Checks that the receiver got the same answers and the same end.
fn check_events(tracked: &mut TrackedRequest, request: &Value, received: &[Received]) {
    let mut rows = BTreeSet::new();
    for Received { event, arrivals } in received {
        let data = &event["data"];
        assert_eq!(data["request_id"], *tracked.id);
        match text(&event["type"]) {
            "request.created" => assert_eq!(data["status"], "pending"),
            "request.answered" => {
                let response = &data["responses"][0];
                let mut answers = tracked.answers.iter();
                let row = answers.find(|(_, answer)| matches(response, answer));
                let (row, _) =
                    row.unwrap_or_else(|| panic!("no client sent the answer in {event}"));
                assert!(rows.insert(*row), "a second event for the same answer: {event}");
            }
            _ => {
                tracked.saw(data);
                check_responses(tracked, data);
                assert!(tracked.result.as_ref().is_none_or(|it| it == data), "{event}");
                if data["outcome"] == "timed_out" {
                    assert!(arrivals.iter().all(|it| tracked.deadline <= it.at), "early: {event}");
                }
                assert_eq!(data["outcome"], request["outcome"]);
            }
        }
    }
}

/// The types of events that the callback of this request must receive.
fn expected_events(tracked: &TrackedRequest, request: &Value) -> Vec<&'static str> {
    let mut events = Vec::new();
    if tracked.body["callback"]["events"].as_array().expect("a list").len() > 2 {
        events.extend(vec!["request.answered"; tracked.answers.len()]);
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

/// The deliveries of a request. They fit on one page.
async fn deliveries(endpoint: &Endpoint, tracked: &TrackedRequest) -> Vec<Value> {
    let path = format!("/v1/deliveries?request_id={}", tracked.id);
    let (_, list) = endpoint.call(Method::GET, &path, &[], &Value::Null).await;
    list["data"].as_array().expect("a list").clone()
}

/// The ids of all requests.
async fn listed(endpoint: &Endpoint) -> BTreeSet<String> {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/v1/requests?limit=100{cursor}");
        let (_, page) = endpoint.call(Method::GET, &path, &[], &Value::Null).await;
        let data = page["data"].as_array().expect("a list");
        ids.extend(data.iter().map(|it| text(&it["id"]).to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { return ids };
        cursor = format!("&cursor={next}");
    }
}

impl Count {
    /// Adds the totals of another folder.
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
        self.n_recreated += other.n_recreated;
        self.seconds_to_idle = self.seconds_to_idle.max(other.seconds_to_idle);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
