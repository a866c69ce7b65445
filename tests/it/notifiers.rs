//! Notifiers: ways to reach people. Nothing is sent here.

mod refusals;
mod secrets;

use answerback::domain::{Account, CallbackUrl, EmailPattern, Owner, Scope};
use axum::http::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{Answer, World};

use crate::requests::faults;

const PATH: &str = "/v1/notifiers";

async fn post(world: &World, notifier: Value) -> Answer {
    world.call(Method::POST, PATH, notifier).await
}

/// Creates a notifier, and returns it as in the response.
async fn make(world: &World, notifier: Value) -> Value {
    let answer = post(world, notifier).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let made = answer.json();
    assert_eq!(answer.headers["location"], *place(&made));
    made
}

fn place(notifier: &Value) -> String {
    format!("{PATH}/{}", notifier["id"].as_str().expect("an id"))
}

async fn patch(world: &World, notifier: &Value, body: Value) -> Answer {
    world.call(Method::PATCH, &place(notifier), body).await
}

/// Changes a notifier, and returns it as in the response.
async fn change(world: &World, notifier: &Value, body: Value) -> Value {
    let answer = patch(world, notifier, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world.call(Method::GET, path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

async fn listed(world: &World) -> Vec<Value> {
    get(world, PATH).await["data"].as_array().expect("a list").clone()
}

/// The operator lets the account send from these addresses.
pub(crate) async fn allow_from(world: &World, pattern: &str) {
    let pattern = EmailPattern::parse(pattern).expect("a pattern");
    let key = answerback::store::keys::account(world.account.id);
    let account: Account = world.system.store.get(key).await.expect("read").expect("it is there");
    let next = account.allow_senders(&[pattern]).expect("few").expect("a change");
    drop(world.system.store.save(&next).await.expect("written"));
    world.system.clock.advance(std::time::Duration::from_secs(5));
}

fn ses() -> Value {
    json!({ "kind": "email", "settings": { "transport": "ses", "from": "ci@acme.example" } })
}

fn smtp() -> Value {
    json!({
        "kind": "email",
        "settings": {
            "transport": "smtp", "from": "Acme CI <ci@acme.example>", "host": "SMTP.acme.com",
            "port": 587, "username": "ci", "password": "c4nary-password",
        },
    })
}

fn ntfy() -> Value {
    json!({
        "kind": "ntfy",
        "settings": {
            "url": "https://ntfy.acme.com", "topic": "c4nary-topic", "token": "c4nary-token",
        },
    })
}

fn slack() -> Value {
    json!({
        "kind": "slack",
        "settings": {
            "bot_token": "c4nary-bot", "signing_secret": "c4nary-signing", "team_id": "T012AB3CD",
        },
    })
}

fn incoming() -> Value {
    json!({
        "kind": "incoming_webhook",
        "settings": { "url": "https://hooks.acme.com/s/c4nary-path", "format": "teams" },
    })
}

fn own_system() -> Value {
    json!({
        "kind": "webhook",
        "settings": {
            "url": "https://app.acme.com/reach",
            "auth": { "type": "bearer", "token": "c4nary-bearer" },
            "headers": { "X-Team": "c4nary-header" },
        },
    })
}

#[tokio::test]
async fn each_kind_is_created_shown_and_listed() {
    let world = World::start().await;
    allow_from(&world, "*@acme.example").await;
    let mut expected = Vec::new();
    for (body, settings) in [
        (ses(), json!({ "transport": "ses", "from": "ci@acme.example", "reply_to": null })),
        (
            smtp(),
            json!({
                "transport": "smtp", "from": "Acme CI <ci@acme.example>", "reply_to": null,
                "host": "smtp.acme.com", "port": 587, "tls": "starttls", "username": "ci",
                "password": "***",
            }),
        ),
        (
            ntfy(),
            json!({
                "url": "https://ntfy.acme.com", "topic": "***", "token": "***", "buttons": false,
            }),
        ),
        (
            incoming(),
            json!({ "url": "***", "origin": "https://hooks.acme.com", "format": "teams" }),
        ),
        (
            own_system(),
            json!({
                "url": "https://app.acme.com/reach", "auth": { "type": "bearer" },
                "header_names": ["x-team"],
            }),
        ),
    ] {
        let made = make(&world, body.clone()).await;
        let shown = json!({
            "id": made["id"], "kind": body["kind"], "name": null, "settings": settings,
            "enabled": true, "default": false, "disabled": null, "livemode": true,
            "created_at": made["created_at"], "updated_at": made["created_at"],
        });
        assert_eq!(made, shown);
        assert_eq!(get(&world, &place(&made)).await, shown);
        expected.insert(0, shown);
        world.system.clock.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(listed(&world).await, expected, "newest first");
    assert_eq!(world.posts().len(), 0, "none was called");
    assert_eq!(world.egress.script().probed().len(), 0, "none was probed");
    let checked = world.egress.script().checked();
    let hosts: Vec<&str> = checked.iter().map(CallbackUrl::host).collect();
    assert_eq!(hosts, ["smtp.acme.com", "ntfy.acme.com", "hooks.acme.com", "app.acme.com"]);
}

#[tokio::test]
async fn patch_changes_only_what_it_names() {
    let world = World::start().await;
    let made = make(&world, smtp()).await;
    world.system.clock.advance(std::time::Duration::from_secs(1));
    let body = json!({
        "kind": "email", "name": "CI", "default": true, "enabled": false,
        "settings": { "port": 465, "reply_to": "help@acme.example" },
    });
    let mut expected = made.clone();
    for (name, value) in [
        ("name", json!("CI")),
        ("default", json!(true)),
        ("enabled", json!(false)),
        ("disabled", json!({ "reason": "by_hand", "at": "2026-01-01T00:00:01.000Z" })),
        ("updated_at", json!("2026-01-01T00:00:01.000Z")),
    ] {
        expected[name] = value;
    }
    let settings = &mut expected["settings"];
    settings["reply_to"] = json!("help@acme.example");
    settings["port"] = json!(465);
    settings["tls"] = json!("implicit");
    let refused = patch(&world, &made, body.clone()).await;
    assert_eq!(faults(&refused), ["/settings/password"], "it was for another port");
    let mut body = body;
    body["settings"]["password"] = json!("another");
    assert_eq!(change(&world, &made, body).await, expected);

    world.system.clock.advance(std::time::Duration::from_secs(1));
    let renamed = change(&world, &made, json!({ "name": null })).await;
    assert_eq!((&renamed["name"], &renamed["disabled"]), (&Value::Null, &expected["disabled"]));
    let enabled = change(&world, &made, json!({ "enabled": true })).await;
    assert_eq!((&enabled["enabled"], &enabled["disabled"]), (&json!(true), &Value::Null));
    assert_eq!(get(&world, &place(&made)).await, enabled);
}

#[tokio::test]
async fn mail_moves_from_smtp_to_ses_and_back() {
    let world = World::start().await;
    allow_from(&world, "ci@acme.example").await;
    let made = make(&world, smtp()).await;
    let ses = change(&world, &made, json!({ "settings": { "transport": "ses" } })).await;
    let expected = json!({
        "transport": "ses", "from": "Acme CI <ci@acme.example>", "reply_to": null,
    });
    assert_eq!(ses["settings"], expected);
    let back = json!({ "settings": { "transport": "smtp", "host": "smtp.acme.com", "port": 465 } });
    let back = change(&world, &made, back).await;
    assert_eq!(back["settings"]["password"], Value::Null, "it was dropped");
}

#[tokio::test]
async fn deleted_notifier_is_gone() {
    let world = World::start().await;
    let made = make(&world, ntfy()).await;
    let deleted = world.call(Method::DELETE, &place(&made), Value::Null).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    for (method, body) in [
        (Method::GET, Value::Null),
        (Method::PATCH, json!({ "name": "x" })),
        (Method::DELETE, Value::Null),
    ] {
        let answer = world.call(method.clone(), &place(&made), body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(listed(&world).await, [] as [Value; 0]);
}

#[tokio::test]
async fn repeated_call_creates_nothing_more() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", &*bearer), ("idempotency-key", "k")];
    let call = |body: Value| world.call_with(Method::POST, PATH, &headers, body);
    let first = call(ntfy()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let renamed = change(&world, &first.json(), json!({ "name": "Renamed" })).await;
    let second = call(ntfy()).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.text());
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(second.headers["location"], *place(&first.json()));
    assert_eq!(second.json(), renamed, "as it is now");
    assert_eq!(listed(&world).await.len(), 1);
    let other = call(incoming()).await;
    assert_eq!(other.code(), "idempotency_key_reused");

    world.call(Method::DELETE, &place(&renamed), Value::Null).await;
    let third = call(ntfy()).await;
    assert_eq!(third.status, StatusCode::NOT_FOUND);
    assert_eq!(third.headers["idempotency-replayed"], "true");
    assert_eq!(listed(&world).await, [] as [Value; 0]);
}

#[tokio::test]
async fn concurrent_equal_calls_create_one_notifier() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", &*bearer), ("idempotency-key", "k")];
    let calls = (0..10).map(|_| world.call_with(Method::POST, PATH, &headers, ntfy()));
    let answers = futures::future::join_all(calls).await;
    let is_new = |it: &&Answer| !it.headers.contains_key("idempotency-replayed");
    assert!(answers.iter().all(|it| it.status == StatusCode::CREATED));
    assert_eq!(answers.iter().filter(is_new).count(), 1);
    assert_eq!(listed(&world).await.len(), 1);
}

#[tokio::test]
async fn concurrent_changes_lose_nothing() {
    let world = World::start().await;
    let made = make(&world, ntfy()).await;
    let calls = [
        json!({ "name": "CI" }),
        json!({ "default": true }),
        json!({ "settings": { "buttons": true } }),
    ];
    let calls = calls.map(|it| patch(&world, &made, it));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let shown = get(&world, &place(&made)).await;
    let parts = (&shown["name"], &shown["default"], &shown["settings"]["buttons"]);
    assert_eq!(parts, (&json!("CI"), &json!(true), &json!(true)));
}

#[tokio::test]
async fn an_account_has_twenty_notifiers_at_most() {
    let world = World::start().await;
    let mut last = Value::Null;
    for number in 0..20 {
        let mut body = ntfy();
        body["enabled"] = json!(number % 2 == 0);
        last = make(&world, body).await;
    }
    let refused = post(&world, ntfy()).await;
    assert_eq!((refused.status, &*refused.code()), (StatusCode::CONFLICT, "too_many_notifiers"));
    assert_eq!(listed(&world).await.len(), 20);
    world.call(Method::DELETE, &place(&last), Value::Null).await;
    make(&world, ntfy()).await;
}

#[tokio::test]
async fn notifiers_need_their_scopes_and_stay_in_their_mode() {
    let world = World::start().await;
    let made = make(&world, ntfy()).await;
    let stranger = world.system.make_account().await.expect("an account").key;
    let test = world.system.make_key(Owner::test(world.account.id), vec![Scope::Admin]).await;
    for key in [stranger.text, test.expect("a key").text] {
        let bearer = format!("Bearer {}", key.expose_secret());
        let headers = [("authorization", &*bearer)];
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::PATCH, json!({ "name": "x" })),
            (Method::DELETE, Value::Null),
        ] {
            let answer = world.call_with(method.clone(), &place(&made), &headers, body).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
        }
        let list = world.call_with(Method::GET, PATH, &headers, Value::Null).await;
        assert_eq!(list.json()["data"], json!([]));
        let own = world.call_with(Method::POST, PATH, &headers, ntfy()).await;
        assert_eq!(own.status, StatusCode::CREATED, "{}", own.text());
    }
    assert_eq!(listed(&world).await, std::slice::from_ref(&made));
    for (scope, method, expected) in [
        (Scope::NotifiersRead, Method::GET, StatusCode::OK),
        (Scope::NotifiersRead, Method::DELETE, StatusCode::FORBIDDEN),
        (Scope::WebhooksWrite, Method::DELETE, StatusCode::FORBIDDEN),
        (Scope::NotifiersWrite, Method::GET, StatusCode::FORBIDDEN),
        (Scope::NotifiersWrite, Method::DELETE, StatusCode::NO_CONTENT),
    ] {
        let bearer = format!("Bearer {}", world.key_with(&[scope]).await);
        let headers = [("authorization", &*bearer)];
        let answer = world.call_with(method.clone(), &place(&made), &headers, Value::Null).await;
        assert_eq!(answer.status, expected, "{scope:?} {method}");
    }
}

#[tokio::test]
async fn null_is_absent_in_a_new_notifier() {
    let world = World::start().await;
    let settings = json!({
        "url": "https://ntfy.example.com", "topic": "approvals", "token": null, "buttons": null,
    });
    let made = make(&world, json!({ "kind": "ntfy", "settings": settings, "name": null })).await;
    assert_eq!(made["settings"]["token"], Value::Null);
    assert_eq!(made["settings"]["buttons"], false);
}
