//! API keys and secrets are visible only to authorized callers.

use answerback::domain::Scope;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::World;

use crate::requests::{asking, path_of};

#[tokio::test]
async fn table_holds_only_a_hash_of_an_api_key() {
    let world = World::start().await;
    let (_, secret) = world.key["ab_live_".len()..].split_once('_').expect("an id and a secret");
    let id = world.key.split('_').nth(2).expect("an id");
    let stored = super::stored(&world).await;
    assert!(stored.contains(id), "the key is stored");
    assert!(!stored.contains(secret) && !stored.contains(&world.key));
}

#[tokio::test]
async fn table_holds_only_a_hash_of_a_channel_token() {
    let world = World::start().await;
    let path = "/v1/channels";
    let made = world.call(Method::POST, path, json!({ "name": "Deploys" })).await.json();
    let path = format!("{path}/{}/regenerate", made["id"].as_str().expect("an id"));
    let again = world.call(Method::POST, &path, Value::Null).await.json();
    let stored = super::stored(&world).await;
    for token in [&made["token"], &again["token"]] {
        let token = token.as_str().expect("it is shown");
        let (_, secret) = token["ab_ch_".len()..].split_once('_').expect("an id and a secret");
        assert!(!stored.contains(secret));
    }
    assert!(stored.contains("Deploys"), "the channel is stored");
}

#[tokio::test]
async fn secret_is_shown_on_request_with_the_right_scope() {
    let world = World::start().await;
    let secret = &*world.secret().await;
    let preview = json!({
        "preview": format!("whsec_…{}", &secret[secret.len() - 4..]),
        "created_at": "2026-01-01T00:00:00.000Z",
        "previous_expires_at": null,
    });
    let mut whole = preview.clone();
    whole["secret"] = secret.into();
    for (scope, query, expected) in [
        (Scope::WebhooksRead, "", Some(&preview)),
        (Scope::WebhooksRead, "?reveal=false", Some(&preview)),
        (Scope::WebhooksRead, "?reveal=true", None),
        (Scope::SecretsRead, "", None),
        (Scope::SecretsRead, "?reveal=true", Some(&whole)),
        (Scope::Admin, "", Some(&preview)),
        (Scope::Admin, "?reveal=true", Some(&whole)),
        (Scope::RequestsRead, "?reveal=true", None),
    ] {
        let bearer = format!("Bearer {}", world.key_with(&[scope]).await);
        let headers = [("authorization", bearer.as_str())];
        let path = format!("/v1/secret{query}");
        let answer = world.call_with(Method::GET, &path, &headers, Value::Null).await;
        if let Some(expected) = expected {
            assert_eq!(answer.json(), *expected, "{scope:?} {query}");
            assert_eq!(answer.headers["cache-control"], "no-store");
        } else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{scope:?} {query}");
        }
    }
    let answer = world.call(Method::GET, "/v1/secret?reveal=maybe", Value::Null).await;
    assert_eq!(crate::requests::faults(&answer), ["reveal"]);
    assert!(!answer.text().contains(secret));
}

#[tokio::test]
async fn other_responses_hold_no_secret() {
    let world = World::start().await;
    let body = asking(json!({
        "callback_url": "https://hooks.example.com/cb",
        "callback": { "auth": { "type": "bearer", "token": "the-receivers-token" } },
    }));
    let request = world.create(body).await;
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    world.follow_hints().await;
    assert_eq!(world.posts()[0].headers["authorization"], "Bearer the-receivers-token");
    let shown = world.call(Method::GET, &path_of(&request), Value::Null).await;
    let delivery = shown.json()["callback"]["delivery_id"].as_str().expect("one").to_owned();
    let mut texts = vec![shown.text()];
    for path in [
        "/v1/requests".to_owned(),
        "/v1/deliveries".to_owned(),
        format!("{}/result", path_of(&request)),
        format!("/v1/deliveries/{delivery}"),
        format!("/v1/attempts?delivery_id={delivery}"),
        "/v1/secret".to_owned(),
    ] {
        texts.push(world.call(Method::GET, &path, Value::Null).await.text());
    }
    for secret in
        ["the-receivers-token", world.secret().await.trim_start_matches("whsec_"), &world.key]
    {
        assert!(texts.iter().all(|it| !it.contains(secret)), "{secret}");
    }
}
