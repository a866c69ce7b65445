//! Answers from programs that have a link and from the sender's own application.

mod changes;
mod cors;
mod emails;
mod exact;
mod long;

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{World, token};

/// A question to two people.
fn question() -> Value {
    json!({
        "title": "Deploy v2.4.1?",
        "recipients": ["a@example.com", "b@example.com"],
        "options": [
            { "value": "approve", "label": "Approve" },
            { "value": "reject", "label": "Reject" },
        ],
        "fields": [{ "key": "comment", "type": "text", "label": "Comment" }],
        "timeout_seconds": 60,
    })
}

/// A request like [`question`] whose answers may change until the deadline.
fn poll() -> Value {
    let mut poll = question();
    poll["mode"] = "on_timeout".into();
    poll
}

async fn shown(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::GET, &path, Value::Null).await.json()
}

#[tokio::test]
async fn first_answer_is_recorded_and_kept_after_the_end() {
    let world = World::start().await;
    let request = world.create(question()).await;
    let first = json!({ "option": "approve", "fields": { "comment": "Go!" } });
    let answer = world.answer(&request, 0, first).await;
    assert_eq!(answer.status, StatusCode::OK);
    let recorded = answer.json()["response"].clone();
    assert_eq!(recorded["recipient"], "a@example.com");
    assert_eq!(recorded["option"], "approve");
    assert_eq!(recorded["fields"], json!({ "comment": "Go!" }));
    assert_eq!(recorded["answered_at"], "2026-01-01T00:00:00.000Z");

    world.system.clock.advance(Duration::from_secs(1));
    let check_second = async |status: &str| {
        // An answer that is equal to the recorded one is accepted.
        let equal = json!({ "option": "approve", "fields": { "comment": "Go!" } });
        let equal = world.answer(&request, 0, equal).await;
        assert_eq!((equal.status, &equal.json()["response"]), (StatusCode::OK, &recorded));
        for body in [json!({ "option": "reject" }), json!({ "option": "no such option" })] {
            let again = world.answer(&request, 0, body).await;
            assert_eq!(again.status, StatusCode::CONFLICT);
            assert_eq!(again.code(), "already_answered");
            assert_eq!(again.json()["response"], recorded);
            assert_eq!(again.json()["request_status"], status);
        }
    };
    check_second("pending").await;
    world.answer(&request, 1, json!({ "option": "approve" })).await;
    check_second("finished").await;
    assert_eq!(shown(&world, &request).await["responses"][0], recorded);
}

#[tokio::test]
async fn late_answer_reports_the_outcome() {
    let world = World::start().await;
    let mut any = question();
    any["quorum"] = "any".into();
    let decided = world.create(any).await;
    world.answer(&decided, 0, json!({ "option": "reject" })).await;
    let cancelled = world.create(question()).await;
    let path = format!("/v1/requests/{}/cancel", cancelled["id"].as_str().expect("an id"));
    world.call(Method::POST, &path, Value::Null).await;
    let timed_out = world.create(question()).await;
    world.pass(Duration::from_secs(70)).await;

    for (request, outcome) in
        [(decided, "completed"), (cancelled, "cancelled"), (timed_out, "timed_out")]
    {
        let late = world.answer(&request, 1, json!({ "option": "approve" })).await;
        assert_eq!(late.status, StatusCode::GONE);
        assert_eq!(late.code(), "request_ended");
        assert_eq!(late.json()["outcome"], outcome);
        let path = format!("/v1/answers/{}", token(&request, 1));
        let look = world.visit(Method::GET, &path, "").await;
        assert_eq!((look.status, look.code().as_str()), (StatusCode::GONE, "request_ended"));
        let row = &shown(&world, &request).await["responses"][1];
        assert_eq!(row["option"], Value::Null);
        assert_eq!(row["expired"], outcome == "timed_out");
    }
}

#[tokio::test]
async fn altered_answer_token_looks_unknown() {
    let world = World::start().await;
    let request = world.create(question()).await;
    let genuine = token(&request, 0);
    let unknown = "0".repeat(genuine.len());
    let get = async |token: &str| {
        let path = format!("/v1/answers/{token}");
        world.visit(Method::GET, &path, "").await
    };
    let without_id = |text: String| {
        let mut problem: Value = serde_json::from_str(&text).expect("JSON");
        problem["request_id"] = Value::Null;
        problem
    };
    let expected = without_id(get(&unknown).await.text());
    assert_eq!(get(&genuine).await.status, StatusCode::OK);
    for place in 0..genuine.len() {
        let mut altered = genuine.clone();
        let other = if altered.as_bytes()[place] == b'0' { "1" } else { "0" };
        altered.replace_range(place..=place, other);
        let answer = get(&altered).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{place}");
        assert_eq!(without_id(answer.text()), expected, "{place}");
        let path = format!("/a/{altered}");
        let form = world.visit(Method::POST, &path, "option=approve").await;
        assert_eq!(form.status, StatusCode::NOT_FOUND, "{place}");
    }
    for altered in [&genuine[1..], &format!("{genuine}A"), "%00"] {
        let form = world.visit(Method::POST, &format!("/a/{altered}"), "option=approve").await;
        assert_eq!(form.status, StatusCode::NOT_FOUND, "{altered}");
    }
    assert_eq!(shown(&world, &request).await["responses"][0]["answered_at"], Value::Null);
}

#[tokio::test]
async fn poll_answers_can_change_until_the_deadline() {
    let world = World::start().await;
    let request = world.create(poll()).await;
    let clock = &world.system.clock;
    for option in ["approve", "reject", "approve"] {
        let answer = world.answer(&request, 0, json!({ "option": option })).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()["response"]["option"], option);
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(Duration::from_millis(56_999));
    let last = world.answer(&request, 0, json!({ "option": "reject" })).await;
    assert_eq!(last.status, StatusCode::OK);
    let late = "2026-01-01T00:00:59.999Z";
    assert_eq!(last.json()["response"]["answered_at"], late);

    clock.advance(Duration::from_millis(1));
    let refused = async || {
        let answer = world.answer(&request, 0, json!({ "option": "approve" })).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::GONE, "request_ended"));
    };
    refused().await;
    // A worker whose clock is behind may still accept an answer, so the request is not settled yet.
    clock.advance(Duration::from_millis(1_999));
    refused().await;
    assert_eq!(shown(&world, &request).await["status"], "pending");
    clock.advance(Duration::from_millis(1));
    let ended = shown(&world, &request).await;
    assert_eq!(ended["status"], "finished");
    assert_eq!(ended["finished_at"], ended["deadline"]);
    assert_eq!(ended["responses"][0]["option"], "reject");
    assert_eq!(ended["responses"][0]["answered_at"], late);
    refused().await;
}

#[tokio::test]
async fn answer_is_limited_to_32_kib() {
    let world = World::start().await;
    let overhead = r#"{"comment":""}"#.len() + "approve".len();
    let answer = |n_bytes: usize| {
        let comment = "x".repeat(n_bytes - overhead);
        json!({ "option": "approve", "fields": { "comment": comment } })
    };
    let request = world.create(question()).await;
    let refused = world.answer(&request, 0, answer(32_769)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/fields/comment");
    assert_eq!(world.answer(&request, 0, answer(32_768)).await.status, StatusCode::OK);
    let kept = shown(&world, &request).await["responses"][0]["fields"]["comment"].to_string();
    assert_eq!(kept.len(), 32_768 - overhead + r#""""#.len());
}

#[tokio::test]
async fn all_errors_of_an_answer_are_named_and_nothing_is_recorded() {
    let world = World::start().await;
    let mut asked = question();
    asked["fields"] = json!([
        { "key": "why", "type": "textarea", "label": "Why", "required": true },
        { "key": "n", "type": "number", "label": "How many", "min": 1, "max": 3 },
        { "key": "sure", "type": "toggle", "label": "Sure" },
        {
            "key": "where", "type": "select", "label": "Where",
            "choices": [{ "value": "eu", "label": "Europe" }],
        },
    ]);
    let request = world.create(asked).await;
    let wrong = json!({
        "option": "maybe",
        "fields": { "n": 4, "sure": "yes", "where": "mars", "other": 1 },
    });
    let answer = world.answer(&request, 0, wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.json();
    let faults = problem["errors"].as_array().expect("errors");
    let mut pointers: Vec<_> = faults.iter().filter_map(|it| it["pointer"].as_str()).collect();
    pointers.sort_unstable();
    let expected =
        ["/fields/n", "/fields/other", "/fields/sure", "/fields/where", "/fields/why", "/option"];
    assert_eq!(pointers, expected);
    let malformed = [("content-type", "application/json")];
    let path = format!("/v1/answers/{}", token(&request, 0));
    let answer = world.send(Method::POST, &path, &malformed, "{".into()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(shown(&world, &request).await["responses"][0]["answered_at"], Value::Null);
}

#[tokio::test]
async fn sender_records_answers_for_its_recipients() {
    let world = World::start().await;
    let respond = async |request: &Value, body: Value| {
        let path = format!("/v1/requests/{}/responses", request["id"].as_str().expect("an id"));
        world.call(Method::POST, &path, body).await
    };
    let request = world.create(question()).await;
    let stranger = json!({ "recipient": "c@example.com", "option": "approve" });
    let refused = respond(&request, stranger).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let known = json!({ "recipient": "B@Example.com", "option": "approve" });
    let answered = respond(&request, known.clone()).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
    assert_eq!(answered.json()["responses"][1]["option"], "approve");
    assert_eq!(respond(&request, known).await.status, StatusCode::OK, "an equal answer");
    let other = json!({ "recipient": "b@example.com", "option": "reject" });
    let again = respond(&request, other).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "already_answered"));
    let by_link = world.answer(&request, 1, json!({ "option": "reject" })).await;
    assert_eq!(by_link.status, StatusCode::CONFLICT);
    assert_eq!(by_link.json()["response"]["option"], "approve");

    let mut anonymous = question();
    anonymous["recipients"] = json!([]);
    let request = world.create(anonymous).await;
    let answered = respond(&request, json!({ "recipient": null, "option": "reject" })).await;
    assert_eq!(answered.json()["decision"], "reject");
    assert_eq!(answered.json()["responses"][0]["recipient"], Value::Null);
}
