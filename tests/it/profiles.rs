//! Deliveries to receivers that were written for other products.

mod mixed;
mod nextks;

use std::time::Duration;

use answerback::{
    domain::{Mode, Source},
    signing::sha256,
};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{START, World, reply};

/// HMAC-SHA256 as in RFC 2104, for keys of up to a block. The tests do not rely on our own code.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> String {
    const BLOCK_BYTES: usize = 64;
    assert!(key.len() <= BLOCK_BYTES);
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block.to_vec()
    };
    let inner = sha256(&[&padded(0x36), message].concat());
    let outer = sha256(&[padded(0x5c), inner.to_vec()].concat());
    outer.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[test]
fn reference_hmac_is_correct() {
    // RFC 4231, test case 2.
    assert_eq!(
        hmac_sha256(b"Jefe", b"what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

/// A request whose callback uses `profile`.
async fn ask(world: &World, profile: &str) -> Value {
    let question = json!({
        "title": "Deploy?",
        "recipients": ["a@example.com"],
        "options": [{ "value": "approve", "label": "Approve" }],
        "fields": [{ "key": "why", "type": "text", "label": "Why" }],
        "timeout_seconds": 5,
        "external_reference_id": "deploy-7",
        "callback_url": "https://hooks.example.com/told",
        "callback": { "profile": profile, "auth": { "type": "bearer", "token": "0123456789" } },
    });
    world.create(question).await
}

/// Posts an event whose callback uses `profile`.
async fn post_event(world: &World, profile: &str, event_type: &str, data: &Value) {
    let event = json!({
        "type": event_type, "data": data,
        "callback_url": "https://hooks.example.com/told",
        "callback": { "profile": profile, "auth": { "type": "bearer", "token": "0123456789" } },
    });
    let answer = world.call(Method::POST, "/v1/events", event).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
}

/// The only delivery, and the seconds of its attempts.
async fn attempts(world: &World) -> (Value, Vec<i64>) {
    let list = world.call(Method::GET, "/v1/deliveries", Value::Null).await.json();
    let [delivery] = &list["data"].as_array().expect("a list")[..] else { panic!("{list}") };
    let path = format!("/v1/attempts?delivery_id={}", delivery["id"].as_str().expect("id"));
    let list = world.call(Method::GET, &path, Value::Null).await.json();
    let data = list["data"].as_array().expect("a list");
    let second = |it: &Value| {
        let at: jiff::Timestamp = it["started_at"].as_str().expect("a time").parse().expect("one");
        at.as_second() - START
    };
    (delivery.clone(), data.iter().rev().map(second).collect())
}

/// Lets time pass with a sweep each minute, as the schedule has it.
async fn live(world: &World, minutes: u32) {
    for _ in 0..minutes {
        world.system.sweep().await;
        world.pass(Duration::from_mins(1)).await;
    }
}

/// Checks that each attempt came after its delay, and at most a sweep later.
#[track_caller]
fn assert_delays(seconds: &[i64], delays: &[i64]) {
    assert_eq!(seconds.len(), delays.len() + 1, "{seconds:?}");
    for (pair, delay) in seconds.windows(2).zip(delays) {
        assert!((*delay..delay + 75).contains(&(pair[1] - pair[0])), "{seconds:?}");
    }
}

/// The expected hexadecimal signature of a `t=…,v1=…` header.
fn timed_signature(secret: &str, time: i64, body: &[u8]) -> String {
    let signed = [format!("{time}.").as_bytes(), body].concat();
    format!("t={time},v1={}", hmac_sha256(secret.as_bytes(), &signed))
}

#[tokio::test]
async fn nextmv_receiver_gets_the_data_and_a_millisecond_signature() {
    let world = World::start_answering([reply(200)]).await;
    let data = json!({ "application_id": "app", "run_id": "run", "status": "succeeded" });
    post_event(&world, "nextmv", "run.status", &data).await;
    world.follow_hints().await;

    let [post] = &world.posts()[..] else { panic!("one callback") };
    assert_eq!(post.timeout, Duration::from_secs(15));
    assert_eq!(post.body, data.to_string().as_bytes());
    let secret = world.secret_of(Mode::Live, Source::Events).await;
    let signature = timed_signature(&secret, START * 1_000, &post.body);
    assert_eq!(post.headers["nextmv-signature"], signature);
    assert!(!post.headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn notify_receiver_gets_a_bearer_token_and_five_retries() {
    let world = World::start_answering((0..9).map(|_| reply(500))).await;
    let data = json!({ "hello": "world" });
    post_event(&world, "notify", "letter.printed", &data).await;
    live(&world, 60).await;

    let posts = world.posts();
    for post in &posts {
        assert_eq!(post.timeout, Duration::from_secs(5));
        assert_eq!(post.headers["authorization"], "Bearer 0123456789");
        assert!(post.headers.keys().all(|it| !it.as_str().contains("signature")));
        assert_eq!(post.body, data.to_string().as_bytes());
    }
    let (delivery, seconds) = attempts(&world).await;
    assert_eq!(delivery["status"], "dead_lettered");
    assert_delays(&seconds, &[300; 5]);
}

#[tokio::test]
async fn ping_receiver_gets_one_callback_per_answer() {
    let world = World::start_answering((0..2).map(|_| reply(200))).await;
    let request = world
        .create(json!({
            "title": "Deploy?",
            "recipients": ["a@example.com", "b@example.com"],
            "options": [{ "value": "approve", "label": "Approve" }],
            "fields": [{ "key": "why", "type": "text", "label": "Why" }],
            "callback_url": "https://hooks.example.com/told",
            "callback": { "profile": "ping" },
        }))
        .await;
    for row in 0..2 {
        let answer = json!({ "option": "approve", "fields": { "why": format!("{row}") } });
        world.answer(&request, row, answer).await;
        world.follow_hints().await;
    }

    let posts = world.posts();
    assert_eq!(posts.len(), 2);
    for (row, post) in posts.iter().enumerate() {
        assert_eq!(post.timeout, Duration::from_secs(10));
        assert_eq!(
            post.headers["x-ping-signature"],
            timed_signature(&world.secret().await, START, &post.body)
        );
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        let id = request["id"].as_str().expect("an id").replace("req_", "msg_");
        let expected = json!({
            "message_id": id,
            "channel_id": null,
            "timestamp": "2026-01-01T00:00:00.000Z",
            "triggered_by": "approve",
            "responses": { "why": format!("{row}") },
        });
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn ping_callback_is_tried_once_without_configured_retries() {
    for status in [500, 302, 404] {
        let world = World::start_answering((0..2).map(|_| reply(status))).await;
        let request = ask(&world, "ping").await;
        world.answer(&request, 0, json!({ "option": "approve" })).await;
        world.pass(Duration::from_hours(1)).await;
        let (delivery, seconds) = attempts(&world).await;
        assert_eq!((&delivery["status"], seconds), (&json!("failed"), vec![0]));
    }
    let world = World::start_answering((0..2).map(|_| reply(500))).await;
    let callback = json!({ "profile": "ping", "retry": { "delays_seconds": [60] } });
    let request = world
        .create(json!({
            "title": "Deploy?",
            "options": [{ "value": "approve", "label": "Approve" }],
            "callback_url": "https://hooks.example.com/told",
            "callback": callback,
        }))
        .await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    world.pass(Duration::from_hours(1)).await;
    let (delivery, seconds) = attempts(&world).await;
    assert_eq!((&delivery["status"], seconds), (&json!("dead_lettered"), vec![0, 60]));
}

#[tokio::test]
async fn noukai_receiver_gets_its_headers_and_payload() {
    let world = World::start_answering((0..9).map(|_| reply(410))).await;
    let request = ask(&world, "noukai").await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    live(&world, 9 * 60).await;

    let (delivery, seconds) = attempts(&world).await;
    assert_eq!(delivery["status"], "dead_lettered");
    assert_delays(&seconds, &[60, 300, 1_800, 7_200, 18_000]);
    let posts = world.posts();
    for (post, second) in posts.iter().zip(seconds) {
        assert_eq!(post.timeout, Duration::from_secs(20));
        let time = START + second;
        assert_eq!(post.headers["x-noukai-timestamp"], time.to_string());
        assert_eq!(
            post.headers["x-noukai-signature"],
            timed_signature(&world.secret().await, time, &post.body)
        );
        assert_eq!(post.headers["x-noukai-event"], "request.finished");
        assert_eq!(post.headers["user-agent"], "Noukai-Webhook/1.0");
        let uuid = post.headers["x-noukai-delivery"].to_str().expect("text");
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(uuid, posts[0].headers["x-noukai-delivery"]);
    }
    let body: Value = serde_json::from_slice(&posts[0].body).expect("JSON");
    assert_eq!(body["event"], "request.finished");
    assert_eq!(body["executionId"], request["id"]);
    assert_eq!(body["status"], "finished");
    assert_eq!(body["payload"]["outcome"], "completed");
    assert_eq!(body["payload"]["status"], Value::Null);
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(4));
}

#[tokio::test]
async fn redirect_ends_a_noukai_delivery() {
    let world = World::start_answering([reply(302)]).await;
    let request = ask(&world, "noukai").await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    world.follow_hints().await;
    let (delivery, seconds) = attempts(&world).await;
    assert_eq!((&delivery["status"], seconds), (&json!("failed"), vec![0]));
    assert_eq!(delivery["state_reason"], "redirect");
}
