//! API keys: create, list and revoke, with the right scopes.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World};

async fn make(world: &World, body: &Value) -> Value {
    let answer = world.call(Method::POST, "/v1/keys", body.clone()).await;
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

#[tokio::test]
async fn api_key_has_its_scopes_and_is_shown_once() {
    let world = World::start().await;
    let made = make(&world, &json!({ "name": "CI", "scopes": ["requests:read"] })).await;
    let key = text(&made["key"]);
    assert!(key.starts_with("ab_live_"));
    let may = call(&world, key, Method::GET, "/v1/requests", Value::Null).await;
    assert_eq!(may.status, StatusCode::OK);
    let may_not = call(&world, key, Method::GET, "/v1/keys", Value::Null).await;
    assert_eq!(may_not.status, StatusCode::FORBIDDEN);

    let list = world.call(Method::GET, "/v1/keys", Value::Null).await.json();
    let mut shown = made.clone();
    shown.as_object_mut().expect("an object").remove("key");
    assert!(list["data"].as_array().expect("a list").contains(&shown), "{list}");
    assert!(!list.to_string().contains(key));
}

#[tokio::test]
async fn revoked_api_key_is_refused() {
    let world = World::start().await;
    let made = make(&world, &json!({ "scopes": ["requests:read"] })).await;
    let (id, key) = (text(&made["id"]), text(&made["key"]));
    let look = || call(&world, key, Method::GET, "/v1/requests", Value::Null);
    assert_eq!(look().await.status, StatusCode::OK);
    let path = format!("/v1/keys/{id}");
    for _ in 0..2 {
        let revoked = world.call(Method::DELETE, &path, Value::Null).await;
        assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    }
    world.system.clock.advance(Duration::from_secs(10));
    assert_eq!(look().await.status, StatusCode::UNAUTHORIZED);
    let list = world.call(Method::GET, "/v1/keys", Value::Null).await.json();
    let shown = list["data"].as_array().expect("a list").iter().find(|it| it["id"] == id);
    assert_eq!(shown.expect("it is listed")["revoked_at"], "2026-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn api_key_cannot_grant_scopes_it_lacks() {
    let world = World::start().await;
    let maker = make(&world, &json!({ "scopes": ["keys:write", "requests:read"] })).await;
    let maker = text(&maker["key"]).to_owned();
    let ask = |body: Value| call(&world, &maker, Method::POST, "/v1/keys", body);
    let given = ask(json!({ "scopes": ["requests:read"] })).await;
    assert_eq!(given.status, StatusCode::CREATED);
    let refused =
        ask(json!({ "scopes": ["requests:read", "admin", "all", "requests:read"] })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let faults = refused.json()["errors"].clone();
    let places: Vec<&str> =
        faults.as_array().expect("a list").iter().map(|it| text(&it["pointer"])).collect();
    assert_eq!(places, ["/scopes/1", "/scopes/2", "/scopes/3"]);

    let test = make(&world, &json!({ "scopes": ["admin"], "livemode": false })).await;
    let test = text(&test["key"]).to_owned();
    assert!(test.starts_with("ab_test_"));
    let body = json!({ "scopes": ["admin"], "livemode": true });
    let refused = call(&world, &test, Method::POST, "/v1/keys", body).await;
    assert_eq!(refused.json()["errors"][0]["pointer"], "/livemode");
    let made = call(&world, &test, Method::POST, "/v1/keys", json!({ "scopes": ["admin"] })).await;
    assert_eq!(made.json()["livemode"], false);
}

#[tokio::test]
async fn idempotent_retry_creates_one_api_key_and_hides_its_text() {
    let world = World::start().await;
    let headers = [("idempotency-key", "ci")];
    let body = json!({ "scopes": ["requests:read"] });
    let first = world.call_with(Method::POST, "/v1/keys", &headers, body.clone()).await.json();
    let again = world.call_with(Method::POST, "/v1/keys", &headers, body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let again = again.json();
    assert_eq!((&again["id"], again.get("key")), (&first["id"], None));
}

#[tokio::test]
async fn api_key_of_another_account_is_not_found() {
    let world = World::start().await;
    let made = make(&world, &json!({ "scopes": ["requests:read"] })).await;
    let stranger = world.system.make_account().await.expect("an account").key;
    let stranger = secrecy::ExposeSecret::expose_secret(&stranger.text).to_owned();
    let path = format!("/v1/keys/{}", text(&made["id"]));
    let answer = call(&world, &stranger, Method::DELETE, &path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let test = make(&world, &json!({ "scopes": ["admin"], "livemode": false })).await;
    let answer = call(&world, text(&test["key"]), Method::DELETE, &path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
