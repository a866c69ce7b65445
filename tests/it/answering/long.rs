//! Long questions and answers, which are in separate items.

use std::time::Duration;

use answerback::domain::{Request, RequestId};
use answerback::store::{Listing, keys};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{World, letters, token};

use super::shown;
use crate::upgrades::items;

fn asking(n_recipients: usize, more: &Value) -> Value {
    let recipients: Vec<_> = (0..n_recipients).map(|it| format!("u{it}@example.com")).collect();
    let mut asked = json!({
        "title": "Why?",
        "recipients": recipients,
        "options": [{ "value": "yes", "label": "Yes" }],
        "fields": [{ "key": "why", "type": "textarea", "label": "Why", "max_length": 10_000 }],
        "callback_url": "https://hooks.example.com/",
    });
    for (name, value) in more.as_object().expect("an object") {
        asked[name] = value.clone();
    }
    asked
}

fn saying(letter: &str) -> Value {
    json!({ "option": "yes", "fields": { "why": letter.repeat(10_000) } })
}

fn id(request: &Value) -> RequestId {
    request["id"].as_str().and_then(|it| it.parse().ok()).expect("an id")
}

/// The long answers in the table that still have content.
async fn kept(world: &World, request: &Value) -> usize {
    let Listing { items, next } =
        world.system.store.long_answers(id(request), 100, None).await.expect("they are listed");
    assert!(next.is_none());
    items.iter().filter(|it| it.erase().is_some()).count()
}

#[tokio::test]
async fn ten_thousand_characters_of_any_script_are_recorded() {
    let world = World::start().await;
    for letter in ["x", "é", "漢"] {
        let request = world.create(asking(1, &json!({}))).await;
        let page = world.visit(Method::GET, &format!("/a/{}", token(&request, 0)), "").await.text();
        assert!(page.contains("At most 10000 characters"), "{page}");
        assert!(page.contains(r#"maxlength="10000""#));
        let answered = world.answer(&request, 0, saying(letter)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
        let why = Value::from(letter.repeat(10_000));
        assert_eq!(answered.json()["response"]["fields"]["why"], why);
        assert_eq!(shown(&world, &request).await["responses"][0]["fields"]["why"], why);
        world.follow_hints().await;
        let body: Value =
            serde_json::from_slice(&world.posts().pop().expect("a post").body).expect("JSON");
        assert_eq!(body["data"]["responses"][0]["fields"]["why"], why);
    }
}

/// A hundred of these are more than an item can hold.
fn said(number: usize) -> Value {
    json!({ "option": "yes", "fields": { "why": number.to_string().repeat(3_000) } })
}

#[tokio::test]
async fn a_hundred_long_answers_fit_into_a_request() {
    let world = World::start().await;
    let more = json!({ "callback": { "events": ["request.answered", "request.finished"] } });
    let request = world.create(asking(100, &more)).await;
    for recipient in 0..100 {
        let answered = world.answer(&request, recipient, said(recipient)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
        if recipient % 20 == 19 {
            world.follow_hints().await;
        }
    }
    let path = format!("/v1/requests/{}/result", id(&request));
    let result = world.call(Method::GET, &path, Value::Null).await.json();
    let rows = result["result"]["responses"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 100);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row["fields"], said(number)["fields"]);
    }
    let listed = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
    assert_eq!(listed["data"][0]["responses"][99], rows[99]);
}

#[tokio::test]
async fn long_answer_of_a_consumed_result_is_erased() {
    let world = World::start().await;
    let request = world.create(asking(1, &json!({ "read": { "mode": "once" } }))).await;
    world.answer(&request, 0, saying("x")).await;
    world.follow_hints().await;
    assert_eq!(kept(&world, &request).await, 1);
    let path = format!("/v1/requests/{}/result", id(&request));
    let result = world.call(Method::GET, &path, Value::Null).await.json();
    let why = &result["result"]["responses"][0]["fields"]["why"];
    assert_eq!(*why, "x".repeat(10_000));
    let stored: Request = world
        .system
        .store
        .get(keys::request(id(&request)))
        .await
        .expect("readable")
        .expect("it is there");
    assert!(stored.has_leftovers());
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(kept(&world, &request).await, 0);
    assert_eq!(world.system.sweep().await.n_hinted, 0, "nothing is due any more");
    let again = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(again["status"], "already_read");
}

#[tokio::test]
async fn replaced_and_erased_long_answers_are_erased() {
    let world = World::start().await;
    let more = json!({ "mode": "on_timeout", "timeout_seconds": 60 });
    let request = world.create(asking(1, &more)).await;
    for letter in ["a", "b", "c"] {
        let answered = world.answer(&request, 0, saying(letter)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
        world.pass(Duration::from_secs(2)).await;
    }
    assert_eq!(kept(&world, &request).await, 3);
    world.pass(Duration::from_mins(1)).await;
    assert_eq!(kept(&world, &request).await, 1);
    let row = &shown(&world, &request).await["responses"][0];
    assert_eq!(row["fields"]["why"], "c".repeat(10_000));
    let path = format!("/v1/requests/{}", id(&request));
    world.call(Method::DELETE, &path, Value::Null).await;
    world.follow_hints().await;
    assert_eq!(kept(&world, &request).await, 0);
}

#[tokio::test]
async fn refused_long_answer_leaves_nothing_behind() {
    let world = World::start().await;
    let request = world.create(asking(2, &json!({ "quorum": "any" }))).await;
    let (first, second) = tokio::join!(
        world.answer(&request, 0, saying("x")),
        world.answer(&request, 1, saying("y"))
    );
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::GONE]);
    assert_eq!(kept(&world, &request).await, 1);
}

/// The long questions in the table that still have content.
async fn questions(world: &World) -> usize {
    let all = items(world).await;
    all.iter()
        .filter(|it| {
            it["sk"]["S"].as_str().is_some_and(|it| it.starts_with("qst#")) && it.get("q").is_some()
        })
        .count()
}

#[tokio::test]
async fn long_question_is_asked_answered_and_erased() {
    let world = World::start().await;
    let body = letters(10_000);
    let request = world.create(asking(1, &json!({ "body": body }))).await;
    assert_eq!(request["body"], Value::from(&*body));
    assert_eq!(questions(&world).await, 1);
    let page = world.visit(Method::GET, &format!("/a/{}", token(&request, 0)), "").await.text();
    assert!(page.contains(&body));
    assert_eq!(world.answer(&request, 0, saying("x")).await.status, StatusCode::OK);
    world.follow_hints().await;
    let listed = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
    assert_eq!(listed["data"][0], shown(&world, &request).await);
    assert_eq!(listed["data"][0]["body"], Value::from(body));
    assert_eq!(listed["data"][0]["callback"]["status"], "delivered");
    world.call(Method::DELETE, &format!("/v1/requests/{}", id(&request)), Value::Null).await;
    world.follow_hints().await;
    assert_eq!((questions(&world).await, kept(&world, &request).await), (0, 0));
}

/// The call that did not create the request leaves no question behind.
#[tokio::test]
async fn long_question_of_a_repeated_call_is_kept_once() {
    let world = World::start().await;
    let asked = asking(1, &json!({ "body": letters(2_000), "callback_url": null }));
    let key = [("idempotency-key", "deploy-1")];
    let call = || world.call_with(Method::POST, "/v1/requests", &key, asked.clone());
    let (first, second) = tokio::join!(call(), call());
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(questions(&world).await, 1);
    let path = format!("/v1/requests/{}", id(&first.json()));
    world.call(Method::DELETE, &path, Value::Null).await;
    world.follow_hints().await;
    assert_eq!(questions(&world).await, 0);
    assert_eq!(call().await.status, StatusCode::NOT_FOUND);
    assert_eq!(questions(&world).await, 0);
}
