//! Slack: people answer in the message, as themselves.

mod modals;
mod refusals;

use std::time::Duration;

use answerback::{domain::Scope, egress::Reply, signing::sign_as_slack};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World, reply};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const TEAM: &str = "T0G9PQBBK";
const ADA: &str = "U012AB3CDE";
const DIRECT: &str = "D024BE91L";
const RESPONSE_URL: &str = "https://hooks.slack.com/actions/T0G9PQBBK/1/x";

/// A stack with a Slack notifier, and one question that it brought to Ada.
struct Workspace {
    world: World,
    notifier: String,
    request: Value,
    ts: &'static str,
}

fn says(body: &Value) -> Reply {
    let body = body.to_string().into_bytes();
    Reply { status: 200, headers: Vec::new(), body }
}

/// Slack finds Ada, and takes the message.
fn take_message(world: &World, ts: &str) {
    let script = world.egress.script();
    script.answer(Ok(says(&json!({ "ok": true, "user": { "id": ADA, "name": "ada" } }))));
    script.answer(Ok(says(&json!({ "ok": true, "channel": DIRECT, "ts": ts, "message": {} }))));
}

async fn notifier(world: &World, more: Value) -> String {
    let mut settings = json!({ "bot_token": "xoxb-1", "signing_secret": SECRET, "team_id": TEAM });
    for (name, value) in more.as_object().expect("settings") {
        settings[name] = value.clone();
    }
    let body = json!({ "kind": "slack", "settings": settings, "default": true });
    let made = world.call(Method::POST, "/v1/notifiers", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()["id"].as_str().expect("an id").to_owned()
}

fn question() -> Value {
    json!({
        "title": "Deploy?",
        "recipients": [{ "email": "ada@example.com", "name": "Ada" }],
        "options": [
            { "value": "approve", "label": "Approve", "style": "primary" },
            { "value": "reject", "label": "Reject", "style": "destructive" },
        ],
    })
}

/// A message, and a press of its button that is not signed: intake opens the secret to find that out.
pub(crate) async fn press_unsigned(world: &World) {
    let notifier = notifier(world, json!({})).await;
    let mut question = question();
    question["notify"] = json!([notifier]);
    take_message(world, "1503435956.000247");
    world.create(question).await;
    world.follow_hints().await;
    let posts = world.posts();
    let message = posts.last().expect("a message");
    let message: Value = serde_json::from_slice(&message.body).expect("JSON");
    let blocks = message["blocks"].as_array().expect("blocks");
    let value = &blocks.last().expect("buttons")["elements"][0]["value"];
    let payload = json!({ "type": "block_actions", "actions": [{ "value": value }] });
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let body = form.append_pair("payload", &payload.to_string()).finish();
    let path = format!("/v1/slack/{notifier}");
    assert_eq!(world.visit(Method::POST, &path, &body).await.status, StatusCode::UNAUTHORIZED);
    let path = format!("/v1/notifiers/{notifier}");
    world.call(Method::DELETE, &path, Value::Null).await;
}

impl Workspace {
    async fn start() -> Self {
        Self::asked(question()).await
    }

    async fn asked(question: Value) -> Self {
        let world = World::start().await;
        let notifier = notifier(&world, json!({})).await;
        let ts = "1503435956.000247";
        take_message(&world, ts);
        let request = world.create(question).await;
        world.follow_hints().await;
        Self { world, notifier, request, ts }
    }

    /// The JSON of the posts to this method, oldest first.
    fn calls(&self, method: &str) -> Vec<Value> {
        let posts = self.world.posts();
        let to = posts.iter().filter(|it| it.url.as_str().ends_with(method));
        to.map(|it| serde_json::from_slice(&it.body).expect("JSON")).collect()
    }

    /// The value of the button with this label in the latest message.
    fn button(&self, label: &str) -> String {
        let messages = self.calls("chat.postMessage");
        let blocks = messages.last().expect("a message")["blocks"].clone();
        let actions = blocks.as_array().into_iter().flatten().filter(|it| it["type"] == "actions");
        let all = actions.flat_map(|it| it["elements"].as_array().expect("buttons").clone());
        let mut found = all.filter(|it| it["text"]["text"] == label);
        found.next().expect("a button")["value"].as_str().expect("a value").to_owned()
    }

    /// What Slack sends when Ada presses a button now.
    fn press(&self, value: &str) -> Value {
        let now = self.world.system.clock.now();
        json!({
            "type": "block_actions",
            "user": { "id": ADA },
            "team": { "id": TEAM },
            "container": { "type": "message", "message_ts": self.ts, "channel_id": DIRECT },
            "actions": [{ "value": value, "action_ts": format!("{}.{:06}", now.as_second(), now.subsec_microsecond()) }],
            "trigger_id": "13345224609.738474920.8088930838d88f008e0",
            "response_url": RESPONSE_URL,
        })
    }

    async fn send(&self, payload: &Value) -> Answer {
        self.send_signed(payload, SECRET, 0).await
    }

    async fn send_signed(&self, payload: &Value, secret: &str, age: i64) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let body = form.append_pair("payload", &payload.to_string()).finish();
        let at = (self.world.system.clock.now().as_second() - age).to_string();
        let signature = sign_as_slack(&secret.into(), &at, body.as_bytes());
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-slack-request-timestamp", &*at),
            ("x-slack-signature", &*signature),
        ];
        let path = format!("/v1/slack/{}", self.notifier);
        self.world.send(Method::POST, &path, &headers, body.into()).await
    }

    async fn read(&self) -> Value {
        let path = format!("/v1/requests/{}", self.request["id"].as_str().expect("an id"));
        self.world.call(Method::GET, &path, Value::Null).await.json()
    }

    /// The texts that only the person who pressed saw.
    fn whispers(&self) -> Vec<String> {
        let replies = self.calls("/actions/T0G9PQBBK/1/x");
        let text = |it: &Value| {
            assert_eq!(it["response_type"], "ephemeral");
            assert_eq!(it["replace_original"], false);
            it["blocks"][0]["text"]["text"].as_str().expect("a text").to_owned()
        };
        replies.iter().map(text).collect()
    }
}

#[tokio::test]
async fn recipient_answers_in_the_message() {
    let it = Workspace::start().await;
    let posts = it.world.posts();
    let urls: Vec<_> = posts.iter().map(|it| it.url.as_str()).collect();
    assert_eq!(
        urls,
        ["https://slack.com/api/users.lookupByEmail", "https://slack.com/api/chat.postMessage"]
    );
    assert_eq!(posts[0].body, b"email=ada%40example.com");
    assert_eq!(posts[1].headers["authorization"], "Bearer xoxb-1");
    assert_eq!(it.calls("chat.postMessage")[0]["channel"], ADA);

    let value = it.button("Approve");
    it.world.pass(Duration::from_mins(1)).await;
    it.world.egress.script().answer(Ok(says(&json!({ "ok": true }))));
    let pressed = it.send(&it.press(&value)).await;
    assert_eq!((pressed.status, pressed.text().as_str()), (StatusCode::OK, ""));
    let read = it.read().await;
    assert_eq!((&read["outcome"], &read["decision"]), (&json!("completed"), &json!("approve")));
    let proof = json!({ "method": "slack", "identity": format!("slack:{TEAM}/{ADA}") });
    assert_eq!(read["responses"][0]["proof"], proof);

    // The queue changes the message.
    it.world.follow_hints().await;
    let updates = it.calls("chat.update");
    let [update] = &updates[..] else { panic!("expected one update: {updates:?}") };
    assert_eq!((&update["channel"], &update["ts"]), (&json!(DIRECT), &json!(it.ts)));
    let text = update.to_string();
    assert!(text.contains("“\u{2068}Approve\u{2069}” by \u{2068}Ada\u{2069}, <!date^"), "{text}");
    assert!(!text.contains("actions") && !text.contains("/a/"), "{text}");
    assert_eq!(it.whispers(), [""; 0]);
}

#[tokio::test]
async fn answers_of_all_other_ways_change_the_message() {
    for way in ["page", "cancel", "deadline"] {
        let it = Workspace::start().await;
        it.world.egress.script().answer(Ok(says(&json!({ "ok": true }))));
        let expected = match way {
            "page" => {
                let answer = json!({ "option": "reject" });
                assert_eq!(it.world.answer(&it.request, 0, answer).await.status, StatusCode::OK);
                "“\u{2068}Reject\u{2069}” by \u{2068}Ada\u{2069}"
            }
            "cancel" => {
                let path =
                    format!("/v1/requests/{}/cancel", it.request["id"].as_str().expect("an id"));
                let reason = json!({ "reason": "The build failed." });
                let cancelled = it.world.call(Method::POST, &path, reason).await;
                assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.text());
                "This question was withdrawn*\\nReason: \u{2068}The build failed.\u{2069}"
            }
            _ => {
                it.world.pass(Duration::from_hours(25)).await;
                it.world.system.sweep().await;
                "The deadline has passed"
            }
        };
        it.world.follow_hints().await;
        let updates = it.calls("chat.update");
        let [update] = &updates[..] else { panic!("{way}: expected one update: {updates:?}") };
        assert!(update.to_string().contains(expected), "{way}: {update}");
    }
}

#[tokio::test]
async fn failed_update_is_repeated() {
    let it = Workspace::start().await;
    let script = it.world.egress.script();
    script.answer(Ok(Reply {
        status: 429,
        headers: vec![("Retry-After".to_owned(), "30".to_owned())],
        body: Vec::new(),
    }));
    script.answer(reply(500));
    script.answer(Ok(says(&json!({ "ok": true }))));
    assert_eq!(it.send(&it.press(&it.button("Approve"))).await.status, StatusCode::OK);
    it.world.follow_hints().await;
    for _ in 0..4 {
        it.world.pass(Duration::from_secs(90)).await;
        it.world.system.sweep().await;
        it.world.follow_hints().await;
    }
    assert_eq!(it.calls("chat.update").len(), 3);
}

#[tokio::test]
async fn erased_request_leaves_no_text_in_the_message() {
    let it = Workspace::start().await;
    it.world.egress.script().answer(Ok(says(&json!({ "ok": true }))));
    let path = format!("/v1/requests/{}", it.request["id"].as_str().expect("an id"));
    assert_eq!(
        it.world.call(Method::DELETE, &path, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    it.world.follow_hints().await;
    let updates = it.calls("chat.update");
    let [update] = &updates[..] else { panic!("expected one update: {updates:?}") };
    assert!(update.to_string().contains("This question was deleted."), "{update}");
    assert!(!update.to_string().contains("Deploy"), "{update}");
}

#[tokio::test]
async fn messages_in_a_channel_have_no_link() {
    let world = World::start().await;
    let notifier = notifier(&world, json!({ "default_channel": "C0CHANNEL1" })).await;
    let ts = "1503435956.000247";
    take_message(&world, ts);
    let request = world.create(question()).await;
    world.follow_hints().await;
    let it = Workspace { world, notifier, request, ts };
    let message = it.calls("chat.postMessage")[0].clone();
    assert_eq!(message["channel"], "C0CHANNEL1");
    assert!(!message.to_string().contains("/a/"), "{message}");
    let link = it.request["recipients"][0]["answer_url"].as_str().expect("a link");
    let path = &link[link.find("/a/").expect("a path")..];
    it.world.egress.script().answer(reply(200));
    assert_eq!(it.send(&it.press(&it.button("Open to answer"))).await.status, StatusCode::OK);
    let whispers = it.whispers();
    assert!(whispers[0].contains(path) && whispers.len() == 1, "{whispers:?}");
}

#[tokio::test]
async fn request_names_its_channel_and_user() {
    let world = World::start().await;
    let notifier = notifier(&world, json!({ "default_channel": "C0CHANNEL1" })).await;
    let ts = "1503435956.000247";
    let mut asked = question();
    asked["slack_channel"] = json!("C0CHANNEL2");
    asked["recipients"][0]["slack_user"] = json!("W012AB3CDE");
    let place = json!({ "ok": true, "channel": "C0CHANNEL2", "ts": ts });
    world.egress.script().answer(Ok(says(&place)));
    let request = world.create(asked).await;
    assert_eq!(request["slack_channel"], "C0CHANNEL2");
    assert_eq!(request["recipients"][0]["slack_user"], "W012AB3CDE");
    world.follow_hints().await;
    let it = Workspace { world, notifier, request, ts };
    let posts = it.world.posts();
    let urls: Vec<_> = posts.iter().map(|it| it.url.as_str()).collect();
    assert_eq!(urls, ["https://slack.com/api/chat.postMessage"]);
    assert_eq!(it.calls("chat.postMessage")[0]["channel"], "C0CHANNEL2");

    let value = it.button("Approve");
    for (user, status) in [(ADA, "pending"), ("W012AB3CDE", "finished")] {
        let mut press = it.press(&value);
        press["user"]["id"] = json!(user);
        press["container"]["channel_id"] = json!("C0CHANNEL2");
        it.world.egress.script().answer(reply(200));
        assert_eq!(it.send(&press).await.status, StatusCode::OK);
        assert_eq!(it.read().await["status"], status, "{user}");
    }
    let identity = format!("slack:{TEAM}/W012AB3CDE");
    assert_eq!(it.read().await["responses"][0]["proof"]["identity"], identity);
}

/// The places of the errors of a refused question.
async fn refused(world: &World, key: &str, asked: Value) -> Vec<String> {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let refused = world.call_with(Method::POST, "/v1/requests", &headers, asked).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    let errors = refused.json()["errors"].clone();
    let errors = errors.as_array().expect("errors").iter();
    errors.filter_map(|it| it["pointer"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
async fn key_that_cannot_answer_names_no_user_who_answers() {
    let world = World::start().await;
    notifier(&world, json!({})).await;
    let mut asked = question();
    asked["recipients"][0]["slack_user"] = json!("U0ASKER001");
    let to = json!([{ "email": "bea@example.com", "slack_user": "U0ASKER002" }]);
    asked["steps"] = json!([{ "after_seconds": 60, "do": "escalate", "to": to }]);
    for scopes in [&[Scope::RequestsAsk][..], &[Scope::RequestsAsk, Scope::LinksRead]] {
        let key = world.key_with(scopes).await;
        assert_eq!(
            refused(&world, &key, asked.clone()).await,
            ["/recipients/0/slack_user", "/steps/0/to/0/slack_user"]
        );
    }
    let request = world.create(asked).await;
    assert_eq!(request["steps"][0]["to"][0]["slack_user"], "U0ASKER002");
}

/// A message to a channel as if it were a person would show its link to all, and one to a person as if it
/// were a channel would show answers to others.
#[tokio::test]
async fn identifiers_are_of_their_kind() {
    let world = World::start().await;
    notifier(&world, json!({})).await;
    for user in ["C0CHANNEL1", "G0CHANNEL1", "D024BE91L", "T0G9PQBBK", "u012ab3cd", ""] {
        let mut asked = question();
        asked["recipients"][0]["slack_user"] = json!(user);
        assert_eq!(
            refused(&world, &world.key, asked).await,
            ["/recipients/0/slack_user"],
            "{user}"
        );
    }
    for channel in ["U012AB3CD", "W012AB3CD", "D024BE91L", "#general", ""] {
        let mut asked = question();
        asked["slack_channel"] = json!(channel);
        assert_eq!(refused(&world, &world.key, asked).await, ["/slack_channel"], "{channel}");
    }
    let mut twice = question();
    twice["recipients"] = json!([
        { "email": "ada@example.com", "slack_user": ADA },
        { "email": "bea@example.com", "slack_user": ADA },
    ]);
    assert_eq!(refused(&world, &world.key, twice).await, ["/recipients/1/slack_user"]);
}

#[tokio::test]
async fn key_for_some_recipients_names_no_channel() {
    let world = World::start().await;
    notifier(&world, json!({})).await;
    let limited = json!({ "scopes": ["requests:ask"], "recipients_allowed": ["*@example.com"] });
    let key = world.call(Method::POST, "/v1/keys", limited).await.json();
    let key = key["key"].as_str().expect("a key");
    let mut asked = question();
    asked["slack_channel"] = json!("C0CHANNEL1");
    assert_eq!(refused(&world, key, asked).await, ["/slack_channel"]);
}

#[tokio::test]
async fn long_action_is_reviewed_on_the_page() {
    let mut question = question();
    let note = "x".repeat(2_600);
    question["action"] = json!({ "name": "deploy", "args": { "note": note } });
    let it = Workspace::asked(question).await;
    let message = it.calls("chat.postMessage")[0].to_string();
    assert!(!message.contains("\"actions\"") && !message.contains("xxxx"), "{message}");
    assert!(message.contains("|Open to review>") && message.contains("/a/"), "{message}");
}

#[tokio::test]
async fn manifest_makes_the_app() {
    let it = Workspace::start().await;
    let path = format!("/v1/notifiers/{}/slack-manifest", it.notifier);
    let manifest = it.world.call(Method::GET, &path, Value::Null).await.json();
    let url = format!("https://answers.example.com/v1/slack/{}", it.notifier);
    assert_eq!(manifest["settings"]["interactivity"]["request_url"], url);
    let scopes = json!(["chat:write", "im:write", "users:read", "users:read.email"]);
    assert_eq!(manifest["oauth_config"]["scopes"]["bot"], scopes);
}
