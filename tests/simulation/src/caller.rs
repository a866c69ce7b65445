//! Clients of the API: senders, recipients and readers, with realistic retries.

use std::sync::Arc;

use answerback::signing::LinkToken;
use axum::{
    body::{Body, Bytes},
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};

use crate::{
    fault::{CallKind, Fault},
    fleet::{Fleet, Http},
    receiver::Hosts,
    scenario::{Action, Plan, What},
    seen::{Called, Want},
};

/// Maximum number of tries of a caller without a response.
const TRIES_MAX: i64 = 6;
/// Pause before another try, in milliseconds, multiplied by the number of tries.
const PAUSE: i64 = 1_000;
/// Longest latency to the API, in milliseconds.
const LATENCY: i64 = 20;

/// The sender of a request, with its recipients and readers.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) fleet: Arc<Fleet>,
    /// Number of the scenario's request.
    pub(crate) number: usize,
    api_key: Arc<str>,
    hosts: Hosts,
    /// Number of the first notifier's service among all receivers.
    pub(crate) first_messenger: usize,
}

/// A caller's knowledge of a request.
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) assurance: String,
    pub(crate) tokens: Vec<String>,
    /// The codes of the recipients, if they need some.
    pub(crate) codes: Vec<Option<String>>,
    pub(crate) recipients: Vec<Option<String>>,
    /// The digest of the action, if the request has one.
    digest: Option<String>,
}

/// The surroundings of all callers.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) hosts: Hosts,
    /// Number of the first notifier's service among all receivers.
    pub(crate) first_messenger: usize,
    pub(crate) api_key: Arc<str>,
}

/// Creates the request, and performs its actions.
pub(crate) async fn live(fleet: Arc<Fleet>, number: usize, plan: Plan, home: Home) {
    let world = Arc::clone(&fleet.world);
    world.sleep_until(plan.at).await;
    let Home { hosts, first_messenger, api_key } = home;
    let caller = Caller { fleet, number, api_key, hosts, first_messenger };
    let Some(known) = caller.create(&plan).await else { return };
    let known = Arc::new(known);
    let actions = plan.actions.into_iter().map(|action| {
        let (caller, known, world) = (caller.clone(), Arc::clone(&known), Arc::clone(&world));
        async move {
            world.sleep_until(plan.at + action.at).await;
            Box::pin(caller.act(&known, action)).await;
        }
    });
    futures::future::join_all(actions).await;
}

impl Caller {
    async fn create(&self, plan: &Plan) -> Option<Known> {
        let mut body = plan.body.clone();
        body["title"] = title(self.number).into();
        if body.get("callback").is_some() {
            body["callback_url"] = self.hosts.url(self.number).into();
        }
        let key = plan.has_key.then(|| format!("key-{}", self.number));
        for n_tries in 1..=TRIES_MAX {
            let request = self.request(Method::POST, "/v1/requests", key.as_deref(), Some(&body));
            match self.call(Http::Intake, request, Want::Create).await {
                Some((StatusCode::CREATED, view)) => return Some(Known::new(&view)),
                // Without a key, a second try could create a second request.
                _ if !plan.has_key => return None,
                _ => self.fleet.world.sleep(n_tries * PAUSE).await,
            }
        }
        None
    }

    async fn act(&self, known: &Known, action: Action) {
        let id = &known.id;
        match action.what {
            What::Answer(row, option) => {
                let of_message = || self.token_of_message(known, row);
                let Some(token) = known.tokens.get(row).cloned().or_else(of_message) else {
                    return;
                };
                let path = format!("/v1/answers/{token}");
                let body = json!({ "option": option, "code": known.codes.get(row) });
                self.insist(Http::Intake, Method::POST, &path, &body, Want::Answer { row, option })
                    .await;
            }
            What::Explain(row, option) => {
                let path = format!("/v1/answers/{}", known.tokens[row]);
                let fields = json!({ "why": reasons(self.number) });
                let body = json!({ "option": option, "fields": fields, "code": known.codes[row] });
                self.insist(Http::Intake, Method::POST, &path, &body, Want::Answer { row, option })
                    .await;
            }
            What::Tap(row, option, how) => Box::pin(self.tap(known, row, option, how)).await,
            What::Page(row, option) => self.answer_on_page(known, row, option).await,
            What::Scan(row, haste) => self.scan(known, row, haste).await,
            What::Respond(row, option) => {
                let path = format!("/v1/requests/{id}/responses");
                let body = json!({ "recipient": known.recipients[row], "option": option });
                self.insist(Http::Intake, Method::POST, &path, &body, Want::Answer { row, option })
                    .await;
            }
            What::Cancel => {
                let path = format!("/v1/requests/{id}/cancel");
                self.insist(Http::Intake, Method::POST, &path, &Value::Null, Want::Cancel).await;
            }
            What::Remind => self.remind(known, action.at).await,
            What::Erase => {
                let path = format!("/v1/requests/{id}");
                self.insist(Http::Intake, Method::DELETE, &path, &Value::Null, Want::Erase).await;
            }
            What::View => {
                let path = format!("/v1/requests/{id}");
                self.insist(Http::Poll, Method::GET, &path, &Value::Null, Want::View).await;
            }
            What::Read(wait) => _ = self.read(id, wait).await,
            What::ReadAndAcknowledge(after) => {
                let Some(read) = self.read(id, 0).await else { return };
                let Some(receipt) = read["receipt"].as_str() else { return };
                self.fleet.world.sleep(after).await;
                let path = format!("/v1/requests/{id}/result/ack");
                let want = Want::Acknowledge { receipt: receipt.to_owned() };
                let body = json!({ "receipt": receipt });
                self.insist(Http::Poll, Method::POST, &path, &body, want).await;
            }
            What::Post => self.post(action.at).await,
            What::Consume(number) => self.consume(known, number).await,
            What::Redeliver => {
                let path = format!("/v1/requests/{id}");
                let view =
                    self.insist(Http::Poll, Method::GET, &path, &Value::Null, Want::View).await;
                let Some(view) = view else { return };
                let Some(delivery) = view["callback"]["delivery_id"].as_str() else { return };
                let path = format!("/v1/deliveries/{delivery}/redeliver");
                let want = Want::Redeliver { delivery: delivery.to_owned() };
                self.insist(Http::Intake, Method::POST, &path, &Value::Null, want).await;
            }
        }
    }

    /// Asks for a reminder under its own idempotency key.
    async fn remind(&self, known: &Known, at: i64) {
        let key = format!("remind-{at}");
        let path = format!("/v1/requests/{}/remind", known.id);
        let call = self.request(Method::POST, &path, Some(&key), None);
        let asked_at = self.fleet.world.now();
        self.insist_on(Http::Intake, &call, Want::Remind { key, asked_at }).await;
    }

    /// The token in a message to the recipient of a row whom a step asked.
    fn token_of_message(&self, known: &Known, row: usize) -> Option<String> {
        let state = self.fleet.world.state();
        let arrived = state.seen.carried.iter().filter(|it| !it.arrived_at.is_empty());
        let is_of = |it: &&String| {
            LinkToken::parse(it)
                .is_some_and(|it| it.request.to_string() == known.id && usize::from(it.row) == row)
        };
        arrived.flat_map(|it| &it.tokens).find(is_of).cloned()
    }

    /// Uses the approval of the request's action.
    async fn consume(&self, known: &Known, number: u32) {
        let Some(digest) = &known.digest else { return };
        let key = format!("use-{number}");
        let path = format!("/v1/requests/{}/consume", known.id);
        let body = json!({ "digest": digest });
        let call = self.request(Method::POST, &path, Some(&key), Some(&body));
        self.insist_on(Http::Intake, &call, Want::Consume { key }).await;
    }

    /// Posts an event under its own idempotency key.
    async fn post(&self, at: i64) {
        let key = format!("event-{}-{at}", self.number);
        let body = json!({
            "type": "job.completed",
            "data": { "executionId": key, "status": "succeeded" },
            "callback_url": self.hosts.events_url(self.number),
            "callback": {
                "probe": "skip",
                "timeout_seconds": 3,
                "retry": { "delays_seconds": [2, 10], "jitter": 0 },
            },
        });
        let call = self.request(Method::POST, "/v1/events", Some(&key), Some(&body));
        self.insist_on(Http::Intake, &call, Want::Post { key }).await;
    }

    async fn read(&self, id: &str, wait: u32) -> Option<Value> {
        let path = format!("/v1/requests/{id}/result?wait={wait}");
        self.insist(Http::Poll, Method::GET, &path, &Value::Null, Want::Read).await
    }

    /// Repeats a call until it gets a conclusive response.
    async fn insist(
        &self,
        function: Http,
        method: Method,
        path: &str,
        body: &Value,
        want: Want,
    ) -> Option<Value> {
        let body = (!body.is_null()).then_some(body);
        self.insist_on(function, &self.request(method, path, None, body), want).await
    }

    async fn insist_on(&self, function: Http, call: &Call, want: Want) -> Option<Value> {
        for n_tries in 1..=TRIES_MAX {
            match self.call(function, call.clone(), want.clone()).await {
                Some((status, body)) if is_conclusive(status) => {
                    return status.is_success().then_some(body);
                }
                Some(_) | None => self.fleet.world.sleep(n_tries * PAUSE).await,
            }
        }
        None
    }

    /// Calls once. Returns `None` if no response arrives.
    pub(crate) async fn call(
        &self,
        function: Http,
        call: Call,
        want: Want,
    ) -> Option<(StatusCode, Value)> {
        let world = &self.fleet.world;
        let (fault, latency) = {
            let mut state = world.state();
            let what = || format!("caller {}: {} {}", self.number, call.method, call.path);
            (state.next_fault(CallKind::Caller, what), state.up_to(LATENCY))
        };
        world.sleep(latency).await;
        match fault {
            Some(Fault::FailsBefore | Fault::CrashBefore | Fault::Out) => return None,
            Some(Fault::DoneLate(seconds)) => world.sleep(i64::from(seconds) * 1_000).await,
            // Without a key, a repeated call correctly creates two requests.
            Some(Fault::Twice) if want != Want::Create || call.idempotency_key.is_some() => {
                let (caller, call, want) = (self.clone(), call.clone(), want.clone());
                let after = world.state().up_to(100);
                world.later(after, async move {
                    caller.invoke(function, call, want, false).await;
                });
            }
            _ => (),
        }
        let is_heard = !matches!(
            fault,
            Some(Fault::AnswerLost | Fault::CrashAfter | Fault::OutAfter | Fault::DoneLate(_))
        );
        let answer = self.invoke(function, call, want, is_heard).await;
        if let Some(Fault::AnswerLate(seconds)) = fault {
            world.sleep(i64::from(seconds) * 1_000).await;
        }
        answer.filter(|_| is_heard)
    }

    async fn invoke(
        &self,
        function: Http,
        call: Call,
        want: Want,
        is_heard: bool,
    ) -> Option<(StatusCode, Value)> {
        let world = &self.fleet.world;
        let began_at = world.now();
        let answer = self.fleet.http(function, call.into()).await;
        let is_unanswered = answer.as_ref().is_none_or(|((it, _), _)| it.is_server_error());
        if is_unanswered {
            world.state().seen.unanswered.push((self.number, want.effect()));
        }
        let ((status, bytes), is_whole) = answer?;
        // A page is a text.
        let text = || String::from_utf8_lossy(&bytes).into_owned().into();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        let mut state = world.state();
        let ended_at = state.now();
        state.tell(|| {
            let member = |it| body.get(it).and_then(Value::as_str).unwrap_or("-");
            let brief = ["code", "status", "outcome"].map(member);
            let heard = if is_heard { "" } else { ", response lost" };
            format!("caller {}: {} ({}){heard}", self.number, status.as_u16(), brief.join(" "))
        });
        let called = Called {
            request: self.number,
            want,
            began_at,
            ended_at,
            status: status.as_u16(),
            body: body.clone(),
            is_heard,
            is_whole,
        };
        if status == StatusCode::SEE_OTHER {
            // The form was recorded.
            let want = called.want.effect();
            state.seen.calls.push(Called {
                want,
                status: 200,
                body: Value::Null,
                ..called.clone()
            });
        }
        state.seen.calls.push(called);
        Some((status, body))
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Call {
        Call {
            method,
            path: path.to_owned(),
            api_key: Arc::clone(&self.api_key),
            idempotency_key: key.map(str::to_owned),
            body: body.map(|it| it.to_string().into()).unwrap_or_default(),
        }
    }
}

/// The title of a request, which occurs in no other data.
pub(crate) fn title(number: usize) -> String {
    format!("May number {number} be deployed?")
}

/// A text for a question that is still long when it is deflated.
pub(crate) fn background() -> String {
    let mut state = 1_u32;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 24) % 26).expect("a letter"))
    };
    (0..2_400).map(letter).collect()
}

/// A long answer, which occurs in no other data.
pub(crate) fn reasons(number: usize) -> String {
    format!("Reason {number}. ").repeat(300)
}

/// Another try would not help.
fn is_conclusive(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

/// A call before it is made.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    api_key: Arc<str>,
    idempotency_key: Option<String>,
    pub(crate) body: Bytes,
}

impl From<Call> for Request<Body> {
    fn from(call: Call) -> Self {
        let mut request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header("host", "answers.example.net")
            .header("x-api-key", &*call.api_key);
        if let Some(key) = call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        request.body(call.body.into()).expect("a valid request")
    }
}

impl Known {
    fn new(view: &Value) -> Self {
        let recipients = view["recipients"].as_array().expect("a list");
        let token = |it: &Value| {
            let url = it["answer_url"].as_str().expect("a link");
            url.rsplit_once('/').expect("a path").1.to_owned()
        };
        Self {
            id: view["id"].as_str().expect("an identifier").to_owned(),
            digest: view["action"]["digest"].as_str().map(str::to_owned),
            assurance: view["assurance"].as_str().expect("a word").to_owned(),
            codes: recipients.iter().map(|it| it["code"].as_str().map(str::to_owned)).collect(),
            tokens: recipients.iter().map(token).collect(),
            recipients: recipients
                .iter()
                .map(|it| it["email"].as_str().map(str::to_owned))
                .collect(),
        }
    }
}
