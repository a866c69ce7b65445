//! Channels: create, list, regenerate tokens, rotate secrets, delete; each with its scope.

use answerback::domain::Scope;
use axum::http::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{Answer, World};

const PATH: &str = "/v1/channels";

async fn make(world: &World) -> Value {
    let answer = world.call(Method::POST, PATH, json!({ "name": "Deploys" })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

async fn call(world: &World, key: &str, method: Method, path: &str, body: Value) -> Answer {
    let headers = [("authorization", &*format!("Bearer {key}"))];
    world.call_with(method, path, &headers, body).await
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Sends a message.
async fn send(world: &World, token: &Value) -> StatusCode {
    let path = format!("/v1/send/{}", text(token));
    let headers = [("content-type", "application/json")];
    world.send(Method::POST, &path, &headers, r#"{ "title": "Hello" }"#.into()).await.status
}

#[tokio::test]
async fn channel_token_and_secret_are_shown_only_at_creation() {
    let world = World::start().await;
    let mut made = make(&world).await;
    assert!(text(&made["id"]).starts_with("ch_"));
    assert_eq!(send(&world, &made["token"]).await, StatusCode::OK);
    let path = format!("{PATH}/{}/secret", text(&made["id"]));
    let secret = text(&made["secret"]).to_owned();
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    assert!(secret.ends_with(text(&shown["preview"]).trim_start_matches("whsec_…")));
    assert_eq!(shown["secret"], Value::Null);
    let revealed = world.call(Method::GET, &format!("{path}?reveal=true"), Value::Null).await;
    assert_eq!(revealed.json()["secret"], secret);

    let list = world.call(Method::GET, PATH, Value::Null).await.json();
    for name in ["token", "secret"] {
        made.as_object_mut().expect("an object").remove(name).expect("it was shown");
    }
    assert_eq!(list, json!({ "data": [made], "next_cursor": null }));
}

#[tokio::test]
async fn regenerated_token_replaces_the_previous_token() {
    let world = World::start().await;
    let made = make(&world).await;
    let path = format!("{PATH}/{}/regenerate", text(&made["id"]));
    let other = world.call(Method::POST, &path, Value::Null).await.json();
    assert_eq!(send(&world, &made["token"]).await, StatusCode::NOT_FOUND);
    assert_eq!(send(&world, &other["token"]).await, StatusCode::OK);
    assert_eq!(other["id"], made["id"]);
}

#[tokio::test]
async fn deleted_channel_is_not_found() {
    let world = World::start().await;
    let made = make(&world).await;
    let path = format!("{PATH}/{}", text(&made["id"]));
    let deleted = world.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(send(&world, &made["token"]).await, StatusCode::NOT_FOUND);
    let list = world.call(Method::GET, PATH, Value::Null).await.json();
    assert_eq!(list["data"], json!([]));
    for (method, path) in uses(&path) {
        let answer = world.call(method, &path, Value::Null).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// All operations on a channel.
fn uses(path: &str) -> [(Method, String); 4] {
    [
        (Method::DELETE, path.to_owned()),
        (Method::POST, format!("{path}/regenerate")),
        (Method::GET, format!("{path}/secret")),
        (Method::POST, format!("{path}/secret/rotate")),
    ]
}

#[tokio::test]
async fn channel_of_another_account_or_mode_is_not_found() {
    let world = World::start().await;
    let made = make(&world).await;
    let stranger = world.system.make_account().await.expect("an account").key;
    let body = json!({ "scopes": ["admin"], "livemode": false });
    let test = world.call(Method::POST, "/v1/keys", body).await.json();
    for key in [stranger.text.expose_secret(), text(&test["key"])] {
        for (method, path) in uses(&format!("{PATH}/{}", text(&made["id"]))) {
            let theirs = call(&world, key, method, &path, Value::Null).await;
            assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{path}");
        }
        let list = call(&world, key, Method::GET, PATH, Value::Null).await;
        assert_eq!(list.json()["data"], json!([]));
    }
    let made = call(&world, text(&test["key"]), Method::POST, PATH, json!({ "name": "T" })).await;
    assert_eq!(made.json()["livemode"], false);
}

#[tokio::test]
async fn each_channel_operation_needs_its_scope() {
    let world = World::start().await;
    let made = make(&world).await;
    let path = format!("{PATH}/{}", text(&made["id"]));
    let reader = world.key_with(&[Scope::WebhooksRead]).await;
    let revealer = world.key_with(&[Scope::SecretsRead]).await;
    let status = async |key: &str, method, path: &str| {
        call(&world, key, method, path, json!({ "name": "Deploys" })).await.status
    };
    for (method, path) in [(Method::POST, PATH.to_owned())].into_iter().chain(uses(&path)) {
        let may = path.ends_with("/secret");
        let expected = if may { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(status(&reader, method, &path).await, expected, "{path}");
    }
    assert_eq!(status(&reader, Method::GET, PATH).await, StatusCode::OK);
    let reveal = format!("{path}/secret?reveal=true");
    assert_eq!(status(&reader, Method::GET, &reveal).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&revealer, Method::GET, &reveal).await, StatusCode::OK);
}

#[tokio::test]
async fn idempotent_retry_creates_one_channel_and_hides_its_secrets() {
    let world = World::start().await;
    let headers = [("idempotency-key", "deploys")];
    let ask = async |name: &str| {
        world.call_with(Method::POST, PATH, &headers, json!({ "name": name })).await
    };
    let first = ask("Deploys").await.json();
    let again = ask("Deploys").await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let again = again.json();
    assert_eq!((&again["id"], again.get("token"), again.get("secret")), (&first["id"], None, None));
    assert_eq!(ask("Others").await.code(), "idempotency_key_reused");

    let path = format!("{PATH}/{}", text(&first["id"]));
    world.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(ask("Deploys").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn channel_accepts_only_a_name() {
    let world = World::start().await;
    let long = "x".repeat(101);
    let cases = [
        (json!({}), "/name"),
        (json!({ "name": "" }), "/name"),
        (json!({ "name": "a\nb" }), "/name"),
        (json!({ "name": long }), "/name"),
        (json!({ "name": "Deploys", "token": "mine" }), "/token"),
    ];
    for (body, pointer) in cases {
        let answer = world.call(Method::POST, PATH, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
    }
}
