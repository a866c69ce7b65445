//! Answers that the sender's own application collected.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World};

use super::{asking, faults, path_of, show};

async fn respond(world: &World, request: &Value, body: Value) -> Answer {
    world.call(Method::POST, &format!("{}/responses", path_of(request)), body).await
}

/// The proof of an answer that the world's key recorded.
fn proof(world: &World) -> Value {
    let key = world.key.split('_').nth(2).expect("an identifier");
    json!({ "method": "api", "identity": format!("key:key_{key}") })
}

#[tokio::test]
async fn sender_answers_for_a_recipient_and_the_first_answer_counts() {
    let world = World::start().await;
    let recipients = json!(["a@example.com", "b@example.com"]);
    let fields = json!([{ "key": "why", "type": "text", "label": "Why" }]);
    let request = world.create(asking(json!({ "recipients": recipients, "fields": fields }))).await;

    let body = json!({ "recipient": "B@Example.com", "option": "yes", "fields": { "why": "So." } });
    let answer = respond(&world, &request, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let answered = json!({
        "recipient": "b@example.com", "option": "yes", "fields": { "why": "So." },
        "answered_at": "2026-01-01T00:00:00.000Z", "expired": false, "proof": proof(&world),
    });
    assert_eq!(answer.json()["responses"][1], answered);
    assert_eq!(answer.json()["status"], "pending");
    assert_eq!(answer.json(), show(&world, &request).await);

    let body = json!({ "recipient": "b@example.com", "option": "no" });
    let second = respond(&world, &request, body.clone()).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert_eq!(second.code(), "already_answered");
    assert_eq!(second.json()["response"], answered);
    assert_eq!(second.json()["request_status"], "pending");
    let by_link = world.answer(&request, 1, json!({ "option": "no" })).await;
    assert_eq!(by_link.code(), "already_answered");

    let last = respond(&world, &request, json!({ "recipient": "a@example.com", "option": "yes" }));
    let last = last.await.json();
    assert_eq!((&last["status"], &last["outcome"]), (&json!("finished"), &json!("completed")));
    assert_eq!((&last["decision"], &last["decided_by"]), (&json!("yes"), &json!("recipients")));
    let late = respond(&world, &request, body).await;
    assert_eq!(late.code(), "already_answered", "also after the end");
    assert_eq!(late.json()["outcome"], "completed");
}

#[tokio::test]
async fn sender_cannot_answer_for_an_anonymous_recipient() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    let named = json!({ "recipient": "a@example.com", "option": "yes" });
    assert_eq!(faults(&respond(&world, &request, named).await), ["/recipient"]);
    let answer = respond(&world, &request, json!({ "recipient": null, "option": "yes" })).await;
    assert_eq!(answer.json()["responses"][0]["option"], "yes");
    let request = world.create(asking(json!({}))).await;
    let answer = respond(&world, &request, json!({ "option": "no" })).await;
    assert_eq!(answer.json()["decision"], "no");
}

#[tokio::test]
async fn all_errors_of_an_answer_are_named() {
    let world = World::start().await;
    let recipients = json!(["a@example.com"]);
    let fields = json!([
        { "key": "why", "type": "text", "label": "Why", "required": true, "max_length": 3 },
        { "key": "n", "type": "number", "label": "N", "max": 5 },
    ]);
    let request = world.create(asking(json!({ "recipients": recipients, "fields": fields }))).await;
    for (body, places) in [
        (
            json!({ "recipient": "c@example.com", "option": "maybe" }),
            &["/recipient", "/option", "/fields/why"] as &[&str],
        ),
        (
            json!({ "recipient": null, "option": "yes", "fields": { "why": "So." } }),
            &["/recipient"],
        ),
        (json!({ "recipient": 1, "option": "yes" }), &["/recipient"]),
        (json!({ "recipient": "a@example.com" }), &["/option", "/fields/why"]),
        (
            json!({
                "recipient": "a@example.com", "option": "maybe",
                "fields": { "why": "long", "n": 6, "x/y": 1 },
            }),
            &["/option", "/fields/x~1y", "/fields/why", "/fields/n"],
        ),
        (
            json!({ "recipient": "a@example.com", "option": 1, "fields": { "n": {} }, "x": 1 }),
            &["/option", "/fields/n", "/x"],
        ),
    ] {
        let answer = respond(&world, &request, body.clone()).await;
        assert_eq!(faults(&answer), places, "{body} {}", answer.text());
    }
    assert_eq!(show(&world, &request).await, request, "nothing was recorded");
}

#[tokio::test]
async fn sender_answer_is_limited_to_32_kib() {
    let world = World::start().await;
    let fields = json!([{ "key": "why", "type": "textarea", "label": "Why" }]);
    let n_bytes_around = r#"{"why":""}"#.len() + "yes".len();
    for (more, status) in [(0, StatusCode::OK), (1, StatusCode::UNPROCESSABLE_ENTITY)] {
        let request = world.create(asking(json!({ "fields": fields }))).await;
        let why = "x".repeat(32_768 - n_bytes_around + more);
        let body = json!({ "option": "yes", "fields": { "why": why } });
        let answer = respond(&world, &request, body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test]
async fn sender_cannot_answer_after_the_deadline() {
    let world = World::start().await;
    let recipients = json!(["a@example.com"]);
    let body = asking(json!({ "recipients": recipients, "timeout_seconds": 5 }));
    let request = world.create(body).await;
    world.system.clock.advance(std::time::Duration::from_secs(5));
    let body = json!({ "recipient": "a@example.com", "option": "yes" });
    let answer = respond(&world, &request, body.clone()).await;
    assert_eq!(answer.status, StatusCode::GONE, "{}", answer.text());
    assert_eq!(answer.code(), "request_ended");
    world.pass(std::time::Duration::from_secs(5)).await;
    let answer = respond(&world, &request, body).await;
    assert_eq!(answer.json()["outcome"], "timed_out");
}

#[tokio::test]
async fn read_once_answer_is_not_in_the_response_to_the_sender() {
    let world = World::start().await;
    for mode in ["once", "lease"] {
        let request = world.create(asking(json!({ "read": { "mode": mode } }))).await;
        let body = json!({ "option": "no" });
        let answered = respond(&world, &request, body.clone()).await.json();
        let row = json!([{
            "recipient": null, "answered_at": "2026-01-01T00:00:00.000Z", "expired": false,
            "proof": proof(&world),
        }]);
        assert_eq!(answered["responses"], row);
        assert_eq!(show(&world, &request).await["responses"], row);
        let list = world.call(Method::GET, "/v1/requests?limit=1", Value::Null).await.json();
        assert_eq!(list["data"][0]["responses"], row);
        assert_eq!(
            respond(&world, &request, body).await.json()["responses"],
            row,
            "an equal answer"
        );
        let second = respond(&world, &request, json!({ "option": "yes" })).await;
        assert_eq!(second.code(), "already_answered");
        assert!(second.json()["response"].is_null(), "{}", second.text());
    }
}
