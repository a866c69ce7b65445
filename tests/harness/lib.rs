//! The whole service in one process: real handlers, real store code, emulated AWS, and a clock that
//! the test moves.
//!
//! [`World`] is [`local::System`] with an account and scripted receivers. Every call is checked
//! against the OpenAPI document.

pub mod contract;
pub mod meter;
pub mod rights;
pub mod template;

use std::{pin::pin, sync::Arc, time::Duration};

use answerback::{
    api::http::read_json,
    domain::{
        Account, CallbackRules, Mode, Owner, Scope, Source, assurance::READING_TIME_MIN,
        delivery::LEASE, secret::Holder,
    },
    egress::{self, Failure, Post, Reply},
    platform::{Clock, Entropy, Lane},
    service::NewKey,
};
use aws_sdk_dynamodb::config::SharedInterceptor;
use axum::{
    body::Bytes,
    http::{HeaderMap, Method, Request, StatusCode},
};
use contract::{Contract, Exchange};
use futures::future::{Either, select};
use jiff::Timestamp;
use local::{
    Data, System, SystemOptions,
    system::{NewAccount, Watch, queue_of},
};
use rights::Judge;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use template::Template;

/// The start time of every test: 2026-01-01.
pub const START: i64 = 1_767_225_600;

/// The service and one account.
#[derive(Clone, Debug)]
pub struct World {
    /// The service.
    pub system: System,
    /// The account.
    pub account: Account,
    /// An API key of the account with all scopes.
    pub key: String,
    /// Records posts to receivers, and scripts their responses.
    pub egress: egress::Client,
    /// Checks the permissions of functions.
    pub judge: Judge,
}

/// The response to a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as received.
    pub bytes: Bytes,
}

/// Settings of a world that differ from the default.
#[derive(Debug)]
pub struct Setup {
    /// The location of the data.
    pub data: Data,
    /// The first responses of receivers.
    pub answers: Vec<Result<Reply, Failure>>,
    /// The client for receivers; by default a script that begins with `answers`.
    pub egress: Option<egress::Client>,
    /// The event bus.
    pub bus: Option<String>,
    /// Whether functions other than the sweep send hints.
    pub has_queue: bool,
    /// Additional interceptors of the functions' calls to AWS.
    pub watchers: Vec<SharedInterceptor>,
    /// The template that grants permissions to functions.
    pub template: Template,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            data: Data::Memory,
            answers: Vec::new(),
            egress: None,
            bus: None,
            has_queue: true,
            watchers: Vec::new(),
            template: Template::of_the_project(),
        }
    }
}

/// The address in the links of messages. No call has it as its host.
pub const MESSAGE_BASE_URL: &str = "https://answers.example.net";

impl World {
    /// A service without data whose receivers accept everything.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// A service whose receivers first respond with these answers.
    pub async fn start_answering(
        answers: impl IntoIterator<Item = Result<Reply, Failure>>,
    ) -> Self {
        Self::start_with(Setup { answers: answers.into_iter().collect(), ..<_>::default() }).await
    }

    /// A service with these settings.
    pub async fn start_with(setup: Setup) -> Self {
        let Setup { data, answers, egress, bus, has_queue, watchers, template } = setup;
        let judge = Judge::new(&template, bus.as_deref()).expect("the template names it");
        let egress = egress.unwrap_or_else(|| egress::Client::scripted(answers));
        let clock = Clock::manual(Timestamp::from_second(START).expect("in range"));
        let eyes = judge.clone();
        let system = System::start(SystemOptions {
            data,
            aws_address: None,
            clock,
            entropy: Entropy::counting(),
            egress: egress.clone(),
            rules: CallbackRules::strict(),
            bus,
            has_queue,
            lease: LEASE,
            message_base_url: MESSAGE_BASE_URL.to_owned(),
            watch: Watch(Some(Arc::new(move |function| {
                watchers.iter().cloned().chain([eyes.of(function)]).collect()
            }))),
        })
        .await
        .expect("the setup is valid");
        let NewAccount { account, key } = system.make_account().await.expect("an account");
        let key = key_text(&key);
        Self { system, account, key, egress, judge }
    }

    /// An API key of the account with these scopes only.
    pub async fn key_with(&self, scopes: &[Scope]) -> String {
        let key = self
            .system
            .make_key(answerback::domain::Owner::live(self.account.id), scopes.to_vec())
            .await;
        key_text(&key.expect("a key"))
    }

    /// The secret that signs the account's callbacks of requests, in live mode.
    pub async fn secret(&self) -> String {
        self.secret_of(Mode::Live, Source::Requests).await
    }

    /// The secret that signs the account's callbacks in this mode, for events of this source.
    pub async fn secret_of(&self, mode: Mode, source: Source) -> String {
        let holder = Holder::Account(Owner { account: self.account.id, mode }, source);
        let secret = &self.account.secrets.of(mode, source).0[0];
        let secret = self.system.vault.open(&holder, secret, self.system.clock.now()).await;
        secret.expect("the vault opens its own secret").expose_secret().to_owned()
    }

    /// Posts to receivers, oldest first.
    pub fn posts(&self) -> Vec<Post> {
        self.egress.script().posts()
    }

    /// Calls with the account's key and a JSON body, or without a body for null.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call_with(method, path, &[], body).await
    }

    /// Calls with these headers in addition.
    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let has_key = headers.iter().any(|(name, _)| *name == "authorization");
        let bearer = format!("Bearer {}", self.key);
        let mut all = headers.to_vec();
        if !has_key {
            all.push(("authorization", &bearer));
        }
        if body.is_null() {
            return self.send(method, path, &all, Bytes::new()).await;
        }
        all.push(("content-type", "application/json"));
        self.send(method, path, &all, Bytes::from(body.to_string())).await
    }

    /// Calls without an API key, like a recipient with a link.
    pub async fn visit(&self, method: Method, path: &str, form: &str) -> Answer {
        let form_type = [("content-type", "application/x-www-form-urlencoded")];
        let headers: &[(&str, &str)] = if method == Method::POST { &form_type } else { &[] };
        self.send(method, path, headers, Bytes::from(form.to_owned())).await
    }

    /// Answers by the page's form, as a person does: opens the page, reads it for two seconds, and
    /// sends the form.
    pub async fn send_form(&self, request: &Value, recipient: usize, form: &str) -> Answer {
        let path = format!("/a/{}", token(request, recipient));
        let page = self.visit(Method::GET, &path, "").await;
        self.system.clock.advance(READING_TIME_MIN);
        let nonce = nonce_of(&page.text()).unwrap_or_default();
        self.visit(Method::POST, &path, &format!("{form}&nonce={nonce}")).await
    }

    /// Sends exactly this call, and checks the exchange against the OpenAPI document.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        let mut request = Request::builder().method(&method).uri(path);
        request = request.header("host", "answers.example.com");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a valid request");
        let response = self.system.http(&request).await;
        let answer = Answer {
            status: response.status(),
            headers: response.headers().clone(),
            bytes: response.into_body(),
        };
        let exchange = Exchange {
            method: &method,
            path,
            request_headers: request.headers(),
            request_body: request.body(),
            status: answer.status,
            response_headers: &answer.headers,
            response_body: &answer.bytes,
        };
        if let Err(err) = Contract::of_the_api().check(&exchange) {
            panic!("{err:#}");
        }
        answer
    }

    /// Creates a request, and returns the response.
    pub async fn create(&self, body: Value) -> Value {
        let answer = self.call(Method::POST, "/v1/requests", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()
    }

    /// Answers with JSON through the link of the recipient with this number.
    pub async fn answer(&self, request: &Value, recipient: usize, body: Value) -> Answer {
        let path = format!("/v1/answers/{}", token(request, recipient));
        let json = [("content-type", "application/json")];
        self.send(Method::POST, &path, &json, Bytes::from(body.to_string())).await
    }

    /// Moves the time and follows the hints that come due, in the order of their time.
    pub async fn pass(&self, length: Duration) {
        let until = self.system.clock.now() + length;
        loop {
            self.follow_hints().await;
            let next = self.next_hint().await;
            let now = self.system.clock.now();
            let next = next.filter(|it| *it <= until).unwrap_or(until);
            if next <= now && now >= until {
                return;
            }
            let step = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            self.system.clock.advance(step.max(Duration::from_millis(1)));
        }
    }

    /// Runs calls of which some lose a race. Losers wait for the clock, so it moves on for them.
    pub async fn as_time_passes<T>(&self, calls: impl Future<Output = T>) -> T {
        let clock = &self.system.clock;
        let time = async {
            loop {
                if let Some(wait) = clock.next_sleeper() {
                    clock.advance(wait);
                }
                tokio::task::yield_now().await;
            }
        };
        match select(pin!(calls), pin!(time)).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => never,
        }
    }

    /// Follows all hints that are due.
    pub async fn follow_hints(&self) {
        while self.follow_hints_of(Lane::Fast).await + self.follow_hints_of(Lane::Slow).await > 0 {}
    }

    /// Follows all hints of a lane that are due. Returns their number.
    pub async fn follow_hints_of(&self, lane: Lane) -> usize {
        let mut n_hints = 0;
        loop {
            let n = self.system.deliver(lane, Duration::ZERO).await.expect("the queue exists");
            if n == 0 {
                return n_hints;
            }
            n_hints += n;
        }
    }

    /// The time of the next hint.
    async fn next_hint(&self) -> Option<Timestamp> {
        let queue = self.system.aws.queue();
        let mut next = Vec::new();
        for lane in [Lane::Fast, Lane::Slow] {
            next.extend(queue.next_visible_at(queue_of(lane)).await.expect("the queue exists"));
        }
        next.into_iter().min()
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        read_json(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The problem's code.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A text that is hardly shorter when it is deflated.
pub fn letters(count: usize) -> String {
    let mut state = 1_u32;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 24) % 26).expect("a letter"))
    };
    (0..count).map(letter).collect()
}

/// The token in the answer link of the recipient with this number.
pub fn token(request: &Value, recipient: usize) -> String {
    let url = request["recipients"][recipient]["answer_url"].as_str().expect("a link");
    url.rsplit_once("/a/").expect("a link to the page").1.to_owned()
}

/// The nonce of the form on a page, if it has one.
pub fn nonce_of(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("name=\"nonce\" value=\"")?;
    rest.split_once('"').map(|(nonce, _)| nonce.to_owned())
}

/// A receiver's response with this status and nothing else.
pub fn reply(status: u16) -> Result<Reply, Failure> {
    Ok(Reply { status, headers: Vec::new(), body: Vec::new() })
}

fn key_text(key: &NewKey) -> String {
    key.text.expose_secret().to_owned()
}
