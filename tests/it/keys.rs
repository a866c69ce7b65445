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

#[tokio::test]
async fn key_ends_with_the_key_that_made_it() {
    let world = World::start().await;
    let scopes = json!(["keys:write", "requests:read"]);
    let parent = make(&world, &json!({ "scopes": scopes })).await;
    let ask = async |key: &Value, body: Value| {
        call(&world, text(&key["key"]), Method::POST, "/v1/keys", body).await.json()
    };
    let child = ask(&parent, json!({ "scopes": scopes, "rate_limit_per_minute": 100 })).await;
    assert_eq!(child["created_by"], parent["id"]);
    let grandchild = ask(&child, json!({ "scopes": ["requests:read"] })).await;
    assert_eq!(grandchild["rate_limit_per_minute"], 100);
    let status = async |key: &Value| {
        call(&world, text(&key["key"]), Method::GET, "/v1/requests", Value::Null).await.status
    };
    assert_eq!(status(&grandchild).await, StatusCode::OK);
    let path = format!("/v1/keys/{}", text(&parent["id"]));
    world.call(Method::DELETE, &path, Value::Null).await;
    world.system.clock.advance(Duration::from_secs(10));
    for key in [&parent, &child, &grandchild] {
        assert_eq!(status(key).await, StatusCode::UNAUTHORIZED);
    }
    let list = world.call(Method::GET, "/v1/keys", Value::Null).await.json();
    let n_revoked = list["data"].as_array().expect("a list").iter();
    assert_eq!(n_revoked.filter(|it| it["revoked_at"].is_string()).count(), 3);
}

#[tokio::test]
async fn key_with_an_end_stops_working_then() {
    let world = World::start().await;
    let end = "2026-01-01T01:00:00Z";
    let parent = json!({ "scopes": ["keys:write", "requests:read"], "expires_at": end });
    let parent = make(&world, &parent).await;
    assert_eq!(parent["expires_at"], "2026-01-01T01:00:00.000Z");
    let later = json!({ "scopes": ["requests:read"], "expires_at": "2027-01-01T00:00:00Z" });
    let child = call(&world, text(&parent["key"]), Method::POST, "/v1/keys", later).await.json();
    assert_eq!(child["expires_at"], parent["expires_at"], "it ends with its maker");
    world.system.clock.advance(Duration::from_secs(3_599));
    let look = || call(&world, text(&child["key"]), Method::GET, "/v1/requests", Value::Null);
    assert_eq!(look().await.status, StatusCode::OK);
    world.system.clock.advance(Duration::from_secs(1));
    assert_eq!(look().await.status, StatusCode::UNAUTHORIZED);
    let past = json!({ "scopes": ["requests:read"], "expires_at": "2025-01-01T00:00:00Z" });
    let past = world.call(Method::POST, "/v1/keys", past).await;
    assert_eq!(crate::requests::faults(&past), ["/expires_at"]);
}

#[tokio::test]
async fn key_cannot_revoke_one_with_more_rights() {
    let world = World::start().await;
    let admin = make(&world, &json!({ "scopes": ["admin"] })).await;
    let clerk = make(&world, &json!({ "scopes": ["keys:write"] })).await;
    let revoke = async |key: &Value, id: &Value| {
        let path = format!("/v1/keys/{}", text(id));
        call(&world, text(&key["key"]), Method::DELETE, &path, Value::Null).await.status
    };
    assert_eq!(revoke(&clerk, &admin["id"]).await, StatusCode::FORBIDDEN);
    assert_eq!(revoke(&admin, &clerk["id"]).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn calls_of_a_family_count_together() {
    let world = World::start().await;
    let body = json!({ "scopes": ["keys:write", "requests:read"], "rate_limit_per_minute": 5 });
    let parent = make(&world, &body).await;
    let mut key = parent.clone();
    let mut n_answered = 0;
    for n in 0..9 {
        if n < 3 {
            let made =
                call(&world, text(&key["key"]), Method::POST, "/v1/keys", body.clone()).await;
            key = made.json();
            n_answered += 1;
            continue;
        }
        let look = call(&world, text(&key["key"]), Method::GET, "/v1/requests", Value::Null).await;
        n_answered += u32::from(look.status == StatusCode::OK);
    }
    assert_eq!(n_answered, 5, "the calls that make keys count, too");
}

#[tokio::test]
async fn an_account_has_200_keys_and_few_generations() {
    let world = World::start().await;
    let scopes = json!({ "scopes": ["keys:write"] });
    let mut key = make(&world, &scopes).await;
    for _ in 0..3 {
        key =
            call(&world, text(&key["key"]), Method::POST, "/v1/keys", scopes.clone()).await.json();
        assert!(key["key"].is_string(), "{key}");
    }
    let fifth = call(&world, text(&key["key"]), Method::POST, "/v1/keys", scopes.clone()).await;
    assert_eq!(fifth.status, StatusCode::FORBIDDEN);
    for _ in 5..200 {
        make(&world, &scopes).await;
    }
    let more = world.call(Method::POST, "/v1/keys", scopes).await;
    assert_eq!((more.status, &*more.code()), (StatusCode::CONFLICT, "too_many_keys"));
    let path = format!("/v1/keys/{}", text(&key["id"]));
    world.call(Method::DELETE, &path, Value::Null).await;
    make(&world, &json!({ "scopes": ["keys:write"] })).await;
}
