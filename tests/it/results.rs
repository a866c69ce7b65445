//! Reading results under each read policy, before and after expiry.

use std::{convert::Infallible, time::Duration};

use answerback::{domain::Request, store::keys};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World};

/// A question to one recipient with this read policy.
fn question(read: &Value) -> Value {
    json!({
        "title": "Deploy?",
        "recipients": ["a@example.com"],
        "options": [{ "value": "approve", "label": "Approve" }],
        "fields": [{ "key": "why", "type": "text", "label": "Why" }],
        "read": read,
    })
}

/// The answered request.
async fn answered(world: &World, question: Value) -> Value {
    let request = world.create(question).await;
    let answer = json!({ "option": "approve", "fields": { "why": "tested" } });
    assert_eq!(world.answer(&request, 0, answer).await.status, StatusCode::OK);
    request
}

async fn result(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}/result", request["id"].as_str().expect("an id"));
    let answer = world.call(Method::GET, &path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

async fn acknowledge(world: &World, request: &Value, receipt: &str) -> Answer {
    let path = format!("/v1/requests/{}/result/ack", request["id"].as_str().expect("an id"));
    world.call(Method::POST, &path, json!({ "receipt": receipt })).await
}

async fn shown(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::GET, &path, Value::Null).await.json()
}

/// True if the table still holds the answer.
async fn is_kept(world: &World, request: &Value) -> bool {
    let id = request["id"].as_str().and_then(|it| it.parse().ok()).expect("an id");
    let stored: Option<Request> = world.system.store.get(keys::request(id)).await.expect("read");
    let row = stored.expect("the request exists").rows()[0].clone().expect("an answer");
    row.answer.option.is_some() || !row.answer.fields.is_empty()
}

#[tokio::test]
async fn result_can_be_read_repeatedly_and_equals_the_callback() {
    let world = World::start().await;
    let mut asked = question(&json!({ "mode": "repeat" }));
    asked["callback_url"] = "https://hooks.example.com/".into();
    asked["metadata"] = json!({ "sha": "c0ffee" });
    let request = world.create(asked).await;
    assert_eq!(result(&world, &request).await, json!({ "status": "pending" }));
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    let first = result(&world, &request).await;
    assert_eq!(first["status"], "submitted");
    assert_eq!(first["callback_status"], "pending");
    world.follow_hints().await;
    let second = result(&world, &request).await;
    assert_eq!(second["callback_status"], "delivered");
    assert_eq!(second["result"], first["result"]);
    let told: Value = serde_json::from_slice(&world.posts()[0].body).expect("JSON");
    assert_eq!(told["data"], first["result"]);
    assert_eq!(first["submitted_at"], first["result"]["finished_at"]);
}

#[tokio::test]
async fn read_once_result_appears_nowhere_else() {
    let world = World::start().await;
    let request = answered(&world, question(&json!({ "mode": "once" }))).await;
    for _ in 0..2 {
        let view = shown(&world, &request).await;
        assert_eq!(view["status"], "finished");
        let row = view["responses"][0].as_object().expect("a row");
        assert!(!row.contains_key("option") && !row.contains_key("fields"), "{row:?}");
    }
    let list = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
    assert_eq!(list["data"][0]["responses"][0].get("option"), None);
    let first = result(&world, &request).await;
    assert_eq!(first["status"], "submitted");
    assert_eq!(first["result"]["responses"][0]["fields"], json!({ "why": "tested" }));
    for _ in 0..2 {
        assert_eq!(result(&world, &request).await, json!({ "status": "already_read" }));
    }
    assert!(!is_kept(&world, &request).await);
}

#[tokio::test]
async fn callback_is_complete_after_an_earlier_single_read() {
    for (profile, pointer) in
        [("standard", "/data/responses/0/option"), ("nextks", "/responses/0/option_value")]
    {
        let world = World::start().await;
        let mut asked = question(&json!({ "mode": "once" }));
        asked["callback_url"] = "https://hooks.example.com/".into();
        asked["callback"] = json!({ "profile": profile });
        let request = answered(&world, asked).await;
        assert_eq!(result(&world, &request).await["status"], "submitted");
        assert!(is_kept(&world, &request).await, "the callback is not sent yet");
        world.follow_hints().await;
        let told: Value = serde_json::from_slice(&world.posts()[0].body).expect("JSON");
        assert_eq!(told.pointer(pointer).expect("an option"), "approve", "{told}");
        assert!(!is_kept(&world, &request).await, "the callback is sent and the result is read");
    }
}

/// The scope `webhooks:read` shows no result that only a reader of the result gets.
#[tokio::test]
async fn private_results_are_masked_in_attempts_and_events() {
    for mode in ["once", "lease", "repeat"] {
        let world = World::start().await;
        let webhook = json!({ "id": "all", "url": "https://hooks.example.com/all" });
        world.call(Method::POST, "/v1/webhooks", webhook).await;
        let mut asked = question(&json!({ "mode": mode }));
        asked["callback_url"] = "https://hooks.example.com/".into();
        let request = answered(&world, asked).await;
        world.follow_hints().await;
        let get = async |path: String| world.call(Method::GET, &path, Value::Null).await;
        let id = request["id"].as_str().expect("an id");
        let deliveries = get(format!("/v1/deliveries?request_id={id}")).await.json();
        let deliveries = deliveries["data"].as_array().expect("a list").clone();
        let text = |it: &Value, name: &str| it[name].as_str().expect("text").to_owned();
        let mut shown = vec![get("/v1/webhooks/all/attempts".to_owned()).await.text()];
        for delivery in &deliveries {
            let path = format!("/v1/attempts?delivery_id={}", text(delivery, "id"));
            let attempts = get(path).await;
            let one = format!("/v1/attempts/{}", text(&attempts.json()["data"][0], "id"));
            shown.extend([attempts.text(), get(one).await.text()]);
            shown.push(get(format!("/v1/events/{}", text(delivery, "event_id"))).await.text());
        }
        let is_shown = shown.iter().any(|it| it.contains("tested"));
        assert_eq!(is_shown, mode == "repeat", "{mode}: {shown:#?}");
        let received =
            world.posts().iter().any(|it| String::from_utf8_lossy(&it.body).contains("tested"));
        assert!(received, "receivers get all of it");
    }
}

#[tokio::test]
async fn lease_passes_between_readers_until_acknowledged() {
    let world = World::start().await;
    let lease = json!({ "mode": "lease", "lease_seconds": 30 });
    let request = answered(&world, question(&lease)).await;
    let clock = &world.system.clock;
    let receipt_of = |it: &Value| it["receipt"].as_str().expect("a receipt").to_owned();

    let first = result(&world, &request).await;
    assert_eq!(first["status"], "submitted");
    assert_eq!(first["result"]["decision"], "approve");
    assert_eq!(first["lease_expires_at"], "2026-01-01T00:00:30.000Z");
    clock.advance(Duration::from_millis(29_999));
    let other = json!({ "status": "pending", "lease_expires_at": "2026-01-01T00:00:30.000Z" });
    assert_eq!(result(&world, &request).await, other);

    // The first reader never acknowledges.
    clock.advance(Duration::from_millis(1));
    let second = result(&world, &request).await;
    assert_eq!(second["status"], "submitted");
    assert_eq!(second["result"], first["result"]);
    assert_eq!(second["lease_expires_at"], "2026-01-01T00:01:00.000Z");
    assert_ne!(receipt_of(&first), receipt_of(&second));
    for wrong in [receipt_of(&first), "rcp_0000000000000000".to_owned(), "nonsense".to_owned()] {
        let refused = acknowledge(&world, &request, &wrong).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{wrong}");
    }
    // Late, but no other reader has the lease: the result is consumed.
    clock.advance(Duration::from_mins(1));
    for _ in 0..2 {
        let done = acknowledge(&world, &request, &receipt_of(&second)).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());
        assert_eq!(done.json(), json!({ "status": "already_read" }));
    }
    assert_eq!(result(&world, &request).await, json!({ "status": "already_read" }));
    assert!(!is_kept(&world, &request).await);
}

#[tokio::test]
async fn unread_result_expires_at_its_exact_time() {
    for read in [
        json!({ "mode": "repeat", "ttl_seconds": 60 }),
        json!({ "mode": "once", "ttl_seconds": 60 }),
        json!({ "mode": "lease", "ttl_seconds": 60, "lease_seconds": 5 }),
    ] {
        let world = World::start().await;
        let in_time = answered(&world, question(&read)).await;
        let too_late = answered(&world, question(&read)).await;
        let clock = &world.system.clock;
        clock.advance(Duration::from_millis(59_999));
        assert_eq!(result(&world, &in_time).await["status"], "submitted", "{read}");
        clock.advance(Duration::from_millis(1));
        assert_eq!(result(&world, &too_late).await, json!({ "status": "expired" }), "{read}");
        let view = shown(&world, &too_late).await;
        assert_eq!(view["responses"][0].get("option"), None, "{view}");
        let again = match read["mode"].as_str() {
            Some("repeat") => "submitted",
            Some("once") => "already_read",
            _ => "pending",
        };
        assert_eq!(result(&world, &in_time).await["status"], again);
        // A lease that expires after the deadline leaves nothing to read.
        clock.advance(Duration::from_secs(5));
        let later = if again == "pending" { "expired" } else { again };
        assert_eq!(result(&world, &in_time).await["status"], later);
        world.system.sweep().await;
        assert!(!is_kept(&world, &too_late).await);
    }
}

#[tokio::test]
async fn sweep_erases_an_unread_expired_result() {
    let world = World::start().await;
    let request = answered(&world, question(&json!({ "ttl_seconds": 60 }))).await;
    let kept = answered(&world, question(&json!({ "ttl_seconds": 61 }))).await;
    // After the guard band it is over by every clock.
    world.system.clock.advance(Duration::from_secs(62));
    let swept = world.system.sweep().await;
    assert_eq!((swept.n_expired, swept.n_errors, swept.n_hinted), (1, 0, 0));
    assert!(!is_kept(&world, &request).await);
    assert!(is_kept(&world, &kept).await);
    assert_eq!(world.system.sweep().await, sweep::Swept::default());
    assert_eq!(result(&world, &request).await, json!({ "status": "expired" }));
}

#[tokio::test]
async fn cancelled_request_has_a_result() {
    let world = World::start().await;
    let request = world.create(question(&json!({ "mode": "once" }))).await;
    let path = format!("/v1/requests/{}/cancel", request["id"].as_str().expect("an id"));
    world.call(Method::POST, &path, Value::Null).await;
    let read = result(&world, &request).await;
    assert_eq!(read["status"], "submitted");
    assert_eq!(read["result"]["status"], "cancelled");
    assert_eq!(read["result"]["decided_by"], "sender");
    assert_eq!(result(&world, &request).await, json!({ "status": "already_read" }));
}

#[tokio::test]
async fn reader_can_wait_for_the_result() {
    let world = World::start().await;
    let request = world.create(question(&json!({ "mode": "once" }))).await;
    let path = format!("/v1/requests/{}/result?wait=25", request["id"].as_str().expect("an id"));
    let clock = &world.system.clock;
    let start = clock.now();
    let read = async || world.call(Method::GET, &path, Value::Null).await.json();
    // The reader sleeps by the world's clock; its work in between takes real time.
    let tick = async || {
        clock.advance(Duration::from_secs(1));
        shown(&world, &request).await;
    };
    let forever = async || -> Infallible {
        loop {
            tick().await;
        }
    };
    let nothing = tokio::select! { it = read() => it, never = forever() => match never {} };
    assert_eq!(nothing, json!({ "status": "pending" }));
    assert!(clock.now().duration_since(start).as_secs() >= 25);

    let answer_late = async || {
        for _ in 0..3 {
            tick().await;
        }
        world.answer(&request, 0, json!({ "option": "approve" })).await;
        forever().await
    };
    let something = tokio::select! { it = read() => it, never = answer_late() => match never {} };
    assert_eq!(something["status"], "submitted");
    for wrong in ["26", "-1", "soon"] {
        let path = path.replace("25", wrong);
        let refused = world.call(Method::GET, &path, Value::Null).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn head_request_does_not_consume_the_result() {
    let world = World::start().await;
    for read in [json!({ "mode": "once" }), json!({ "mode": "lease" })] {
        let request = answered(&world, question(&read)).await;
        let path = format!("/v1/requests/{}/result", request["id"].as_str().expect("an id"));
        let head = world.call(Method::HEAD, &path, Value::Null).await;
        assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(result(&world, &request).await["status"], "submitted", "{read}");
    }
}

#[tokio::test]
async fn waiting_reader_gets_the_result_when_a_lease_expires() {
    let world = World::start().await;
    let read = json!({ "mode": "lease", "lease_seconds": 5 });
    let request = answered(&world, question(&read)).await;
    assert_eq!(result(&world, &request).await["status"], "submitted");

    let id = request["id"].as_str().expect("an id");
    let path = format!("/v1/requests/{id}/result?wait=20");
    let began_at = world.system.clock.now();
    let mut waiting = std::pin::pin!(world.call(Method::GET, &path, Value::Null));
    let told = loop {
        tokio::select! {
            biased;
            answer = &mut waiting => break answer,
            () = tokio::task::yield_now() => world.system.clock.advance(Duration::from_millis(1)),
        }
    };
    assert_eq!(told.json()["status"], "submitted", "{}", told.text());
    let waited = world.system.clock.now().duration_since(began_at);
    assert!(waited.as_secs() >= 5, "the lease was not over after {waited:#}");
}
