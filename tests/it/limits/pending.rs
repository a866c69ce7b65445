//! The cap on pending requests of an account.

use answerback::{
    domain::{Account, Owner, Scope},
    store::{advance, keys},
};
use std::{convert::Infallible, time::Duration};

use axum::http::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{Answer, World};

use crate::requests::{asking, path_of};

const TOO_MANY: &str = "too_many_pending_requests";

/// Sets a cap as an operator does, and waits until it applies.
async fn cap(world: &World, max: Option<u32>) {
    let store = &world.system.store;
    let account: Option<Account> = store.get(keys::account(world.account.id)).await.expect("read");
    let account = account.expect("the account exists");
    advance(store, account, |it| Ok::<_, Infallible>(it.cap(max))).await.expect("written");
    world.system.clock.advance(Duration::from_secs(10));
}

async fn ask(world: &World, members: Value) -> Answer {
    world.call(Method::POST, "/v1/requests", asking(members)).await
}

/// The error code of a new request; empty if it is accepted.
async fn code(world: &World) -> String {
    ask(world, json!({})).await.code()
}

#[tokio::test]
async fn pending_requests_are_capped() {
    let world = World::start().await;
    cap(&world, Some(2)).await;
    let first = ask(&world, json!({})).await.json();
    assert_eq!(code(&world).await, "");
    let refused = ask(&world, json!({})).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.code(), TOO_MANY);
    assert_eq!(refused.headers["retry-after"], "60");
    let list = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2), "nothing was stored");

    world.answer(&first, 0, json!({ "option": "yes" })).await;
    assert_eq!(code(&world).await, "");
    assert_eq!(code(&world).await, TOO_MANY);
    cap(&world, Some(3)).await;
    assert_eq!(code(&world).await, "");
    cap(&world, Some(1)).await;
    assert_eq!(code(&world).await, TOO_MANY, "more than the cap");
    cap(&world, None).await;
    assert_eq!(code(&world).await, "");
    cap(&world, Some(0)).await;
    assert_eq!(code(&world).await, TOO_MANY);
}

#[tokio::test]
async fn finished_request_frees_capacity() {
    let world = World::start().await;
    cap(&world, Some(1)).await;
    for end in ["answer", "respond", "cancel", "erase", "time out", "be settled"] {
        let members = json!({ "timeout_seconds": 3_600, "recipients": ["a@example.com"] });
        let made = ask(&world, members).await;
        assert_eq!(made.status, StatusCode::CREATED, "before: {end}");
        let request = made.json();
        let path = path_of(&request);
        assert_eq!(code(&world).await, TOO_MANY);
        match end {
            "answer" => _ = world.answer(&request, 0, json!({ "option": "yes" })).await,
            "respond" => {
                let body = json!({ "recipient": "a@example.com", "option": "yes" });
                world.call(Method::POST, &format!("{path}/responses"), body).await;
            }
            "cancel" => {
                world.call(Method::POST, &format!("{path}/cancel"), Value::Null).await;
            }
            "erase" => _ = world.call(Method::DELETE, &path, Value::Null).await,
            "time out" => {
                world.system.clock.advance(Duration::from_secs(3_602));
                assert_eq!(world.system.sweep().await.n_timed_out, 1);
            }
            _ => {
                world.system.clock.advance(Duration::from_secs(3_602));
                assert_eq!(code(&world).await, TOO_MANY, "the deadline is not noticed yet");
                world.call(Method::GET, &path, Value::Null).await;
            }
        }
        world.follow_hints().await;
    }
    assert_eq!(code(&world).await, "");
}

#[tokio::test]
async fn cap_counts_live_and_test_requests_per_account() {
    let world = World::start().await;
    cap(&world, Some(1)).await;
    let test = world
        .system
        .make_key(Owner::test(world.account.id), vec![Scope::Admin])
        .await
        .expect("a key");
    let stranger = world.system.make_account().await.expect("an account").key;
    let ask_as = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        world.call_with(Method::POST, "/v1/requests", &headers, asking(json!({}))).await.status
    };
    assert_eq!(ask_as(test.text.expose_secret()).await, StatusCode::CREATED);
    assert_eq!(ask_as(test.text.expose_secret()).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask_as(&world.key).await, StatusCode::TOO_MANY_REQUESTS);
    for _ in 0..3 {
        assert_eq!(ask_as(stranger.text.expose_secret()).await, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn idempotent_retry_succeeds_at_the_cap() {
    let world = World::start().await;
    let headers = [("idempotency-key", "deploy")];
    let ask = || world.call_with(Method::POST, "/v1/requests", &headers, asking(json!({})));
    let first = ask().await.json();
    for max in [1, 0] {
        cap(&world, Some(max)).await;
        let again = ask().await;
        assert_eq!(again.status, StatusCode::CREATED, "{}", again.text());
        assert_eq!(again.json()["id"], first["id"]);
    }
}

#[tokio::test]
async fn requests_created_before_the_cap_do_not_count() {
    let world = World::start().await;
    let before = ask(&world, json!({})).await.json();
    cap(&world, Some(1)).await;
    assert_eq!(code(&world).await, "");
    assert_eq!(code(&world).await, TOO_MANY);
    world.answer(&before, 0, json!({ "option": "yes" })).await;
    assert_eq!(code(&world).await, TOO_MANY, "its end frees no capacity");
}

#[tokio::test]
async fn fronts_report_the_cap_in_their_own_format() {
    let world = World::start().await;
    let channel = world.call(Method::POST, "/v1/channels", json!({ "name": "Deploys" })).await;
    let token = channel.json()["token"].as_str().expect("a token").to_owned();
    cap(&world, Some(0)).await;
    let notification = json!({
        "user_emails": ["a@example.com"],
        "message": "Deploy?",
        "response_request": { "options": [{ "text": "Yes", "value": "yes" }] },
    });
    let told = world.call(Method::POST, "/api/notify", notification).await;
    assert_eq!(told.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(told.json()["status"], "error");
    assert_eq!(told.headers["retry-after"], "60");
    let sent =
        world.call(Method::POST, &format!("/v1/send/{token}"), json!({ "title": "Hi" })).await;
    assert_eq!(sent.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (&sent.json()["ok"], &sent.headers["retry-after"]),
        (&json!(false), &"60".parse().expect("text"))
    );
}
