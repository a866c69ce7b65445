//! Clients that create and answer requests while the program is killed.
//!
//! A client without a response repeats its call, as real clients do. Every response is compared with
//! earlier ones: the end of a request never changes and never comes early.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use answerback::platform::Clock;
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Random, endpoint::Endpoint};

/// The members that describe the end of a request, in responses and events.
const END: [&str; 5] = ["status", "outcome", "decided_by", "decision", "finished_at"];

/// A request, as its clients know it.
pub(crate) struct TrackedRequest {
    pub(crate) key: String,
    pub(crate) body: Value,
    pub(crate) id: String,
    pub(crate) deadline: Timestamp,
    pub(crate) emails: Vec<Value>,
    /// The link token of each recipient.
    tokens: Vec<String>,
    /// The answers that were acknowledged, by recipient.
    pub(crate) answers: BTreeMap<usize, Value>,
    pub(crate) is_cancelled: bool,
    /// The end, once a client has seen it.
    pub(crate) end: Option<Value>,
    /// The result, once a client has read it.
    pub(crate) result: Option<Value>,
    /// Reads of the result that got no response.
    n_lost_reads: u64,
}

/// Creates requests one after the other, answers or cancels them at random, and reads them.
pub(crate) async fn keep_asking(
    client: u64,
    endpoint: Endpoint,
    callback_url: String,
    mut random: Random,
    is_over: Arc<AtomicBool>,
) -> Vec<TrackedRequest> {
    let mut all = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let key = format!("client {client}, question {}", all.len());
        let mut asked = TrackedRequest::ask(&endpoint, key, &callback_url, &mut random).await;
        match random.below(10) {
            0..4 => asked.answer_all(&endpoint, &mut random, asked.emails.len()).await,
            4..6 => asked.cancel_while_one_answers(&endpoint, &mut random).await,
            // Not every recipient answers: the request times out or stays open.
            _ => asked.answer_all(&endpoint, &mut random, asked.emails.len() - 1).await,
        }
        all.push(asked);
        let earlier = usize::try_from(random.below(all.len() as u64)).expect("an index");
        all[earlier].look(&endpoint).await;
        all[earlier].read(&endpoint).await;
    }
    all
}

impl TrackedRequest {
    /// Creates a request. Sometimes repeats the call, which must not create another.
    async fn ask(
        endpoint: &Endpoint,
        key: String,
        callback_url: &str,
        random: &mut Random,
    ) -> Self {
        let emails = ["a", "b", "c"].map(|it| json!(format!("{it}@example.com")));
        let emails = match random.below(4) {
            0 => vec![Value::Null],
            1 => emails[..1].to_vec(),
            _ => emails.to_vec(),
        };
        let ends = ["request.finished", "request.cancelled"];
        let all = ["request.created", "request.answered", ends[0], ends[1]];
        let mut body = json!({
            "title": key,
            "options": [
                { "value": "approve", "label": "Approve" },
                { "value": "reject", "label": "Reject" },
            ],
            "fields": [{ "key": "why", "type": "text", "label": "Why?" }],
            "timeout_seconds": if random.one_in(3) { 5 } else { 86_400 },
            "read": { "mode": if random.one_in(3) { "once" } else { "repeat" } },
            "callback_url": callback_url,
            "callback": {
                "events": if random.one_in(3) { &all[..] } else { &ends[..] },
                "retry": { "delays_seconds": vec![1; 20], "jitter": 0 },
                "probe": "skip",
            },
        });
        if emails[0].is_string() {
            body["recipients"] = emails.clone().into();
        }
        let request = create(endpoint, &key, &body).await;
        if random.one_in(4) {
            assert_eq!(create(endpoint, &key, &body).await["id"], request["id"]);
        }
        let recipients = request["recipients"].as_array().expect("a list").iter();
        let links = recipients.map(|it| it["answer_url"].as_str().expect("a link"));
        Self {
            tokens: links.map(|it| it.split_once("/a/").expect("a token").1.to_owned()).collect(),
            id: request["id"].as_str().expect("an id").to_owned(),
            deadline: at(&request["deadline"]),
            key,
            body,
            emails,
            answers: BTreeMap::new(),
            is_cancelled: false,
            end: None,
            result: None,
            n_lost_reads: 0,
        }
    }

    /// The first `n` recipients answer concurrently.
    async fn answer_all(&mut self, endpoint: &Endpoint, random: &mut Random, n: usize) {
        let mut randoms = [1, 2, 3].map(|it| random.fork(it));
        let [first, second, third] = &mut randoms;
        let answers = tokio::join!(
            self.answer_if(0 < n, endpoint, first, 0),
            self.answer_if(1 < n, endpoint, second, 1),
            self.answer_if(2 < n, endpoint, third, 2),
        );
        self.answers.extend([answers.0, answers.1, answers.2].into_iter().flatten());
    }

    async fn answer_if(
        &self,
        does: bool,
        endpoint: &Endpoint,
        random: &mut Random,
        row: usize,
    ) -> Option<(usize, Value)> {
        if does { self.answer(endpoint, random, row).await } else { None }
    }

    async fn cancel_while_one_answers(&mut self, endpoint: &Endpoint, random: &mut Random) {
        let (answer, is_cancelled) =
            tokio::join!(self.answer(endpoint, random, 0), self.cancel(endpoint));
        self.answers.extend(answer);
        self.is_cancelled = is_cancelled;
    }

    /// Answers for one recipient. The first answer counts, whatever comes later.
    async fn answer(
        &self,
        endpoint: &Endpoint,
        random: &mut Random,
        row: usize,
    ) -> Option<(usize, Value)> {
        let path = if self.is_once() || random.one_in(2) {
            format!("/v1/answers/{}", self.tokens[row])
        } else {
            format!("/v1/requests/{}/responses", self.id)
        };
        let answer = |option, why| {
            let mut answer = json!({ "option": option, "fields": { "why": why } });
            if path.ends_with("/responses") {
                answer["recipient"] = self.emails[row].clone();
            }
            answer
        };
        let option = if random.one_in(2) { "approve" } else { "reject" };
        let first = answer(option, format!("because of {:x}", random.next()));
        let (status, response) = endpoint.call(Method::POST, &path, &[], &first).await;
        match (status, response["code"].as_str()) {
            (StatusCode::OK, _) if path.ends_with("/responses") => {
                assert!(matches(&response["responses"][row], &first), "{response} after {first}");
            }
            (StatusCode::OK, _) | (StatusCode::CONFLICT, Some("already_answered")) => {
                assert!(matches(&response["response"], &first), "{response} after {first}");
            }
            (StatusCode::GONE, Some("request_ended")) => return None,
            _ => panic!("{status} {response} after {first}"),
        }
        if random.one_in(4) {
            let second = answer(option, "because of nothing".to_owned());
            let (status, response) = endpoint.call(Method::POST, &path, &[], &second).await;
            assert_eq!(
                (status, &response["code"]),
                (StatusCode::CONFLICT, &json!("already_answered"))
            );
            assert!(
                matches(&response["response"], &first),
                "{response} after {first} and {second}"
            );
        }
        Some((row, first))
    }

    /// Cancels the request. Returns false if it ended differently.
    async fn cancel(&self, endpoint: &Endpoint) -> bool {
        let path = format!("/v1/requests/{}/cancel", self.id);
        let (status, response) = endpoint.call(Method::POST, &path, &[], &json!({})).await;
        match (status, response["code"].as_str()) {
            (StatusCode::OK, _) => true,
            // Possibly by this call, if its response was lost.
            (StatusCode::CONFLICT, Some("already_finished")) => response["outcome"] == "cancelled",
            _ => panic!("{status} {response}"),
        }
    }

    /// Gets the request and checks it.
    pub(crate) async fn look(&mut self, endpoint: &Endpoint) -> Value {
        let path = format!("/v1/requests/{}", self.id);
        let (status, request) = endpoint.call(Method::GET, &path, &[], &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{request}");
        self.saw(&request);
        request
    }

    /// Reads the result with two concurrent calls, each made once.
    pub(crate) async fn read(&mut self, endpoint: &Endpoint) {
        let path = format!("/v1/requests/{}/result", self.id);
        let read = || endpoint.try_call(Method::GET, &path, &[], &Value::Null);
        let (one, other) = tokio::join!(read(), read());
        let mut is_taken = false;
        for read in [one, other] {
            let Some((status, response)) = read else {
                self.n_lost_reads += 1;
                continue;
            };
            assert_eq!(status, StatusCode::OK, "{response}");
            match response["status"].as_str() {
                Some("pending") => (),
                Some("submitted") => {
                    self.saw(&response["result"]);
                    let before = self.result.replace(response["result"].clone());
                    assert!(!(self.is_once() && before.is_some()), "read twice: {response}");
                    assert!(
                        before.is_none_or(|it| it == response["result"]),
                        "it changed: {response}"
                    );
                }
                Some("already_read") => is_taken = true,
                _ => panic!("{response}"),
            }
        }
        let by_us = self.is_once() && (self.result.is_some() || self.n_lost_reads > 0);
        assert!(!is_taken || by_us, "no client got the result of {}", self.id);
    }

    /// Compares `response` with earlier ones.
    pub(crate) fn saw(&mut self, response: &Value) {
        let end: Value = END.map(|it| (it.to_owned(), response[it].clone())).into_iter().collect();
        if end["status"] == "pending" {
            assert_eq!(self.end, None, "{response}");
            return;
        }
        if end["outcome"] == "timed_out" {
            assert!(self.deadline <= Clock::System.now(), "too early: {response}");
        }
        let before = self.end.get_or_insert_with(|| end.clone());
        assert_eq!(*before, end, "the end of {} changed", self.id);
    }

    /// True if the request times out during this test.
    pub(crate) fn has_deadline(&self) -> bool {
        self.body["timeout_seconds"] == 5
    }

    pub(crate) fn is_once(&self) -> bool {
        self.body["read"]["mode"] == "once"
    }
}

/// Creates the request with this idempotency key.
pub(crate) async fn create(endpoint: &Endpoint, key: &str, body: &Value) -> Value {
    let headers = [("idempotency-key", key)];
    let (status, request) = endpoint.call(Method::POST, "/v1/requests", &headers, body).await;
    assert_eq!(status, StatusCode::CREATED, "{request}");
    request
}

/// True if a response row has the content of an answer.
pub(crate) fn matches(response: &Value, answer: &Value) -> bool {
    response["option"] == answer["option"] && response["fields"] == answer["fields"]
}

pub(crate) fn at(value: &Value) -> Timestamp {
    value.as_str().and_then(|it| it.parse().ok()).expect("a time")
}
