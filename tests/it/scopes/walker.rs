//! A walker: calls every operation of the OpenAPI document as a program that asks, for a request in
//! each of its states, and looks for answer links and codes in all that comes back and is logged.

use std::collections::BTreeSet;

use answerback::domain::Scope;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World, contract::Contract, token};

use super::{agent, call, first};
use crate::{
    canaries::{Lines, listen},
    requests::path_of,
};

/// Scopes of a program that asks, and no others.
const AGENT: [&str; 2] = ["requests:read", "requests:ask"];
/// All scopes that a program that asks may have, but those that include `links:read`.
const ASKING: [&str; 7] = [
    "requests:read",
    "requests:ask",
    "answers:write",
    "events:write",
    "notifiers:read",
    "secrets:read",
    "keys:write",
];
/// All scopes but those that include `requests:ask` or `links:read`.
const WATCHING: [&str; 8] = [
    "requests:read",
    "answers:write",
    "events:write",
    "webhooks:read",
    "webhooks:write",
    "notifiers:read",
    "secrets:read",
    "keys:write",
];
/// Operations that no key without `links:read` may call, and those that need no key but a link or
/// token, which such a program does not have.
const CLOSED: [&str; 16] = [
    "POST /v1/notifiers",
    "PATCH /v1/notifiers/{id}",
    "DELETE /v1/notifiers/{id}",
    "POST /v1/notifiers/{id}/test",
    "DELETE /v1/requests/{id}",
    "GET /v1/account",
    "PATCH /v1/account",
    "GET /a/{token}",
    "HEAD /a/{token}",
    "POST /a/{token}",
    "GET /v1/answers/{token}",
    "POST /v1/answers/{token}",
    "POST /v1/send/{token}",
    "POST /v1/slack/{notifier_id}",
    // Without a notifier, a program that sees no link reaches nobody.
    "POST /api/notify",
    "GET /v1/callback/{token}/{message_id}",
];
/// Operations that show a request, and so its links to who may see them.
const SHOWING: [&str; 6] = [
    "GET /v1/requests",
    "GET /v1/requests/{id}",
    "POST /v1/requests",
    "POST /v1/requests/{id}/cancel",
    "POST /v1/requests/{id}/remind",
    "POST /v1/requests/{id}/responses",
];

/// A walk with one key, and the links and codes that it must not see.
struct Walk<'w> {
    world: &'w World,
    key: Value,
    /// The key that made the requests: the same, if it may ask.
    asker: Value,
    /// A request in each state.
    requests: Vec<Value>,
    tokens: Vec<String>,
    codes: Vec<String>,
    /// The receipt of the leased result.
    receipt: Value,
    /// Operations that showed a link or code.
    leaks: BTreeSet<String>,
    /// Operations that succeeded.
    succeeded: BTreeSet<String>,
}

/// The body of the request in this state. Its title names the state, and is its idempotency key.
fn body_of(state: &str) -> Value {
    let mut body = json!({
        "title": state,
        "recipients": ["ada@example.com", { "email": "bob@example.com" }],
        "options": [{ "value": "yes", "label": "Yes" }, { "value": "no", "label": "No" }],
        "callback_url": "https://hooks.example.com/cb",
        "callback": {
            "events": ["request.created", "request.answered", "request.finished",
                "request.cancelled", "request.link_locked", "request.reminded"],
        },
        "timeout_seconds": 3_600,
        "notify": "none",
    });
    let members = match state {
        "locked" | "coded" => json!({ "assurance": "code" }),
        "completed" | "consumed" | "leased" => json!({ "quorum": "any" }),
        "vetoed" => json!({ "quorum": { "count": 2, "option": "yes", "veto": ["no"] } }),
        "timed_out" => json!({ "timeout_seconds": 5 }),
        "defaulted" => {
            json!({ "timeout_seconds": 5, "on_deadline": { "kind": "default", "option": "no" } })
        }
        "changing" => json!({ "mode": "on_timeout" }),
        "approved" => json!({
            "quorum": "any", "action": { "name": "deploy", "args": {} },
            "consume": { "option": "yes" },
        }),
        _ => json!({}),
    };
    let read = match state {
        "consumed" => json!({ "read": { "mode": "once" } }),
        "leased" => json!({ "read": { "mode": "lease", "lease_seconds": 900 } }),
        _ => json!({}),
    };
    for more in [members, read] {
        let Value::Object(more) = more else { panic!("members are an object") };
        body.as_object_mut().expect("an object").extend(more);
    }
    body
}

const STATES: [&str; 14] = [
    "pending",
    "coded",
    "locked",
    "answered",
    "changing",
    "completed",
    "vetoed",
    "timed_out",
    "defaulted",
    "cancelled",
    "consumed",
    "leased",
    "approved",
    "erased",
];

impl<'w> Walk<'w> {
    /// A key with these scopes, and a request in each state, made with it if it may ask.
    async fn begin(world: &'w World, scopes: &[&str]) -> Self {
        let key = agent(world, json!({ "scopes": scopes })).await;
        let may_ask = scopes.contains(&"requests:ask");
        let asker = if may_ask { key.clone() } else { first(world) };
        let (leaks, succeeded) = (BTreeSet::new(), BTreeSet::new());
        let (requests, tokens, codes) = (Vec::new(), Vec::new(), Vec::new());
        let receipt = Value::Null;
        let mut walk =
            Self { world, key, asker, requests, tokens, codes, receipt, leaks, succeeded };
        for state in STATES {
            let made = walk.ask(state, &walk.asker).await;
            assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
            let request = world.call(Method::GET, &path_of(&made.json()), Value::Null).await.json();
            walk.tokens.extend([0, 1].map(|row| token(&request, row)));
            let code = |row: usize| request["recipients"][row]["code"].as_str().map(str::to_owned);
            walk.codes.extend([0, 1].into_iter().filter_map(code));
            walk.bring_about(state, &request).await;
            walk.requests.push(request);
        }
        world.pass(std::time::Duration::from_secs(10)).await;
        for state in ["timed_out", "defaulted"] {
            let path = path_of(walk.request(state));
            let ended = world.call(Method::GET, &path, Value::Null).await.json();
            assert_eq!(ended["outcome"], state);
        }
        assert_eq!((walk.tokens.len(), walk.codes.len()), (28, 4));
        walk
    }

    fn request(&self, state: &str) -> &Value {
        self.requests.iter().find(|it| it["title"] == state).expect("a state")
    }

    /// Creates the request of this state, or repeats the call that did.
    async fn ask(&self, state: &str, key: &Value) -> Answer {
        let bearer = format!("Bearer {}", key["key"].as_str().expect("its text"));
        let headers = [("authorization", &*bearer), ("idempotency-key", state)];
        self.world.call_with(Method::POST, "/v1/requests", &headers, body_of(state)).await
    }

    /// Brings a request into its state, as its owner and recipients do.
    async fn bring_about(&mut self, state: &str, request: &Value) {
        let (world, path) = (self.world, path_of(request));
        let option = match state {
            "answered" | "changing" | "completed" | "consumed" | "leased" | "approved" => "yes",
            "vetoed" => "no",
            "locked" => "wrong",
            _ => "",
        };
        match option {
            "" => (),
            "wrong" => {
                let code = request["recipients"][0]["code"].as_str().expect("a code");
                let wrong = if code == "000000" { "000001" } else { "000000" };
                for _ in 0..5 {
                    world.answer(request, 0, json!({ "option": "yes", "code": wrong })).await;
                }
            }
            option => {
                let answer = world.answer(request, 0, json!({ "option": option })).await;
                assert_eq!(answer.status, StatusCode::OK, "{state}: {}", answer.text());
            }
        }
        let end = match state {
            "cancelled" => (Method::POST, format!("{path}/cancel")),
            "erased" => (Method::DELETE, path),
            "consumed" | "leased" => (Method::GET, format!("{path}/result")),
            _ => return,
        };
        let answer = world.call(end.0, &end.1, Value::Null).await;
        assert!(answer.status.is_success(), "{state}: {}", answer.text());
        if state == "leased" {
            self.receipt = answer.json()["receipt"].clone();
        }
        world.follow_hints().await;
    }

    /// Calls every operation, those that change something last.
    async fn go(&mut self) {
        for id in ["walk", "nextmv"] {
            let hook = json!({ "id": id, "url": "https://hooks.example.com/walk" });
            self.world.call(Method::POST, "/v1/webhooks", hook).await;
            let trigger = format!("/v1/webhooks/{id}/trigger");
            self.world.call(Method::POST, &trigger, Value::Null).await;
        }
        let notifier = json!({
            "kind": "webhook", "settings": { "url": "https://hooks.example.com/reach" },
        });
        self.world.call(Method::POST, "/v1/notifiers", notifier).await;
        let slack = json!({
            "kind": "slack",
            "settings": { "bot_token": "x", "signing_secret": "x", "team_id": "T012AB3CD" },
        });
        self.world.call(Method::POST, "/v1/notifiers", slack).await;
        self.world.call(Method::POST, "/v1/channels", json!({ "name": "of the owner" })).await;
        self.world.key_with(&[Scope::RequestsRead]).await;
        self.world.follow_hints().await;
        let mut operations = operations();
        operations.sort_by_key(|(method, path)| (rank(method, path), path.clone()));
        for (method, path) in operations {
            for place in self.places(&path).await {
                let body = self.sent(&method, &path);
                let answer = self.call(method.clone(), &place, body).await;
                self.look(&format!("{method} {path}"), &answer);
            }
            if path == "/mcp" {
                self.call_tools().await;
            }
            if path == "/v1/requests" && method == Method::POST {
                for state in STATES {
                    let replayed = self.ask(state, &self.key).await;
                    self.look("POST /v1/requests", &replayed);
                }
            }
            self.world.follow_hints().await;
        }
    }

    /// Calls the tools for agents that show requests.
    async fn call_tools(&mut self) {
        let ids = self.requests.iter().map(|it| json!({ "request_id": it["id"] }));
        let mut calls: Vec<_> = ids.map(|it| ("check_request", it)).collect();
        calls.push(("list_requests", json!({})));
        for (name, arguments) in calls {
            let params = json!({ "name": name, "arguments": arguments });
            let body =
                json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
            let answer = self.call(Method::POST, "/mcp", body).await;
            self.look("POST /mcp", &answer);
        }
    }

    /// Calls with the key of the walk. A use of an approval needs an idempotency key.
    async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        if !path.ends_with("/consume") {
            return call(self.world, &self.key, method, path, body).await;
        }
        let bearer = format!("Bearer {}", self.key["key"].as_str().expect("its text"));
        let headers = [("authorization", &*bearer), ("idempotency-key", "use")];
        self.world.call_with(method, path, &headers, body).await
    }

    /// The paths of this operation: one for each object that it may be about.
    async fn places(&self, path: &str) -> Vec<String> {
        let ids = |values: &[Value]| -> Vec<String> {
            values.iter().filter_map(|it| it["id"].as_str().map(str::to_owned)).collect()
        };
        let list = async |path: &str| -> Vec<Value> {
            let list = self.world.call(Method::GET, path, Value::Null).await.json();
            list["data"].as_array().cloned().unwrap_or_default()
        };
        let deliveries = list("/v1/deliveries?limit=30").await;
        let found = match path {
            "/v1/attempts" | "/nextmv/v1/conversations" => {
                let with = |it: String| format!("{path}?delivery_id={it}");
                return ids(&deliveries).into_iter().map(with).collect();
            }
            "/v1/requests" | "/v1/deliveries" | "/v1/events" | "/v1/keys" => {
                return vec![path.to_owned(), format!("{path}?limit=100")];
            }
            it if !it.contains('{') => return vec![path.to_owned()],
            it if it.contains("/requests/") || it.starts_with("/api/") => ids(&self.requests),
            it if it.starts_with("/nextmv/v1/webhooks/") => {
                vec!["nextmv".to_owned(), "none".to_owned()]
            }
            it if it.contains("/webhooks/") => vec!["walk".to_owned(), "none".to_owned()],
            it if it.contains("/deliveries/") => ids(&deliveries),
            it if it.starts_with("/v1/events/") => {
                let events = deliveries.iter().filter_map(|it| it["event_id"].as_str());
                events.map(str::to_owned).collect()
            }
            it if it.contains("/attempts/") || it.contains("/conversations/") => {
                let mut attempts = Vec::new();
                for delivery in ids(&deliveries[..10]) {
                    attempts.extend(list(&format!("/v1/attempts?delivery_id={delivery}")).await);
                }
                ids(&attempts)
            }
            it if it.contains("/notifiers/") => ids(&list("/v1/notifiers").await),
            it if it.contains("/channels/") => ids(&list("/v1/channels").await),
            it if it.contains("/keys/") => {
                let others = ids(&list("/v1/keys").await);
                others.into_iter().filter(|it| Some(&**it) != self.key["id"].as_str()).collect()
            }
            _ => vec!["ab_ch_none".to_owned()],
        };
        assert!(!found.is_empty(), "{path} has an object");
        let place = |id: String| {
            let parts = path.split('/').map(|it| if it.starts_with('{') { &id } else { it });
            parts.collect::<Vec<_>>().join("/")
        };
        found.into_iter().map(place).collect()
    }

    /// Looks at a response to the operation `name`.
    fn look(&mut self, name: &str, answer: &Answer) {
        if answer.status.is_success() {
            self.succeeded.insert(name.to_owned());
        }
        let headers = answer.headers.values().map(|it| String::from_utf8_lossy(it.as_bytes()));
        let text = format!("{}\n{}", answer.text(), headers.collect::<Vec<_>>().join("\n"));
        // The document describes the page of answers, and its examples are not live.
        let is_document = name == "GET /openapi.json";
        if self.leak(&text).is_some() || (text.contains("/a/") && !is_document) {
            self.leaks.insert(name.to_owned());
        }
    }

    /// A body that the operation accepts, where one is needed.
    fn sent(&self, method: &Method, path: &str) -> Value {
        if path.ends_with("/ack") {
            json!({ "receipt": self.receipt })
        } else if path.ends_with("/consume") {
            json!({ "digest": self.request("approved")["action"]["digest"] })
        } else {
            sent(method, path)
        }
    }

    /// The first live link or code in `text`.
    fn leak<'t>(&'t self, text: &str) -> Option<&'t str> {
        let token = self.tokens.iter().find(|it| text.contains(it.as_str()));
        let code = || self.codes.iter().find(|it| has_word(text, it));
        token.or_else(code).map(String::as_str)
    }
}

/// `word` is in `text`, and not a part of a longer number or name.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        [before, after].into_iter().flatten().all(|it| !it.is_ascii_alphanumeric())
    })
}

/// All operations of the document.
fn operations() -> Vec<(Method, String)> {
    let paths = Contract::of_the_api().document()["paths"].as_object().expect("paths");
    let known = ["delete", "get", "head", "options", "patch", "post", "put"];
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("a path item").keys();
        let methods = methods.filter(|it| known.contains(&it.as_str()));
        let parse = |it: &String| it.to_uppercase().parse().expect("a method");
        methods.map(|it| (parse(it), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// The place of an operation in the walk: reads come before writes, and ends last.
fn rank(method: &Method, path: &str) -> u8 {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => 0,
        Method::DELETE => 3,
        _ if path.ends_with("/cancel") => 2,
        _ => 1,
    }
}

/// A body that the operation accepts, where one is needed.
fn sent(method: &Method, path: &str) -> Value {
    let url = "https://hooks.example.com/other";
    match (method.as_str(), path) {
        ("POST", "/v1/requests") => body_of("another"),
        ("POST", "/mcp") => json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        ("POST", "/v1/events") => json!({ "type": "build.done", "data": {} }),
        ("POST", "/v1/keys") => json!({ "scopes": ["requests:read"] }),
        ("POST", "/v1/channels") => json!({ "name": "walk" }),
        ("POST", "/v1/webhooks") | ("PUT", "/v1/webhooks/{id}") => json!({ "url": url }),
        ("POST" | "PUT", it) if it.starts_with("/nextmv/v1/webhooks") && !it.contains("}/") => {
            json!({ "endpoint_url": url })
        }
        ("PATCH", it) if it.contains("/webhooks/") => json!({ "description": "walked" }),
        ("POST", it) if it.ends_with("/responses") => {
            json!({ "recipient": "bob@example.com", "option": "yes" })
        }
        ("POST", it) if it.ends_with("/recover") => json!({ "since": "2026-01-01T00:00:00Z" }),
        ("POST", "/api/notify") => json!({
            "message": "Deploy?", "user_emails": ["ada@example.com"],
            "response_request": { "options": [{ "text": "Yes", "value": "yes" }] },
        }),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn program_that_asks_never_sees_a_link_or_code() {
    let mut succeeded = BTreeSet::new();
    for scopes in [&AGENT as &[_], &ASKING, &WATCHING] {
        let world = World::start().await;
        let mut walk = Walk::begin(&world, scopes).await;
        let lines = Lines::default();
        listen(&lines, walk.go()).await;
        assert_eq!(walk.leaks, BTreeSet::new(), "{scopes:?}");
        let text = lines.text();
        assert!(text.contains("audit"), "the calls were logged");
        let is_leak = |it: &&str| walk.leak(it).is_some() || it.contains("/a/");
        assert_eq!(text.lines().find(is_leak), None);
        let posts = world.posts();
        let sent = posts.iter().map(|it| String::from_utf8_lossy(&it.body).into_owned());
        let sent: Vec<String> = sent.collect();
        assert!(sent.len() >= 20, "webhook and callbacks were called");
        assert_eq!(sent.iter().find(|it| walk.leak(it).is_some()), None);
        succeeded.append(&mut walk.succeeded);
    }
    let all = operations().into_iter().map(|(method, path)| format!("{method} {path}"));
    let closed: BTreeSet<String> = all.filter(|it| !succeeded.contains(it)).collect();
    assert_eq!(closed, CLOSED.map(str::to_owned).into(), "every other operation succeeded once");
}

/// Otherwise the test above could not fail.
#[tokio::test]
async fn walker_notices_each_operation_that_shows_links() {
    let world = World::start().await;
    let scopes: Vec<&str> = ASKING.into_iter().chain(["links:read"]).collect();
    let mut walk = Walk::begin(&world, &scopes).await;
    walk.go().await;
    assert_eq!(walk.leaks, SHOWING.map(str::to_owned).into());
    for (text, word, expected) in
        [("{\"code\":\"123456\"}", "123456", true), ("at .1234567Z", "123456", false)]
    {
        assert_eq!(has_word(text, word), expected, "{text}");
    }
}
