//! `NextKS`: a notification with buttons, its status, and the callback.

use std::time::Duration;

use answerback::{
    domain::Scope,
    egress::{Failure, FailureKind},
};
use axum::http::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{Answer, START, World, reply};

use super::{curl, press, text};

/// The example in the product's documentation.
const NOTIFICATION: &str = r#"{
    "user_emails": ["a@example.com", "b@example.com"],
    "message": "Release v2.4.1 is ready.\nChanges: 3 bug fixes.\n\nDeploy to production?",
    "external_reference_id": "deploy-v2.4.1",
    "response_request": {
        "options": [
            { "text": "Approve", "value": "approve" },
            { "text": "Delay 1h", "value": "delay" }
        ],
        "timeout_minutes": 60,
        "callback_url": "https://ci.company.com/hooks/nextks"
    }
}"#;

async fn notify(world: &World, body: &str) -> Answer {
    curl(world, Method::POST, "/api/notify", &[("x-api-key", &world.key)], body).await
}

async fn notified(world: &World, body: &str) -> String {
    let answer = notify(world, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let body = answer.json();
    let id = text(&body["request_id"]).to_owned();
    assert_eq!(body, json!({ "status": "ok", "request_id": id }));
    id
}

async fn status(world: &World, key: &str, id: &str) -> Answer {
    let path = format!("/api/notify/status/{id}");
    curl(world, Method::GET, &path, &[("x-api-key", key)], "").await
}

/// The notification with changed members; null removes one.
fn changed(change: &Value) -> String {
    fn merge(into: &mut Value, change: &Value) {
        let (Value::Object(into), Value::Object(change)) = (&mut *into, change) else {
            into.clone_from(change);
            return;
        };
        for (name, value) in change {
            match value {
                Value::Null => _ = into.remove(name),
                value => merge(into.entry(name.clone()).or_insert(Value::Null), value),
            }
        }
    }
    let mut body: Value = serde_json::from_str(NOTIFICATION).expect("JSON");
    merge(&mut body, change);
    body.to_string()
}

/// Checks of a callback by a receiver that was written for the product.
fn receive(body: &[u8], request_id: &str) -> Vec<(String, Option<String>, bool)> {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(body["request_id"], request_id);
    assert_eq!(body["external_reference_id"], "deploy-v2.4.1");
    assert_eq!(body["status"], "finished");
    let responses = body["responses"].as_array().expect("a list");
    let row = |it: &Value| {
        let option = it["option_value"].as_str().map(str::to_owned);
        assert_eq!(option.is_some(), it["timestamp"].is_string());
        (text(&it["user_email"]).to_owned(), option, it["expired"].as_bool().expect("a flag"))
    };
    responses.iter().map(row).collect()
}

#[tokio::test]
async fn callback_is_retried_until_the_receiver_accepts_it() {
    let answers = [reply(500), reply(503), reply(200)];
    let world = World::start_answering(answers).await;
    let id = notified(&world, NOTIFICATION).await;
    assert_eq!(press(&world, &id, 0, "approve").await.status, StatusCode::OK);
    assert_eq!(world.posts().len(), 0);
    assert_eq!(press(&world, &id, 1, "delay").await.status, StatusCode::OK);

    for minutes in 0..5 {
        world.follow_hints().await;
        let is_told = world.posts().len();
        assert_eq!(is_told, 3.min(minutes + 1), "after {minutes} minutes");
        world.pass(Duration::from_mins(1)).await;
    }
    let secret = world.secret().await;
    for post in world.posts() {
        let rows = receive(&post.body, &id);
        let expected = [("a@example.com", "approve"), ("b@example.com", "delay")];
        let expected =
            expected.map(|(email, option)| (email.to_owned(), Some(option.to_owned()), false));
        assert_eq!(rows, expected);
        assert_eq!(post.headers["x-nextks-request-id"], id);
        let signature = crate::profiles::hmac_sha256(secret.as_bytes(), &post.body);
        assert_eq!(post.headers["x-nextks-signature"], format!("sha256={signature}"));
    }
}

#[tokio::test]
async fn callback_is_tried_four_times_and_late_recipients_expire() {
    let world = World::start_answering((0..9).map(|_| reply(500))).await;
    let id = notified(&world, NOTIFICATION).await;
    press(&world, &id, 0, "approve").await;
    world.pass(Duration::from_mins(59)).await;
    assert_eq!(world.posts().len(), 0);
    for _ in 0..10 {
        world.system.sweep().await;
        world.pass(Duration::from_mins(1)).await;
    }
    let posts = world.posts();
    assert_eq!(posts.len(), 4);
    for post in posts {
        let expected = [
            ("a@example.com".to_owned(), Some("approve".to_owned()), false),
            ("b@example.com".to_owned(), None, true),
        ];
        assert_eq!(receive(&post.body, &id), expected);
    }
}

#[tokio::test]
async fn status_has_the_format_of_the_callback() {
    let world = World::start().await;
    let id = notified(&world, NOTIFICATION).await;
    let row = |email: &str, option: Option<&str>, timestamp: Option<&str>, expired: bool| {
        json!({
            "user_email": email,
            "option_value": option,
            "timestamp": timestamp,
            "expired": expired,
        })
    };
    let shown = |status: &str, second: Value| {
        json!({
            "request_id": id,
            "external_reference_id": "deploy-v2.4.1",
            "status": status,
            "responses": [
                row("a@example.com", Some("approve"), Some("2026-01-01T00:00:00.000Z"), false),
                second,
            ],
        })
    };
    press(&world, &id, 0, "approve").await;
    let open = row("b@example.com", None, None, false);
    assert_eq!(status(&world, &world.key, &id).await.json(), shown("pending", open));

    // Reading the status after the deadline settles the request.
    world.system.clock.advance(Duration::from_secs(3_602));
    let late = row("b@example.com", None, None, true);
    let finished = shown("finished", late);
    assert_eq!(status(&world, &world.key, &id).await.json(), finished);
    world.follow_hints().await;
    let told: Value = serde_json::from_slice(&world.posts()[0].body).expect("JSON");
    assert_eq!(told, finished);
}

#[tokio::test]
async fn request_ends_on_user_action_or_timeout() {
    let world = World::start().await;
    let first_stands = notified(&world, NOTIFICATION).await;
    press(&world, &first_stands, 0, "approve").await;
    let again = press(&world, &first_stands, 0, "delay").await;
    assert_eq!(again.status, StatusCode::CONFLICT);

    let until_time_is_up = changed(&json!({ "response_request": { "disable": "onTimeout" } }));
    let last_stands = notified(&world, &until_time_is_up).await;
    for recipient in [0, 1] {
        press(&world, &last_stands, recipient, "approve").await;
    }
    world.system.clock.advance(Duration::from_secs(1));
    assert_eq!(press(&world, &last_stands, 0, "delay").await.status, StatusCode::OK);
    let shown = status(&world, &world.key, &last_stands).await.json();
    assert_eq!(
        (&shown["status"], &shown["responses"][0]["option_value"]),
        (&json!("pending"), &json!("delay"))
    );
    world.system.clock.advance(Duration::from_secs(3_602));
    assert_eq!(status(&world, &world.key, &last_stands).await.json()["status"], "finished");
}

#[tokio::test]
async fn first_line_of_the_message_becomes_the_request_title() {
    let world = World::start().await;
    let long = "x".repeat(250);
    let cases = [
        ("Deploy?", "Deploy?"),
        ("\n  Deploy?\r\nNow?", "Deploy?"),
        (&*format!("{long}\nNow?"), &long[..200]),
    ];
    for (message, title) in cases {
        let body = changed(&json!({
            "message": message,
            "external_reference_id": null,
            "response_request": { "timeout_minutes": null, "callback_url": null },
            "priority": "of a member that says nothing here",
        }));
        let id = notified(&world, &body).await;
        let path = format!("/v1/requests/{id}");
        let request = world.call(Method::GET, &path, Value::Null).await.json();
        assert_eq!((&request["title"], &request["body"]), (&json!(title), &json!(message)));
        assert_eq!(request["callback"], Value::Null);
        let deadline: jiff::Timestamp = text(&request["deadline"]).parse().expect("a time");
        assert_eq!(deadline.as_second(), START + 86_400);
        let label = &request["options"][1];
        assert_eq!((&label["label"], &label["value"]), (&json!("Delay 1h"), &json!("delay")));
    }
}

#[tokio::test]
async fn idempotent_retry_creates_one_notification() {
    let world = World::start().await;
    let headers = [("x-api-key", &*world.key), ("idempotency-key", "deploy")];
    let ask = async || curl(&world, Method::POST, "/api/notify", &headers, NOTIFICATION).await;
    let (first, again) = (ask().await, ask().await);
    assert_eq!(first.json(), again.json());
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = changed(&json!({ "message": "Other?" }));
    let other = curl(&world, Method::POST, "/api/notify", &headers, &other).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn errors_use_the_words_and_names_of_the_product() {
    let world = World::start().await;
    let cases = [
        (json!({ "message": null }), "`/message` is required"),
        (json!({ "message": 7 }), "`/message` must be a string"),
        (
            json!({ "message": "a\u{0}" }),
            "`/message` must not contain the control character \\u{0} (character 2)",
        ),
        (json!({ "user_emails": [] }), "`/user_emails` must have at least one entry"),
        (
            json!({ "user_emails": ["a@example.com", "b"] }),
            "`/user_emails/1` must be an e-mail address",
        ),
        (
            json!({ "response_request": null }),
            "`/response_request` must have options; notifications without a response are not supported",
        ),
        (
            json!({ "response_request": { "options": [{ "value": "a", "text": "" }, { "text": "B" }] } }),
            "`/response_request/options/0/text` must not be empty; \
             `/response_request/options/1/value` is required",
        ),
        (
            json!({ "response_request": { "options": "a" } }),
            "`/response_request/options` must be an array",
        ),
        (
            json!({ "response_request": { "timeout_minutes": 0, "disable": "never" } }),
            "`/response_request/timeout_minutes` must be a whole number from 1 to 525600; \
             `/response_request/disable` must be one of onUserAction, onTimeout",
        ),
        (
            json!({ "response_request": { "callback_url": 7 } }),
            "`/response_request/callback_url` must be a string",
        ),
    ];
    for (change, details) in cases {
        let answer = notify(&world, &changed(&change)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change}");
        assert_eq!(answer.json(), json!({ "status": "error", "details": details }), "{change}");
    }
    for body in ["{", "[]"] {
        let answer = notify(&world, body).await;
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (StatusCode::BAD_REQUEST, &json!("error"))
        );
    }
    let private = json!({ "response_request": { "callback_url": "https://10.0.0.1/" } });
    let answer = notify(&world, &changed(&private)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(text(&answer.json()["details"]).contains("callback_url"));
    let large = changed(&json!({ "message": "x".repeat(300_000) }));
    assert_eq!(notify(&world, &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn notification_and_status_need_a_key_of_the_account() {
    let world = World::start().await;
    let id = notified(&world, NOTIFICATION).await;
    let nobody = curl(&world, Method::POST, "/api/notify", &[], NOTIFICATION).await;
    assert_eq!(
        (nobody.status, &nobody.json()["status"]),
        (StatusCode::UNAUTHORIZED, &json!("error"))
    );
    assert_eq!(status(&world, "ab_live_wrong", &id).await.status, StatusCode::UNAUTHORIZED);

    let reader = world.key_with(&[Scope::RequestsRead]).await;
    let headers = [("x-api-key", &*reader)];
    let refused = curl(&world, Method::POST, "/api/notify", &headers, NOTIFICATION).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(status(&world, &reader, &id).await.status, StatusCode::OK);
    let writer = world.key_with(&[Scope::RequestsWrite]).await;
    assert_eq!(status(&world, &writer, &id).await.status, StatusCode::FORBIDDEN);

    let stranger = world.system.make_account().await.expect("an account").key;
    let theirs = status(&world, stranger.text.expose_secret(), &id).await;
    let nothing = status(&world, &world.key, "req_01jd7k2m9qe4v8x3n5t6w1y0za").await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND);
    assert_eq!(theirs.bytes, nothing.bytes);
}

/// The page of the product says that the endpoint must respond.
#[tokio::test]
async fn notification_requires_a_receiver_that_responds() {
    let world = World::start().await;
    world.egress.script().refuse(Failure::new(FailureKind::Connect, "refused"));
    let answer = notify(&world, NOTIFICATION).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert!(text(&answer.json()["details"]).contains("did not respond to the probe"));
    notified(&world, NOTIFICATION).await;
}
