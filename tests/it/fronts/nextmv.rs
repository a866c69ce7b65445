//! Nextmv: webhooks with `endpoint_url`, and attempts as conversations.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World};

const RUNS: &str = "/nextmv/v1/webhooks/runs";
const URL: &str = "https://nextmv.example.com/runs";

async fn get(world: &World, path: &str) -> Value {
    let answer = world.call(Method::GET, path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

async fn create(world: &World, body: Value) -> Value {
    let answer = world.call(Method::POST, "/nextmv/v1/webhooks", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

/// The errors of a refused call: pointers and texts.
fn errors(answer: &Answer) -> Vec<(String, String)> {
    let problem = answer.json();
    let text = |it: &Value| it.as_str().expect("text").to_owned();
    let errors = problem["errors"].as_array().expect("errors").iter();
    errors.map(|it| (text(&it["pointer"]), text(&it["detail"]))).collect()
}

#[tokio::test]
async fn webhook_is_created_and_shown_with_endpoint_url() {
    let world = World::start().await;
    let answer = world
        .call(Method::POST, "/nextmv/v1/webhooks", json!({ "id": "runs", "endpoint_url": URL }))
        .await;
    assert_eq!(answer.headers["location"], RUNS);
    let mut created = answer.json();
    let secret = created.as_object_mut().expect("an object").remove("secret");
    let probe = created.as_object_mut().expect("an object").remove("probe");
    assert_eq!(probe, Some(json!({ "ok": true })), "only the creating call knows it");
    assert!(secret.is_some_and(|it| it.as_str().is_some_and(|it| it.starts_with("whsec_"))));
    assert_eq!((&created["endpoint_url"], &created["profile"]), (&json!(URL), &json!("nextmv")));
    assert_eq!(created["event_types"], json!(["run.status"]));
    assert_eq!(created.get("url"), None);
    assert_eq!(get(&world, RUNS).await, created);
    assert_eq!(get(&world, "/nextmv/v1/webhooks").await["data"], json!([created]));

    let mut native = get(&world, "/v1/webhooks/runs").await;
    let native = native.as_object_mut().expect("an object");
    let url = native.remove("url").expect("the URL");
    native.insert("endpoint_url".to_owned(), url);
    assert_eq!(created.as_object().expect("an object"), native);
}

#[tokio::test]
async fn idempotency_keys_of_the_two_paths_are_apart() {
    let world = World::start().await;
    let headers = [("idempotency-key", "once")];
    let body = json!({ "endpoint_url": URL });
    let post = |path, body| world.call_with(Method::POST, path, &headers, body);
    let first = post("/nextmv/v1/webhooks", body.clone()).await;
    let again = post("/nextmv/v1/webhooks", body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.headers["location"], first.headers["location"]);
    let mut created = first.json();
    created.as_object_mut().expect("an object").remove("secret");
    created["probe"] = Value::Null;
    assert_eq!(again.json(), created);
    let native = post("/v1/webhooks", json!({ "url": URL })).await;
    assert_eq!(native.status, StatusCode::CREATED);
    assert_ne!(native.json()["id"], created["id"]);
}

#[tokio::test]
async fn put_and_patch_default_to_the_profile_nextmv() {
    let world = World::start().await;
    let put = async |body: Value, status: StatusCode| {
        let answer = world.call(Method::PUT, RUNS, body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        answer.json()
    };
    let body = json!({ "endpoint_url": URL, "profile": "notify" });
    let created = put(body, StatusCode::CREATED).await;
    assert!(created["secret"].is_string() && created["profile"] == "notify");
    let replaced = put(json!({ "endpoint_url": URL }), StatusCode::OK).await;
    assert_eq!(replaced["profile"], "nextmv");

    let patch = async |body: Value| {
        let answer = world.call(Method::PATCH, RUNS, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    };
    let moved = "https://nextmv.example.com/moved";
    let patched = patch(json!({ "endpoint_url": moved, "profile": "notify" })).await;
    assert_eq!((&patched["endpoint_url"], &patched["profile"]), (&json!(moved), &json!("notify")));
    let untouched = patch(json!({ "description": "Runs" })).await;
    assert_eq!(
        (&untouched["endpoint_url"], &untouched["profile"]),
        (&json!(moved), &json!("notify"))
    );
    assert_eq!(patch(json!({ "profile": null })).await["profile"], "nextmv");

    let deleted = world.call(Method::DELETE, RUNS, Value::Null).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(world.call(Method::GET, RUNS, Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn errors_point_at_members_of_the_sent_body() {
    let world = World::start().await;
    create(&world, json!({ "id": "runs", "endpoint_url": URL })).await;
    let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
    };
    for (method, path) in [(Method::POST, "/nextmv/v1/webhooks"), (Method::PUT, RUNS)] {
        let native = world.call(method.clone(), path, json!({ "url": URL })).await;
        assert_eq!(native.status, StatusCode::UNPROCESSABLE_ENTITY);
        let expected = pairs(&[("/endpoint_url", "is required"), ("/url", "is not a known field")]);
        assert_eq!(errors(&native), expected);
        let private = json!({ "endpoint_url": "http://nextmv.example.com/" });
        let private = world.call(method, path, private).await;
        assert_eq!(private.code(), "callback_url_not_allowed");
        assert_eq!(errors(&private)[0].0, "/endpoint_url");
    }
    for (body, pointer) in
        [(json!({ "url": URL }), "/url"), (json!({ "endpoint_url": 1 }), "/endpoint_url")]
    {
        let patched = world.call(Method::PATCH, RUNS, body).await;
        assert_eq!(patched.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(errors(&patched)[0].0, pointer);
    }
    let native = world.call(Method::POST, "/v1/webhooks", json!({ "endpoint_url": URL })).await;
    let expected = pairs(&[("/url", "is required"), ("/endpoint_url", "is not a known field")]);
    assert_eq!(errors(&native), expected);
    assert_eq!(get(&world, RUNS).await["endpoint_url"], URL);
}

#[tokio::test]
async fn attempts_are_conversations() {
    let world = World::start().await;
    create(&world, json!({ "id": "runs", "endpoint_url": URL })).await;
    let triggered = world.call(Method::POST, &format!("{RUNS}/trigger"), json!({})).await;
    assert_eq!(triggered.status, StatusCode::ACCEPTED, "{}", triggered.text());
    world.follow_hints().await;
    let id = triggered.json()["id"].as_str().expect("an id").to_owned();
    for (theirs, ours) in [
        (format!("{RUNS}/conversations"), "/v1/webhooks/runs/attempts".to_owned()),
        (
            format!("/nextmv/v1/conversations?delivery_id={id}"),
            format!("/v1/attempts?delivery_id={id}"),
        ),
    ] {
        let list = get(&world, &theirs).await;
        assert_eq!(list, get(&world, &ours).await);
        let [attempt] = &list["data"].as_array().expect("a list")[..] else { panic!("{list}") };
        assert_eq!(
            (&attempt["delivery_id"], &attempt["request"]["url"]),
            (&json!(id), &json!(URL))
        );
        let attempt_id = attempt["id"].as_str().expect("an id");
        let shown = get(&world, &format!("/nextmv/v1/conversations/{attempt_id}")).await;
        assert_eq!(shown, *attempt);
        assert_eq!(get(&world, &format!("/v1/attempts/{attempt_id}")).await, shown);
    }
    let old = world.call(Method::GET, "/v1/webhooks/runs/conversations", Value::Null).await;
    assert_eq!(old.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn secret_is_shown_and_rotated() {
    let world = World::start().await;
    let created = create(&world, json!({ "id": "runs", "endpoint_url": URL })).await;
    let secret = format!("{RUNS}/secret");
    let shown = get(&world, &format!("{secret}?reveal=true")).await;
    assert_eq!(shown["secret"], created["secret"]);
    let rotated = world.call(Method::POST, &format!("{secret}/rotate"), Value::Null).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text());
    assert_ne!(rotated.json()["secret"], created["secret"]);
    assert_eq!(get(&world, &secret).await["preview"], rotated.json()["preview"]);
}
