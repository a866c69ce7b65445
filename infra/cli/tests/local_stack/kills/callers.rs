//! Those who ask and answer while the program is killed, and what they were told.
//!
//! Who gets no answer makes the same call again, as real callers do. Whatever they are told is
//! held against what they were told before: an end never changes, and none comes early.

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

use super::{Chance, door::Door};

/// How an end is told, wherever it is.
const END: [&str; 5] = ["status", "outcome", "decided_by", "decision", "finished_at"];

/// A request, as its sender and recipients know it.
pub(crate) struct Asked {
    pub(crate) key: String,
    pub(crate) body: Value,
    pub(crate) id: String,
    pub(crate) deadline: Timestamp,
    pub(crate) emails: Vec<Value>,
    /// One for each recipient.
    tokens: Vec<String>,
    /// The answers that were acknowledged, by recipient.
    pub(crate) answers: BTreeMap<usize, Value>,
    pub(crate) is_cancelled: bool,
    /// How it ended, once somebody has been told.
    pub(crate) end: Option<Value>,
    /// Its result, once somebody has read it.
    pub(crate) result: Option<Value>,
    /// Reads of the result that got no answer.
    n_lost_reads: u64,
}

/// Asks one question after the other, brings each as far as chance wants it, and looks at them.
pub(crate) async fn keep_asking(
    client: u64,
    door: Door,
    callback_url: String,
    mut chance: Chance,
    is_over: Arc<AtomicBool>,
) -> Vec<Asked> {
    let mut all = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let key = format!("client {client}, question {}", all.len());
        let mut asked = Asked::ask(&door, key, &callback_url, &mut chance).await;
        match chance.below(10) {
            0..4 => asked.answer_all(&door, &mut chance, asked.emails.len()).await,
            4..6 => asked.cancel_while_one_answers(&door, &mut chance).await,
            // Left to its deadline, or open.
            _ => asked.answer_all(&door, &mut chance, asked.emails.len() - 1).await,
        }
        all.push(asked);
        let earlier = usize::try_from(chance.below(all.len() as u64)).expect("an index");
        all[earlier].look(&door).await;
        all[earlier].read(&door).await;
    }
    all
}

impl Asked {
    /// Asks until told which request it is; and sometimes once more, which must make no other.
    async fn ask(door: &Door, key: String, callback_url: &str, chance: &mut Chance) -> Self {
        let emails = ["a", "b", "c"].map(|it| json!(format!("{it}@example.com")));
        let emails = match chance.below(4) {
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
            "timeout_seconds": if chance.one_in(3) { 5 } else { 86_400 },
            "read": { "mode": if chance.one_in(3) { "once" } else { "repeat" } },
            "callback_url": callback_url,
            "callback": {
                "events": if chance.one_in(3) { &all[..] } else { &ends[..] },
                "retry": { "delays_seconds": vec![1; 20], "jitter": 0 },
                "probe": false,
            },
        });
        if emails[0].is_string() {
            body["recipients"] = emails.clone().into();
        }
        let request = create(door, &key, &body).await;
        if chance.one_in(4) {
            assert_eq!(create(door, &key, &body).await["id"], request["id"]);
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

    /// The first `n` recipients answer, all at once.
    async fn answer_all(&mut self, door: &Door, chance: &mut Chance, n: usize) {
        let mut chances = [1, 2, 3].map(|it| chance.apart(it));
        let [first, second, third] = &mut chances;
        let answers = tokio::join!(
            self.answer_if(0 < n, door, first, 0),
            self.answer_if(1 < n, door, second, 1),
            self.answer_if(2 < n, door, third, 2),
        );
        self.answers.extend([answers.0, answers.1, answers.2].into_iter().flatten());
    }

    async fn answer_if(
        &self,
        does: bool,
        door: &Door,
        chance: &mut Chance,
        row: usize,
    ) -> Option<(usize, Value)> {
        if does { self.answer(door, chance, row).await } else { None }
    }

    async fn cancel_while_one_answers(&mut self, door: &Door, chance: &mut Chance) {
        let (answer, is_cancelled) = tokio::join!(self.answer(door, chance, 0), self.cancel(door));
        self.answers.extend(answer);
        self.is_cancelled = is_cancelled;
    }

    /// Answers until told whether that counts. The first answer stands, whatever is said later.
    async fn answer(&self, door: &Door, chance: &mut Chance, row: usize) -> Option<(usize, Value)> {
        let path = if self.is_once() || chance.one_in(2) {
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
        let option = if chance.one_in(2) { "approve" } else { "reject" };
        let first = answer(option, format!("because of {:x}", chance.next()));
        let (status, told) = door.call(Method::POST, &path, &[], &first).await;
        match (status, told["code"].as_str()) {
            (StatusCode::OK, _) if path.ends_with("/responses") => {
                assert!(stands(&told["responses"][row], &first), "{told} after {first}");
            }
            (StatusCode::OK, _) | (StatusCode::CONFLICT, Some("already_answered")) => {
                assert!(stands(&told["response"], &first), "{told} after {first}");
            }
            (StatusCode::GONE, Some("request_ended")) => return None,
            _ => panic!("{status} {told} after {first}"),
        }
        if chance.one_in(4) {
            let second = answer(option, "because of nothing".to_owned());
            let (status, told) = door.call(Method::POST, &path, &[], &second).await;
            assert_eq!((status, &told["code"]), (StatusCode::CONFLICT, &json!("already_answered")));
            assert!(stands(&told["response"], &first), "{told} after {first} and {second}");
        }
        Some((row, first))
    }

    /// Cancels until told whether that counts.
    async fn cancel(&self, door: &Door) -> bool {
        let path = format!("/v1/requests/{}/cancel", self.id);
        let (status, told) = door.call(Method::POST, &path, &[], &Value::Null).await;
        match (status, told["code"].as_str()) {
            (StatusCode::OK, _) => true,
            // Perhaps by this very call, when its answer was lost.
            (StatusCode::CONFLICT, Some("already_finished")) => told["outcome"] == "cancelled",
            _ => panic!("{status} {told}"),
        }
    }

    /// Looks at the request, and gives it.
    pub(crate) async fn look(&mut self, door: &Door) -> Value {
        let path = format!("/v1/requests/{}", self.id);
        let (status, request) = door.call(Method::GET, &path, &[], &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{request}");
        self.saw(&request);
        request
    }

    /// Has two readers read the result at once, each one time.
    pub(crate) async fn read(&mut self, door: &Door) {
        let path = format!("/v1/requests/{}/result", self.id);
        let read = || door.try_call(Method::GET, &path, &[], &Value::Null);
        let (one, other) = tokio::join!(read(), read());
        let mut is_taken = false;
        for read in [one, other] {
            let Some((status, told)) = read else {
                self.n_lost_reads += 1;
                continue;
            };
            assert_eq!(status, StatusCode::OK, "{told}");
            match told["status"].as_str() {
                Some("pending") => (),
                Some("submitted") => {
                    self.saw(&told["result"]);
                    let before = self.result.replace(told["result"].clone());
                    assert!(!(self.is_once() && before.is_some()), "read twice: {told}");
                    assert!(before.is_none_or(|it| it == told["result"]), "it changed: {told}");
                }
                Some("already_read") => is_taken = true,
                _ => panic!("{told}"),
            }
        }
        let by_us = self.is_once() && (self.result.is_some() || self.n_lost_reads > 0);
        assert!(!is_taken || by_us, "nobody got the result of {}", self.id);
    }

    /// Holds what was told against what was told before.
    pub(crate) fn saw(&mut self, told: &Value) {
        let end: Value = END.map(|it| (it.to_owned(), told[it].clone())).into_iter().collect();
        if end["status"] == "pending" {
            assert_eq!(self.end, None, "{told}");
            return;
        }
        if end["outcome"] == "timed_out" {
            assert!(self.deadline <= Clock::System.now(), "too early: {told}");
        }
        let before = self.end.get_or_insert_with(|| end.clone());
        assert_eq!(*before, end, "the end of {} changed", self.id);
    }

    /// Whether it ends by itself in the time of this test.
    pub(crate) fn has_deadline(&self) -> bool {
        self.body["timeout_seconds"] == 5
    }

    pub(crate) fn is_once(&self) -> bool {
        self.body["read"]["mode"] == "once"
    }
}

/// Makes the request of this key, whatever gets in the way.
pub(crate) async fn create(door: &Door, key: &str, body: &Value) -> Value {
    let headers = [("idempotency-key", key)];
    let (status, request) = door.call(Method::POST, "/v1/requests", &headers, body).await;
    assert_eq!(status, StatusCode::CREATED, "{request}");
    request
}

/// Whether a response says what was answered.
pub(crate) fn stands(response: &Value, answer: &Value) -> bool {
    response["option"] == answer["option"] && response["fields"] == answer["fields"]
}

pub(crate) fn at(value: &Value) -> Timestamp {
    value.as_str().and_then(|it| it.parse().ok()).expect("a time")
}
