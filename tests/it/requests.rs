//! Creation of requests.

mod ending;
mod form;
mod limits;
mod policy;
mod responses;
mod waiting;

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use system_tests::{Answer, World};

/// A character of four bytes.
const WIDE: &str = "🦀";

/// A minimal request with these members.
pub(crate) fn asking(members: Value) -> Value {
    let mut body = json!({
        "title": "Go?",
        "options": [{ "value": "yes", "label": "Yes" }, { "value": "no", "label": "No" }],
    });
    let Value::Object(members) = members else { panic!("members are an object: {members}") };
    body.as_object_mut().expect("it is an object").extend(members);
    body
}

/// The path of a request.
pub(crate) fn path_of(request: &Value) -> String {
    format!("/v1/requests/{}", request["id"].as_str().expect("an id"))
}

/// Creates a request, and returns any response.
pub(crate) async fn ask(world: &World, body: Value) -> Answer {
    world.call(Method::POST, "/v1/requests", body).await
}

/// The request as it is now.
pub(crate) async fn show(world: &World, request: &Value) -> Value {
    world.call(Method::GET, &path_of(request), Value::Null).await.json()
}

/// The places of all errors in a response.
pub(crate) fn faults(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
    assert_eq!(answer.code(), "invalid_request");
    let problem = answer.json();
    let faults = problem["errors"].as_array().expect("every fault");
    let place = |it: &Value| it["pointer"].as_str().or(it["parameter"].as_str()).map(str::to_owned);
    faults.iter().map(|it| place(it).expect("a place")).collect()
}

/// Creates a request that must be refused for exactly these places.
async fn check_refused(world: &World, body: Value, places: &[&str]) {
    let answer = ask(world, body.clone()).await;
    assert_eq!(faults(&answer), places, "{body} {}", answer.text());
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one body, and how it is shown")]
async fn created_request_is_shown_as_sent() {
    let world = World::start().await;
    let asked = json!({
        "title": "Deploy v2.4.1?",
        "body": "All **green**.",
        "recipients": ["A@Example.com", { "email": "b@example.com", "name": "Bea" }],
        "options": [
            { "value": "approve", "label": "Approve", "style": "primary" },
            { "value": "later", "label": "Later", "style": "secondary" },
            { "value": "reject", "label": "Reject", "style": "destructive" },
        ],
        "fields": [
            { "key": "why", "type": "text", "label": "Why", "required": true, "max_length": 9 },
            { "key": "how", "type": "textarea", "label": "How", "default": "so\nso" },
            { "key": "n", "type": "number", "label": "N", "min": 1, "max": 2.5, "default": 2 },
            {
                "key": "where", "type": "select", "label": "Where", "default": "eu",
                "choices": [{ "value": "eu", "label": "Europe" }, { "value": "us", "label": "US" }],
            },
            { "key": "sure", "type": "toggle", "label": "Sure", "default": true },
        ],
        "mode": "on_timeout",
        "quorum": { "count": 2, "option": "approve", "veto": ["reject"] },
        "timeout_seconds": 60,
        "on_deadline": { "kind": "default", "option": "reject" },
        "callback_url": "https://hooks.example.com/cb",
        "callback": { "profile": "nextks", "auth": { "type": "bearer", "token": "not-to-be-shown" } },
        "read": { "mode": "repeat", "ttl_seconds": 60 },
        "external_reference_id": "deploy-v2.4.1",
        "metadata": { "sha": "c0ffee", "deep": [1, { "er": null }] },
    });
    let answer = ask(&world, asked.clone()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let request = answer.json();
    assert_eq!(answer.headers["location"], path_of(&request));
    assert!(!answer.text().contains("not-to-be-shown"));
    for name in ["title", "body", "options", "mode", "quorum", "external_reference_id", "metadata"]
    {
        assert_eq!(request[name], asked[name], "{name}");
    }
    for (field, asked) in request["fields"].as_array().expect("all").iter().zip([
        json!({ "required": true, "max_length": 9 }),
        json!({ "required": false, "default": "so\nso" }),
        json!({ "required": false, "default": 2, "min": 1, "max": 2.5 }),
        json!({ "required": false, "default": "eu", "choices": asked["fields"][3]["choices"] }),
        json!({ "required": false, "default": true }),
    ]) {
        let mut rest = field.as_object().expect("a field").clone();
        rest.retain(|name, _| !["key", "type", "label"].contains(&name.as_str()));
        assert_eq!(Value::from(rest), asked);
    }
    let links: Vec<_> = (0..2).map(|it| request["recipients"][it]["answer_url"].clone()).collect();
    assert_ne!(links[0], links[1]);
    let nobody_yet = |email: &str| {
        json!({
            "recipient": email, "option": null, "fields": {}, "answered_at": null,
            "expired": false, "proof": null,
        })
    };
    let expected = json!({
        "status": "pending", "outcome": null, "decided_by": null, "decision": null,
        "recipients": [
            { "email": "A@Example.com", "name": null, "answer_url": links[0] },
            { "email": "b@example.com", "name": "Bea", "answer_url": links[1] },
        ],
        "responses": [nobody_yet("A@Example.com"), nobody_yet("b@example.com")],
        "livemode": true,
        "created_at": "2026-01-01T00:00:00.000Z",
        "deadline": "2026-01-01T00:01:00.000Z",
        "finished_at": null,
        "callback": {
            "url": "https://hooks.example.com/cb", "profile": "nextks", "delivery_id": null,
            "status": "waiting", "probe": { "ok": true },
        },
        "read": { "mode": "repeat", "ttl_seconds": 60 },
    });
    for (name, value) in expected.as_object().expect("it is an object") {
        assert_eq!(request[name], *value, "{name}");
    }
    let mut shown = request.clone();
    shown["callback"]["probe"] = Value::Null;
    assert_eq!(show(&world, &request).await, shown);
}

#[tokio::test]
async fn request_needs_only_a_title_and_an_option_or_a_field() {
    let world = World::start().await;
    let nulls = [
        "body",
        "recipients",
        "fields",
        "mode",
        "quorum",
        "timeout_seconds",
        "on_deadline",
        "callback_url",
        "callback",
        "read",
        "external_reference_id",
        "metadata",
    ];
    let nulls: Value = nulls.iter().map(|it| ((*it).to_owned(), Value::Null)).collect();
    for body in [asking(json!({})), asking(nulls)] {
        let request = world.create(body).await;
        let link = request["recipients"][0]["answer_url"].as_str().expect("a link");
        assert!(link.starts_with("http://answers.example.com/a/"), "{link}");
        let expected = json!({
            "body": null, "mode": "on_user_action", "quorum": "all", "fields": [],
            "recipients": [{ "email": null, "name": null, "answer_url": link }],
            "responses": [{
                "recipient": null, "option": null, "fields": {}, "answered_at": null,
                "expired": false, "proof": null,
            }],
            "external_reference_id": null, "metadata": {}, "callback": null,
            "deadline": "2026-01-02T00:00:00.000Z",
            "read": { "mode": "repeat", "ttl_seconds": null },
        });
        for (name, value) in expected.as_object().expect("it is an object") {
            assert_eq!(request[name], *value, "{name}");
        }
    }
}

#[tokio::test]
async fn problem_names_its_call() {
    let world = World::start().await;
    let answer = ask(&world, json!({ "title": "", "timeout_second": 9 })).await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem = answer.json();
    let call = answer.headers["x-request-id"].to_str().expect("ASCII");
    assert_eq!(
        problem,
        json!({
            "type": "urn:answerback:problem:invalid_request",
            "title": "Invalid request",
            "status": 422,
            "detail": "`/title` must not be empty, and 2 more",
            "code": "invalid_request",
            "request_id": call,
            "errors": [
                { "pointer": "/title", "detail": "must not be empty" },
                { "pointer": "/options", "detail": "must not be empty without fields" },
                { "pointer": "/timeout_second", "detail": "is not a known field" },
            ],
        })
    );
    let other = ask(&world, json!({})).await;
    assert_ne!(other.headers["x-request-id"], answer.headers["x-request-id"]);
    let good = ask(&world, asking(json!({}))).await;
    assert!(good.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn body_without_json_is_malformed_and_not_invalid() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.key);
    let texts: [&[u8]; 6] =
        [b"", b"{", b"{\"title\": }", b"{} {}", b"title=Go", b"{\"title\": \"\xff\"}"];
    for text in texts {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = Bytes::from_static(text);
        let answer = world.send(Method::POST, "/v1/requests", &headers, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert_eq!(answer.code(), "malformed_json");
    }
    // Two parsers could read a duplicate member differently, though both can read it.
    let twice: [&[u8]; 2] = [
        b"{\"title\": \"Keep?\", \"title\": \"Drop?\"}",
        b"{\"title\": \"Keep?\", \"options\": [{\"value\": \"a\", \"value\": \"b\"}]}",
    ];
    for text in twice {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = Bytes::from_static(text);
        let answer = world.send(Method::POST, "/v1/requests", &headers, body).await;
        assert_eq!(faults(&answer), [""], "{}", answer.text());
        assert!(answer.text().contains("is duplicated"), "{}", answer.text());
    }
    // A caller without the scope is refused before the body is checked.
    let headers = [("authorization", "Bearer nobody")];
    let answer = world.send(Method::POST, "/v1/requests", &headers, Bytes::from_static(b"{")).await;
    assert_eq!(answer.code(), "unauthorized");
    for body in [json!([]), json!("title"), json!(1), json!([asking(json!({}))])] {
        check_refused(&world, body, &["", "/title", "/options"]).await;
    }
}
