//! Uses every secret once.

use std::time::Duration;

use answerback::{
    domain::Scope,
    egress::{Failure, FailureKind},
};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World, reply, token};

const BEARER: &str = "canary-bearer-0123456789";
const HEADER: &str = "canary-header-0123456789";
const WRONG_KEY: &str = "ab_live_00000000000000000000000000_canarywrongkey0123456789";
const WRONG_TOKEN: &str = "ab_ch_00000000000000000000000000_canarywrongtoken0123456789";
const WRONG_LINK: &str = "canarywronglink0123456789canarywronglink";
/// A path that a receiver may use as its only protection.
pub(super) const PATH: &str = "canary-path-0123456789";

/// The flow, and the values that must not be visible.
pub(crate) struct Flow {
    pub(crate) world: World,
    /// Secrets with their descriptions.
    pub(super) canaries: Vec<(&'static str, String)>,
    /// Audited actions: the key, the action and its target.
    pub(super) audited: Vec<(String, &'static str, String)>,
    /// Identifiers, each with a value that is not secret.
    pub(super) webhooks: Vec<(String, &'static str)>,
    pub(super) channels: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) requests: Vec<String>,
    pub(super) deliveries: Vec<String>,
}

impl Flow {
    /// Runs the flow.
    pub(super) async fn go() -> Self {
        Self::go_in(World::start().await).await
    }

    /// Runs the flow in this world.
    pub(crate) async fn go_in(world: World) -> Self {
        let mut flow = Self {
            world,
            canaries: Vec::new(),
            audited: Vec::new(),
            webhooks: Vec::new(),
            channels: Vec::new(),
            keys: Vec::new(),
            requests: Vec::new(),
            deliveries: Vec::new(),
        };
        let key = flow.world.key.clone();
        flow.keep_key("the first key", &key);
        for (what, canary) in [
            ("a bearer token", BEARER),
            ("an added header", HEADER),
            ("a wrong key", WRONG_KEY),
            ("a wrong token", WRONG_TOKEN),
            ("a wrong link", WRONG_LINK),
        ] {
            flow.keep(what, canary);
        }
        flow.account().await;
        flow.webhook().await;
        flow.channel().await;
        flow.asked().await;
        flow.other_keys().await;
        flow.strangers().await;
        let list = flow.call(Method::GET, "/v1/deliveries?limit=100", Value::Null).await.json();
        let list = list["data"].as_array().expect("a list");
        flow.deliveries = list.iter().map(|it| text(&it["id"])).collect();
        assert!(flow.deliveries.len() >= 6, "the list is not empty");
        flow
    }

    /// Keeps a secret to look for; of a secret or key, its random part.
    fn keep(&mut self, what: &'static str, secret: &str) {
        self.canaries.push((what, secret.trim_start_matches("whsec_").to_owned()));
    }

    fn keep_key(&mut self, what: &'static str, key: &str) {
        self.keep(what, secret_part(key));
        self.keys.push(format!("key_{}", key.split('_').nth(2).expect("an identifier")));
    }

    fn noted(&mut self, did: &'static str, what: &str) {
        self.audited.push((self.world.key.clone(), did, what.to_owned()));
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        self.world.call(method, path, body).await
    }

    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.call(method, path, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        if answer.bytes.is_empty() { Value::Null } else { answer.json() }
    }

    /// Shows, reveals and rotates what is at `path`, and keeps the secrets.
    async fn secret(&mut self, path: &str) {
        self.done(Method::GET, path, Value::Null).await;
        let revealed = self.done(Method::GET, &format!("{path}?reveal=true"), Value::Null).await;
        self.keep("a secret that was revealed", &text(&revealed["secret"]));
        let rotate = format!("{path}/rotate");
        let rotated = self.done(Method::POST, &rotate, json!({ "overlap_seconds": 60 })).await;
        self.keep("a secret that was rotated", &text(&rotated["secret"]));
    }

    async fn account(&mut self) {
        self.secret("/v1/secret").await;
        self.noted("revealed", "the account's secret for requests");
        self.noted("rotated", "the account's secret for requests");
    }

    async fn webhook(&mut self) {
        let webhook = json!({
            "id": "orders", "url": format!("https://hooks.example.com/{PATH}"),
            "description": "of orders", "headers": { "x-team": HEADER }, "auth": { "type": "bearer", "token": BEARER },
            "event_types": ["build.*"],
        });
        let made = self.done(Method::POST, "/v1/webhooks", webhook.clone()).await;
        self.keep("a webhook's secret", &text(&made["secret"]));
        let again = self.call(Method::POST, "/v1/webhooks", webhook).await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        let wrong = json!({ "headers": { "bad name": HEADER }, "auth": { "type": "bearer", "token": [BEARER] } });
        let wrong = self.call(Method::PATCH, "/v1/webhooks/orders", wrong).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        self.secret("/v1/webhooks/orders/secret").await;
        self.webhooks.push(("orders".to_owned(), "of orders"));
        for did in [
            "created a webhook",
            "revealed the secret of a webhook",
            "rotated the secret of a webhook",
        ] {
            self.noted(did, "orders");
        }

        let script = self.world.egress.script();
        script.answer(reply(500));
        for kind in [FailureKind::Connect, FailureKind::Tls, FailureKind::Timeout] {
            script.answer(Err(Failure::new(kind, "no connection")));
        }
        self.done(Method::POST, "/v1/webhooks/orders/trigger", Value::Null).await;
        self.world.pass(Duration::from_mins(10)).await;
        for _ in 0..4 {
            let event = json!({ "type": "build.done", "data": {} });
            self.done(Method::POST, "/v1/events", event).await;
            self.world.pass(Duration::from_mins(10)).await;
        }
        self.world.system.sweep().await;
        assert!(self.world.posts().len() >= 8, "it failed, and was tried again");
    }

    async fn channel(&mut self) {
        let made = self.done(Method::POST, "/v1/channels", json!({ "name": "Deploys" })).await;
        let id = text(&made["id"]);
        let path = format!("/v1/channels/{id}");
        self.keep("a channel's secret", &text(&made["secret"]));
        let again = self.done(Method::POST, &format!("{path}/regenerate"), Value::Null).await;
        for token in [&made["token"], &again["token"]] {
            self.keep("a channel's token", secret_part(&text(token)));
        }
        self.secret(&format!("{path}/secret")).await;
        for did in [
            "created a channel",
            "regenerated the token of a channel",
            "revealed the secret of a channel",
            "rotated the secret of a channel",
        ] {
            self.noted(did, &id);
        }

        let message = json!({
            "title": "Hello", "callback_url": "https://ping.example.com/hook",
            "actions": [{ "type": "button", "label": "Yes", "key": "yes" }],
        });
        let token = text(&again["token"]);
        let json = [("content-type", "application/json")];
        let path = format!("/v1/send/{token}");
        let sent = self.world.send(Method::POST, &path, &json, message.to_string().into()).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.text());
        let message = text(&sent.json()["id"]);
        self.answered(&message.replace("msg_", "req_")).await;
        let path = format!("/v1/callback/{token}/{message}");
        let polled = self.world.send(Method::GET, &path, &[], "".into()).await;
        assert_eq!(polled.json()["status"], "submitted");
        self.channels.push(id);
    }

    /// Answers a request with one recipient by JSON.
    async fn answered(&mut self, id: &str) {
        let request = self.done(Method::GET, &format!("/v1/requests/{id}"), Value::Null).await;
        self.keep("a link", &token(&request, 0));
        let answer = self.world.answer(&request, 0, json!({ "option": "yes" })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        self.world.follow_hints().await;
        self.requests.push(id.to_owned());
    }

    async fn asked(&mut self) {
        let question = json!({
            "title": "Deploy?",
            "recipients": ["a@example.com", "b@example.com"],
            "options": [{ "value": "yes", "label": "Yes" }],
            "callback_url": format!("https://callbacks.example.com/{PATH}"),
            "callback": { "auth": { "type": "bearer", "token": BEARER } },
        });
        let ends: [(Method, &str); 3] =
            [(Method::GET, ""), (Method::POST, "/cancel"), (Method::DELETE, "")];
        for (method, end) in ends {
            let request = self.world.create(question.clone()).await;
            let id = text(&request["id"]);
            for row in [0, 1] {
                self.keep("a link", &token(&request, row));
            }
            let answer = self.world.send_form(&request, 0, "option=yes").await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            self.done(method.clone(), &format!("/v1/requests/{id}{end}"), Value::Null).await;
            if method == Method::GET {
                let answer = self.world.answer(&request, 1, json!({ "option": "no" })).await;
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
                let answer = self.world.answer(&request, 1, json!({ "option": "yes" })).await;
                assert_eq!(answer.status, StatusCode::OK);
            }
            self.world.follow_hints().await;
            self.requests.push(id);
        }
    }

    async fn other_keys(&mut self) {
        let wanted = json!({ "name": "CI", "scopes": ["requests:read"] });
        let made = self.done(Method::POST, "/v1/keys", wanted).await;
        let (key, id) = (text(&made["key"]), text(&made["id"]));
        self.keep_key("a key that was made", &key);
        self.refused(&key, "/v1/keys", "keys:write").await;
        self.refused(&key, "/v1/secret?reveal=true", "secrets:read").await;
        self.done(Method::DELETE, &format!("/v1/keys/{id}"), Value::Null).await;
        self.noted("created a key", &id);
        self.noted("revoked a key", &id);
        self.world.system.clock.advance(Duration::from_secs(10));
        assert_eq!(self.as_whom(&key, "/v1/requests").await, StatusCode::UNAUTHORIZED);

        let writer = self.world.key_with(&[Scope::WebhooksWrite]).await;
        self.keep_key("a key that was given", &writer);
        self.refused(&writer, "/v1/webhooks/orders/secret?reveal=true", "secrets:read").await;
    }

    async fn as_whom(&self, key: &str, path: &str) -> StatusCode {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", &*bearer)];
        self.world.call_with(Method::GET, path, &headers, Value::Null).await.status
    }

    async fn refused(&mut self, key: &str, path: &str, scope: &str) {
        assert_eq!(self.as_whom(key, path).await, StatusCode::FORBIDDEN, "{path}");
        let did = "lacked a scope";
        self.audited.push((key.to_owned(), did, scope.to_owned()));
    }

    /// Calls without credentials or with wrong ones.
    async fn strangers(&self) {
        let altered = format!("{}x", self.world.key);
        for key in [WRONG_KEY, &altered] {
            let status = self.as_whom(key, "/v1/requests").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        for (method, path) in [
            (Method::GET, format!("/a/{WRONG_LINK}")),
            (Method::POST, format!("/a/{WRONG_LINK}")),
            (Method::GET, format!("/v1/answers/{WRONG_LINK}")),
            (Method::POST, format!("/v1/send/{WRONG_TOKEN}")),
            (Method::GET, format!("/v1/callback/{WRONG_TOKEN}/msg_{:026}", 0)),
        ] {
            let answer = self.world.visit(method, &path, "").await;
            assert!(answer.status.is_client_error(), "{path}");
        }
    }
}

/// The part of an API key or token that is not its name.
fn secret_part(key: &str) -> &str {
    key.splitn(4, '_').nth(3).expect("it has a name before")
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}
