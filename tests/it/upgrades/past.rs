//! A table with items of every kind in every lasting state, created through the API.

mod notifiers;

use std::time::Duration;

use answerback::{
    domain::{
        Breaker, Delivery, EmailPattern, OpId,
        breaker::{Authority, Circuit, Endpoint, EndpointHealth},
        delivery::{LEASE, StartDecision, Target},
    },
    egress::Reply,
    store::{Saved, keys},
};
use axum::http::Method;
use serde_json::{Map, Value, json};
use system_tests::{World, letters, reply};

/// A healthy receiver.
const WELL: &str = "https://hooks.example.com/well";
/// A receiver that has failed five times in a row.
const DOWN: &str = "https://down.example.com/hook";

/// The members of responses that clients remember.
const KNOWN: [&str; 5] = ["id", "recipients", "token", "receipt", "status"];

/// A world, and the data that its clients know.
pub(crate) struct Past {
    pub(crate) world: World,
    pub(super) known: Map<String, Value>,
}

impl Past {
    pub(crate) async fn live() -> Self {
        let world = World::start().await;
        let known = Map::from_iter([("key".to_owned(), Value::from(&*world.key))]);
        let capped = world.account.cap(Some(1_000)).expect("it has none");
        assert!(matches!(world.system.store.save(&capped).await, Ok(Saved::Saved)));
        let spread = capped.spread(8).expect("it grows").expect("it has fewer");
        assert!(matches!(world.system.store.save(&spread).await, Ok(Saved::Saved)));
        let senders = [EmailPattern::parse("*@example.com").expect("a pattern")];
        let allowed = spread.allow_senders(&senders).expect("few").expect("it has none");
        assert!(matches!(world.system.store.save(&allowed).await, Ok(Saved::Saved)));
        let mut past = Self { world, known };
        past.create_settings().await;
        past.create_finished().await;
        past.create_waiting_deliveries().await;
        past.create_pending().await;
        past.know("at", past.world.system.clock.now().to_string());
        past
    }

    /// Adds data that clients know: identifiers and tokens.
    fn know(&mut self, name: &str, value: impl Into<Value>) {
        let mut value = value.into();
        if let Some(members) = value.as_object_mut() {
            members.retain(|it, _| KNOWN.contains(&&**it));
        }
        self.known.insert(name.to_owned(), value);
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.world.call(method, path, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        if answer.bytes.is_empty() { Value::Null } else { answer.json() }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, body).await
    }

    /// A POST with an idempotency key.
    async fn post_once(&self, path: &str, body: Value) -> Value {
        let headers = [("idempotency-key", "once")];
        let answer = self.world.call_with(Method::POST, path, &headers, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        answer.json()
    }

    /// Creates a request with these members in addition.
    async fn ask(&self, members: Value) -> Value {
        self.post("/v1/requests", question(members)).await
    }

    async fn approve(&self, request: &Value, recipient: usize) {
        let body = json!({ "option": "approve", "fields": { "why": "It is time." } });
        let answer = self.world.answer(request, recipient, body).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    }

    /// An answered request whose callback was attempted. The receiver responds with `answers`.
    async fn called_back(&self, members: Value, answers: impl IntoIterator<Item = Reply>) -> Value {
        let request = self.ask(members).await;
        self.approve(&request, 0).await;
        self.approve(&request, 1).await;
        for it in answers {
            self.world.egress.script().answer(Ok(it));
        }
        self.world.follow_hints().await;
        request
    }

    /// Keys, secrets, channels and webhooks.
    async fn create_settings(&mut self) {
        self.post("/v1/secret/rotate", json!({ "overlap_seconds": 604_800 })).await;
        let key = json!({ "name": "Its readers", "scopes": ["requests:read", "webhooks:read"] });
        self.post_once("/v1/keys", key).await;
        let test =
            json!({ "scopes": ["admin"], "livemode": false, "rate_limit_per_minute": 1_000 });
        let test = self.post("/v1/keys", test).await;
        let bearer = format!("Bearer {}", test["key"].as_str().expect("a key"));
        let headers = [("authorization", bearer.as_str())];
        self.world.call_with(Method::GET, "/v1/requests", &headers, Value::Null).await;
        self.know("test_key", test["key"].clone());
        let revoked = self.post("/v1/keys", json!({ "scopes": ["requests:write"] })).await;
        self.call(Method::DELETE, &format!("/v1/keys/{}", id(&revoked)), Value::Null).await;

        let channel = self.post_once("/v1/channels", json!({ "name": "Its deploys" })).await;
        self.post(
            &format!("/v1/channels/{}/secret/rotate", id(&channel)),
            json!({ "overlap_seconds": 604_800 }),
        )
        .await;
        self.know("channel", channel);
        let deleted = self.post("/v1/channels", json!({ "name": "Old" })).await;
        self.call(Method::DELETE, &format!("/v1/channels/{}", id(&deleted)), Value::Null).await;

        let jobs = json!({
            "id": "jobs",
            "url": "https://jobs.example.com/hook",
            "description": "The team on call.",
            "event_types": ["job.*", "deploy.done"],
            "profile": "noukai",
            "body": "standard",
            "signature": "standard",
            "timeout_seconds": 7,
            "retry": { "delays_seconds": [60, 600], "jitter": 0.5 },
            "headers": { "x-team": "A team" },
            "auth": { "type": "bearer", "token": "T0ken" },
            "max_payload_bytes": 8192,
        });
        self.post_once("/v1/webhooks", jobs).await;
        let rotated = json!({ "overlap_seconds": 604_800 });
        self.post("/v1/webhooks/jobs/secret/rotate", rotated).await;
        for name in ["gone", "failing", "off", "deleted"] {
            let webhook = json!({
                "id": name,
                "url": format!("https://{name}.example.com/hook"),
                "event_types": ["never.sent"],
            });
            self.post("/v1/webhooks", webhook).await;
        }
        self.trigger("gone", 410).await;
        let off = json!({ "enabled": false });
        self.call(Method::PATCH, "/v1/webhooks/off", off).await;
        self.call(Method::DELETE, "/v1/webhooks/deleted", Value::Null).await;
        self.create_notifiers().await;
    }

    /// Requests with every outcome and every kind of read, and finished deliveries.
    async fn create_finished(&mut self) {
        let delivered = self.called_back(json!({ "callback_url": WELL }), [ok()]).await;
        self.know("delivered", delivered);
        self.called_back(json!({ "callback_url": WELL }), [status(302)]).await;
        let once = json!({ "delays_seconds": [] });
        let dead = json!({ "callback_url": WELL, "callback": { "retry": once } });
        self.called_back(dead, [status(500)]).await;
        let late = self.called_back(json!({ "callback_url": WELL }), [status(500)]).await;
        self.call(Method::DELETE, &format!("/v1/requests/{}", id(&late)), Value::Null).await;
        self.world.follow_hints().await;

        let cancelled = self.ask(json!({})).await;
        let path = format!("/v1/requests/{}/cancel", id(&cancelled));
        self.post(&path, json!({ "reason": "The build failed." })).await;
        for quorum in [
            json!({ "count": 1, "option": "approve", "veto": ["reject"] }),
            json!({ "count": 2, "option": "approve" }),
        ] {
            let rejected = self.ask(json!({ "quorum": quorum })).await;
            let body = json!({ "option": "reject", "fields": { "why": "No." } });
            self.world.answer(&rejected, 0, body).await;
        }
        let policy = json!({ "kind": "default", "option": "reject" });
        self.ask(json!({ "timeout_seconds": 5, "on_deadline": policy })).await;
        self.ask(json!({ "timeout_seconds": 5 })).await;
        let unread = json!({ "mode": "repeat", "ttl_seconds": 60 });
        let unread = self.called_back(json!({ "read": unread }), []).await;
        self.know("expired", unread);
        self.world.pass(Duration::from_secs(70)).await;
        self.world.system.sweep().await;
        self.world.follow_hints().await;

        for (name, read) in [
            ("consumed", json!({ "mode": "once" })),
            ("leased", json!({ "mode": "lease", "lease_seconds": 900, "ttl_seconds": 3_600 })),
            ("unread", json!({ "mode": "once", "ttl_seconds": 3_600 })),
        ] {
            let request = self.called_back(json!({ "read": read }), []).await;
            if name != "unread" {
                let path = format!("/v1/requests/{}/result", id(&request));
                let read = self.call(Method::GET, &path, Value::Null).await;
                self.know(&format!("{name}_result"), read);
            }
            self.know(name, request);
        }
        let delivered = json!({
            "type": "deploy.done",
            "data": { "to": "Production" },
            "external_reference_id": "A reference",
            "callback_url": WELL,
        });
        let event = self.post_once("/v1/events", delivered).await;
        self.world.follow_hints().await;
        self.know("event", event);
    }

    /// Deliveries that are not over, and breakers.
    async fn create_waiting_deliveries(&mut self) {
        let once = json!({ "delays_seconds": [] });
        for _ in 0..5 {
            let body = json!({ "callback_url": DOWN, "callback": { "retry": once } });
            self.called_back(body, [status(500)]).await;
        }
        let waits = self.called_back(json!({ "callback_url": DOWN }), []).await;
        self.know("waits_for_the_breaker", waits);
        let slow = json!({ "callback_url": DOWN, "callback": { "profile": "nextks" } });
        let slow = self.called_back(slow, [status(500)]).await;
        self.know("waits_in_the_slow_lane", slow);
        let held = self.called_back(json!({ "callback_url": WELL }), [status(503)]).await;
        self.start_and_die(&held).await;
        self.know("leased_to_a_dead_worker", held);
        let again = self.called_back(json!({ "callback_url": WELL }), [status(500)]).await;
        self.know("retried", again);

        let now = self.world.system.clock.now();
        let endpoint = Endpoint::of_callback("https://tried.example.com/hook").expect("a URL");
        let failing = EndpointHealth {
            circuit: Circuit::Closed { failed: vec![OpId(5)] },
            is_slow: false,
            changed_at: now,
        };
        let tried = Breaker {
            account: self.world.account.id,
            authority: Authority::from_text("tried.example.com:443".to_owned()),
            connection: Circuit::Trial {
                by: OpId(7),
                until: now + Duration::from_secs(30),
                n_openings: 2,
            },
            is_slow: true,
            endpoints: [(endpoint, failing)].into(),
            changed_at: now,
            revision: 0,
        };
        let saved = self.world.system.store.create(&tried).await.expect("written");
        assert!(matches!(saved, Saved::Saved));
        self.trigger("failing", 500).await;
        let retried = self.delivery(&self.known["retried"]).await;
        let bus = Delivery {
            id: Delivery::id_of(retried.event(), OpId(7), "bus"),
            target: Target::Bus,
            revision: 0,
            ..retried
        };
        let saved = self.world.system.store.create(&bus).await.expect("written");
        assert!(matches!(saved, Saved::Saved));
    }

    /// Pending requests, and events that have not been dispatched.
    async fn create_pending(&mut self) {
        let pending = self.post_once("/v1/requests", question(everything())).await;
        self.know("pending", pending);
        let anonymous = self.ask(json!({ "recipients": [] })).await;
        self.know("anonymous", anonymous);
        let changed = self.ask(json!({ "mode": "on_timeout", "timeout_seconds": 3_600 })).await;
        let reject = json!({ "option": "reject", "fields": { "why": "Wait." } });
        self.world.answer(&changed, 0, reject).await;
        self.world.system.clock.advance(Duration::from_secs(1));
        self.approve(&changed, 0).await;
        self.know("due_in_an_hour", changed);
        let token = self.known["channel"]["token"].as_str().expect("a token").to_owned();
        let message = json!({ "title": "Deploy?", "callback_url": WELL });
        let message = self.post(&format!("/v1/send/{token}"), message).await;
        self.know("message", message);
        self.world.follow_hints().await;

        self.create_pending_with_codes_and_long_parts().await;
        let half = json!({ "callback_url": WELL, "callback": {
            "events": ["request.created", "request.answered", "request.finished"],
        } });
        let half = self.ask(half).await;
        self.approve(&half, 0).await;
        self.know("half_dispatched", half);
        let finished = self.ask(json!({ "callback_url": WELL })).await;
        self.approve(&finished, 0).await;
        self.approve(&finished, 1).await;
        self.know("finished_and_not_dispatched", finished);
        let erased = self.ask(json!({ "callback_url": WELL })).await;
        self.call(Method::DELETE, &format!("/v1/requests/{}", id(&erased)), Value::Null).await;
        self.know("erased", erased);
        let job = json!({ "executionId": "exec-42", "status": "failed" });
        let posted = self.post("/v1/events", json!({ "type": "job.failed", "data": job })).await;
        self.know("posted", posted);
    }

    /// Pending requests with codes, with the second step, and with a question and answers that have
    /// items of their own.
    async fn create_pending_with_codes_and_long_parts(&mut self) {
        let long = json!({
            "mode": "on_timeout",
            "timeout_seconds": 3_600,
            "fields": [{ "key": "why", "type": "textarea", "label": "Why" }],
            "callback_url": WELL,
            "callback": { "events": ["request.answered"] },
        });
        let long = self.ask(long).await;
        for text in ["No. ", "Yes. "] {
            let fields = json!({ "why": text.repeat(1_000) });
            let body = json!({ "option": "approve", "fields": fields });
            self.world.answer(&long, 0, body).await;
            self.world.system.clock.advance(Duration::from_secs(1));
        }
        self.know("answered_at_length", long);
        let body = json!({ "body": letters(2_000), "timeout_seconds": 3_600 });
        let asked = self.ask(body).await;
        self.know("asked_at_length", asked);

        let coded = json!({
            "assurance": "code",
            "timeout_seconds": 3_600,
            "recipients": ["Ada@B\u{fc}cher.example", "b@example.com"],
            "callback_url": WELL,
            "callback": { "events": ["request.link_locked"] },
        });
        let coded = self.ask(coded).await;
        for recipient in [0, 0, 0, 0, 0, 1, 1, 1, 1, 1] {
            let body = json!({ "option": "approve", "code": "no code" });
            self.world.answer(&coded, recipient, body).await;
        }
        let path = format!("/a/{}", system_tests::token(&coded, 1));
        self.world.visit(Method::POST, &path, "new_code=1").await;
        self.know("locked", coded);
        self.ask(json!({ "assurance": "confirm", "timeout_seconds": 3_600 })).await;
    }

    /// Sends a test event to a webhook, which responds with `status`.
    async fn trigger(&self, webhook: &str, status: u16) {
        self.world.egress.script().answer(reply(status));
        self.post(&format!("/v1/webhooks/{webhook}/trigger"), Value::Null).await;
        self.world.follow_hints().await;
    }

    /// The only delivery of a request.
    async fn delivery(&self, request: &Value) -> Delivery {
        let path = format!("/v1/deliveries?request_id={}", id(request));
        let list = self.call(Method::GET, &path, Value::Null).await;
        let own = id(&list["data"][0]).parse().expect("an id");
        let read = self.world.system.store.get(keys::delivery(own)).await;
        read.expect("read").expect("the delivery exists")
    }

    /// Starts the only delivery of a request, like a worker that then dies.
    async fn start_and_die(&self, request: &Value) {
        let delivery = self.delivery(request).await;
        self.world.system.clock.advance(Duration::from_secs(7));
        let op = OpId::new(self.world.system.entropy.next());
        let started = delivery.start(delivery.attempt, self.world.system.clock.now(), op, LEASE);
        let StartDecision::Attempt(started) = started else { panic!("{started:?}") };
        let saved = self.world.system.store.save(&*started).await;
        assert!(matches!(saved.expect("written"), Saved::Saved));
    }
}

/// A question to two people, with these members in addition.
pub(super) fn question(members: Value) -> Value {
    let body = json!({
        "title": "Deploy it?",
        "recipients": ["a@example.com", "b@example.com"],
        "options": [
            { "value": "approve", "label": "Approve" },
            { "value": "reject", "label": "Reject" },
        ],
        "fields": [{ "key": "why", "type": "text", "label": "Why" }],
    });
    with(body, members)
}

/// All optional members of a question.
pub(super) fn everything() -> Value {
    let all = ["request.created", "request.answered", "request.finished", "request.cancelled"];
    json!({
        "body": "All **green**.",
        "recipients": [
            { "email": "a@example.com", "name": "Ada L.", "slack_user": "U012AB3CD" }, "b@example.com",
        ],
        "slack_channel": "C012AB3CD",
        "options": [
            { "value": "approve", "label": "Approve", "style": "primary" },
            { "value": "later", "label": "Later", "style": "secondary" },
            { "value": "reject", "label": "Reject", "style": "destructive" },
        ],
        "fields": [
            { "key": "why", "type": "text", "label": "Why", "required": true, "max_length": 99 },
            { "key": "how", "type": "textarea", "label": "How", "default": "So" },
            { "key": "n", "type": "number", "label": "N", "min": 1, "max": 2.5, "default": 2 },
            {
                "key": "where", "type": "select", "label": "Where", "default": "EU",
                "choices": [{ "value": "EU", "label": "Europe" }],
            },
            { "key": "loud", "type": "toggle", "label": "Loud", "default": true },
            {
                "key": "days", "type": "multi_select", "label": "Days", "default": ["mo"],
                "choices": [{ "value": "mo", "label": "Monday" }], "help": "All that suit you",
            },
            { "key": "from", "type": "date", "label": "From", "min": "2026-01-31", "max": "2026-12-31" },
            {
                "key": "reason", "type": "text", "label": "Reason", "required": ["reject"],
                "placeholder": "Too late",
            },
        ],
        "requester": { "kind": "service", "name": "CI", "email": "ci@example.com", "id": "7" },
        "locale": "de",
        "external_reference_id": "A reference",
        "metadata": { "Sha": "C0FFEE" },
        "timeout_seconds": 86_400,
        "callback_url": WELL,
        "callback": {
            "events": all,
            "headers": { "x-team": "A team" },
            "timeout_seconds": 9,
            "retry": { "delays_seconds": [30, 300], "jitter": 0.1 },
        },
    })
}

fn with(mut body: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("members are an object: {members}") };
    body.as_object_mut().expect("it is an object").extend(members);
    body
}

pub(super) fn id(of: &Value) -> &str {
    of["id"].as_str().expect("an id")
}

fn ok() -> Reply {
    status(200)
}

fn status(status: u16) -> Reply {
    reply(status).expect("a reply")
}
