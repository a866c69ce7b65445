//! Webhooks: receivers that subscribe to types of events.

mod health;
mod told;

use answerback::domain::{Owner, Scope};
use axum::http::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{Answer, World};

use crate::requests::faults;

/// Creates a webhook, and returns it as in the response.
async fn make(world: &World, webhook: Value) -> Value {
    let answer = world.call(Method::POST, "/v1/webhooks", webhook).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

/// A webhook at a usual address.
fn hook(id: &str) -> Value {
    json!({ "id": id, "url": format!("https://hooks.example.com/{id}") })
}

async fn patch(world: &World, id: &str, body: Value) -> Answer {
    world.call(Method::PATCH, &format!("/v1/webhooks/{id}"), body).await
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world.call(Method::GET, path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

async fn show(world: &World, id: &str) -> Value {
    get(world, &format!("/v1/webhooks/{id}")).await
}

#[tokio::test]
async fn webhook_is_created_with_defaults_shown_and_listed() {
    let world = World::start().await;
    let made = make(&world, hook("orders")).await;
    let secret = made["secret"].as_str().expect("in full").to_owned();
    let mut expected = json!({
        "id": "orders",
        "url": "https://hooks.example.com/orders",
        "description": null,
        "event_types": ["*"],
        "enabled": true,
        "disabled_reason": null,
        "disabled_at": null,
        "failing_since": null,
        "profile": "standard",
        "body": null,
        "signature": null,
        "timeout_seconds": 20,
        "retry": {
            "delays_seconds": [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400],
            "jitter": 0.2,
        },
        "header_names": [],
        "auth": null,
        "max_payload_bytes": 65536,
        "livemode": true,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!(show(&world, "orders").await, expected);
    expected["secret"] = secret.clone().into();
    expected["probe"] = json!({ "ok": true });
    assert_eq!(made, expected);

    world.system.clock.advance(std::time::Duration::from_secs(1));
    let unnamed = json!({ "url": "https://hooks.example.com/", "profile": "noukai" });
    let unnamed = make(&world, unnamed).await;
    assert!(unnamed["id"].as_str().expect("text").starts_with("wh_"), "{unnamed}");
    assert_eq!(unnamed["event_types"], json!(["job.*"]), "as its profile sets it");
    let list = get(&world, "/v1/webhooks").await;
    let ids: Vec<&Value> =
        list["data"].as_array().expect("a list").iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&unnamed["id"], &json!("orders")], "newest first");
    assert!(!list.to_string().contains(secret.trim_start_matches("whsec_")));
    let revealed = get(&world, "/v1/webhooks/orders/secret?reveal=true").await;
    assert_eq!(revealed["secret"], made["secret"]);
}

#[tokio::test]
async fn all_errors_of_a_webhook_are_reported() {
    let world = World::start().await;
    let wrong = json!({
        "id": "Orders",
        "description": 7,
        "event_types": ["*", "*", "job", "job.*"],
        "headers": {
            "Authorization": "x", "Content-Type": "x", "webhook-id": "x", "a b": "x", "x-fine": 1,
            "connection": "close",
        },
        "auth": { "type": "bearer", "token": "not one" },
        "max_payload_bytes": 8191,
        "timeout_seconds": 21,
        "name": "x",
    });
    let answer = world.call(Method::POST, "/v1/webhooks", wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut faults = faults(&answer);
    faults.sort();
    let expected = [
        "/auth/token",
        "/description",
        "/event_types/1",
        "/event_types/2",
        "/headers/Authorization",
        "/headers/Content-Type",
        "/headers/a b",
        "/headers/connection",
        "/headers/webhook-id",
        "/headers/x-fine",
        "/id",
        "/max_payload_bytes",
        "/name",
        "/timeout_seconds",
        "/url",
    ];
    assert_eq!(faults, expected);

    let private = json!({ "url": "https://127.0.0.1/" });
    let answer = world.call(Method::POST, "/v1/webhooks", private).await;
    assert_eq!(
        (answer.status, &*answer.code()),
        (StatusCode::BAD_REQUEST, "callback_url_not_allowed")
    );
    assert_eq!(answer.json()["errors"][0]["pointer"], "/url");
    assert_eq!(get(&world, "/v1/webhooks").await["data"], json!([]));
}

#[tokio::test]
async fn idempotent_retry_creates_one_webhook_and_a_taken_id_fails() {
    let world = World::start().await;
    for body in [hook("orders"), json!({ "url": "https://hooks.example.com/any" })] {
        let key = format!("for {}", body["url"]);
        let headers = [("idempotency-key", &*key)];
        let post = |body| world.call_with(Method::POST, "/v1/webhooks", &headers, body);
        let (first, again) = (post(body.clone()).await, post(body.clone()).await);
        assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let mut made = first.json();
        made.as_object_mut().expect("an object").remove("secret").expect("it was made");
        assert_eq!(made["probe"].take(), json!({ "ok": true }));
        assert_eq!(again.json(), made, "without its secret, and not probed again");
        let mut other = body;
        other["description"] = "another".into();
        assert_eq!(post(other).await.code(), "idempotency_key_reused");
    }
    let again = world.call(Method::POST, "/v1/webhooks", hook("orders")).await;
    assert_eq!((again.status, &*again.code()), (StatusCode::CONFLICT, "webhook_exists"));
}

#[tokio::test]
async fn concurrent_patches_keep_all_changes() {
    let world = World::start().await;
    make(&world, hook("orders")).await;
    let changes = [
        json!({ "description": "Orders" }),
        json!({ "timeout_seconds": 7 }),
        json!({ "headers": { "x-a": "1" } }),
        json!({ "headers": { "x-b": "2" } }),
        json!({ "event_types": ["job.*"] }),
    ];
    let all = changes.map(|it| patch(&world, "orders", it));
    for answer in world.as_time_passes(futures::future::join_all(all)).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let shown = show(&world, "orders").await;
    assert_eq!((&shown["description"], &shown["timeout_seconds"]), (&json!("Orders"), &json!(7)));
    assert_eq!(shown["header_names"], json!(["x-a", "x-b"]));
    assert_eq!(shown["event_types"], json!(["job.*"]));
}

#[tokio::test]
async fn patch_changes_named_members_and_put_replaces_all() {
    let world = World::start().await;
    let mut first = hook("orders");
    first["headers"] = json!({ "X-Team": "payments", "x-other": "1" });
    first["auth"] = json!({ "type": "bearer", "token": "the-receivers-token" });
    first["timeout_seconds"] = 7.into();
    let made = make(&world, first).await;
    assert_eq!(made["header_names"], json!(["x-other", "x-team"]));

    world.system.clock.advance(std::time::Duration::from_mins(1));
    let change = json!({
        "headers": { "x-other": null, "x-new": "2" }, "profile": "noukai", "description": "Jobs",
    });
    let patched = patch(&world, "orders", change).await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.text());
    let patched = patched.json();
    assert_eq!(patched["header_names"], json!(["x-new", "x-team"]));
    assert_eq!(patched["event_types"], json!(["job.*"]), "as the profile has it");
    assert_eq!(patched["retry"]["delays_seconds"], json!([60, 300, 1800, 7200, 18000]));
    assert_eq!(
        (&patched["timeout_seconds"], &patched["auth"]),
        (&json!(7), &json!({ "type": "bearer" }))
    );
    assert_eq!(patched["updated_at"], "2026-01-01T00:01:00.000Z");
    let mut shown = show(&world, "orders").await;
    shown["probe"] = Value::Null;
    assert_eq!(shown, patched, "its URL was not probed again");

    let put = json!({ "url": "https://hooks.example.com/put" });
    let answer = world.call(Method::PUT, "/v1/webhooks/orders", put.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let replaced = answer.json();
    assert_eq!(replaced["header_names"], json!([]));
    assert_eq!((&replaced["timeout_seconds"], &replaced["auth"]), (&json!(20), &Value::Null));
    assert_eq!(
        (&replaced["event_types"], &replaced["created_at"]),
        (&json!(["*"]), &made["created_at"])
    );
    let secret = get(&world, "/v1/webhooks/orders/secret?reveal=true").await;
    assert_eq!(secret["secret"], made["secret"], "a change does not rotate the secret");

    let put = world.call(Method::PUT, "/v1/webhooks/shipping", put).await;
    assert_eq!(put.status, StatusCode::CREATED, "{}", put.text());
    assert!(put.json()["secret"].is_string());
    let wrong = patch(&world, "orders", json!({ "id": "renamed", "timeout_seconds": 0 })).await;
    assert_eq!(faults(&wrong), ["/timeout_seconds", "/id"]);
}

#[tokio::test]
async fn deleted_webhook_is_gone_and_its_id_is_free_again() {
    let world = World::start().await;
    let made = make(&world, hook("orders")).await;
    let deleted = world.call(Method::DELETE, "/v1/webhooks/orders", Value::Null).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    for (method, path) in [
        (Method::GET, "/v1/webhooks/orders"),
        (Method::GET, "/v1/webhooks/orders/secret"),
        (Method::GET, "/v1/webhooks/orders/attempts"),
        (Method::DELETE, "/v1/webhooks/orders"),
        (Method::POST, "/v1/webhooks/orders/trigger"),
        (Method::POST, "/v1/webhooks/orders/secret/rotate"),
    ] {
        let answer = world.call(method.clone(), path, Value::Null).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    assert_eq!(get(&world, "/v1/webhooks").await["data"], json!([]));
    let again = make(&world, hook("orders")).await;
    assert_ne!(again["secret"], made["secret"]);
}

#[tokio::test]
async fn an_account_has_fifty_webhooks_at_most() {
    let world = World::start().await;
    for number in 0..50 {
        make(&world, hook(&format!("n{number}"))).await;
    }
    let answer = world.call(Method::POST, "/v1/webhooks", hook("one-more")).await;
    assert_eq!((answer.status, &*answer.code()), (StatusCode::CONFLICT, "too_many_webhooks"));
    assert_eq!(get(&world, "/v1/webhooks").await["data"].as_array().map(Vec::len), Some(50));
    world.call(Method::DELETE, "/v1/webhooks/n7", Value::Null).await;
    make(&world, hook("one-more")).await;
}

#[tokio::test]
async fn webhooks_need_their_scopes() {
    let world = World::start().await;
    make(&world, hook("orders")).await;
    let stranger = world.system.make_account().await.expect("an account").key;
    let test = world.system.make_key(Owner::test(world.account.id), vec![Scope::Admin]).await;
    for key in [stranger.text, test.expect("a key").text] {
        let bearer = format!("Bearer {}", key.expose_secret());
        let headers = [("authorization", &*bearer)];
        let answer =
            world.call_with(Method::GET, "/v1/webhooks/orders", &headers, Value::Null).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let list = world.call_with(Method::GET, "/v1/webhooks", &headers, Value::Null).await;
        assert_eq!(list.json()["data"], json!([]));
    }
    let reveal = "/v1/webhooks/orders/secret?reveal=true";
    for (scope, method, path, expected) in [
        (Scope::WebhooksRead, Method::GET, "/v1/webhooks/orders", StatusCode::OK),
        (Scope::WebhooksRead, Method::GET, "/v1/webhooks/orders/secret", StatusCode::OK),
        (Scope::WebhooksRead, Method::GET, reveal, StatusCode::FORBIDDEN),
        (Scope::SecretsRead, Method::GET, reveal, StatusCode::OK),
        (Scope::SecretsRead, Method::GET, "/v1/webhooks", StatusCode::FORBIDDEN),
        (Scope::WebhooksRead, Method::DELETE, "/v1/webhooks/orders", StatusCode::FORBIDDEN),
        (Scope::WebhooksWrite, Method::GET, "/v1/webhooks/orders", StatusCode::FORBIDDEN),
        (Scope::WebhooksWrite, Method::DELETE, "/v1/webhooks/orders", StatusCode::NO_CONTENT),
    ] {
        let bearer = format!("Bearer {}", world.key_with(&[scope]).await);
        let headers = [("authorization", &*bearer)];
        let answer = world.call_with(method.clone(), path, &headers, Value::Null).await;
        assert_eq!(answer.status, expected, "{scope:?} {method} {path}");
    }
}
