//! Access control, and the errors for callers without access.

mod secrets;

use answerback::{
    domain::{Owner, Scope},
    store::plain,
};
use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{Answer, World, contract::Contract};

use crate::requests::{asking, path_of};

/// All items in the table, as text.
pub(crate) async fn stored(world: &World) -> String {
    let client = world.system.sdk().dynamodb();
    let scanned = client.scan().table_name("answerback").send().await.expect("the table exists");
    assert!(scanned.last_evaluated_key().is_none(), "the table of a test fits on a page");
    scanned
        .items()
        .iter()
        .flat_map(std::collections::HashMap::values)
        .map(|it| match plain(it) {
            Some(content) => String::from_utf8_lossy(&content).into_owned(),
            None => format!("{it:?}"),
        })
        .collect()
}

/// Every operation that needs a scope, with the scope.
pub(crate) fn guarded() -> Vec<(Method, String, Scope)> {
    let paths = Contract::of_the_api().document()["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, operations)| {
        operations.as_object().into_iter().flatten().map(move |it| (path, it))
    });
    operations
        .filter_map(|(path, (method, operation))| {
            let scope = Scope::parse(operation["x-scope"].as_str()?).expect("a scope");
            let method = method.to_uppercase().parse().expect("a method");
            Some((method, path.clone(), scope))
        })
        .collect()
}

/// The path of an operation on the item with this identifier.
pub(crate) fn place_of(path: &str, id: &str) -> String {
    path.replace("{id}", id).replace("{request_id}", id)
}

/// The problem of a refused call, checked for this code. The fronts of other products have no
/// codes.
pub(crate) fn told(answer: &Answer, path: &str, code: &str) -> Value {
    if path.starts_with("/api/") {
        return answer.json()["details"].clone();
    }
    assert_eq!(answer.code(), code);
    answer.json()["detail"].clone()
}

/// A valid body for this operation, for a caller without access.
pub(crate) fn body_of(method: &Method, path: &str) -> Value {
    match (method.as_str(), path) {
        ("POST", "/v1/requests") => asking(json!({})),
        ("POST", path) if path.ends_with("/responses") => json!({ "option": "yes" }),
        ("POST", path) if path.ends_with("/consume") => {
            json!({ "digest": format!("sha256:{}", "0".repeat(64)) })
        }
        ("POST", path) if path.ends_with("/ack") => json!({ "receipt": "rcp_0000000000000000" }),
        ("POST", path) if path.ends_with("/recover") => json!({ "since": "2026-01-01T00:00:00Z" }),
        ("PATCH", _) => json!({ "enabled": true }),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn call_without_a_key_is_refused_without_details() {
    let world = World::start().await;
    let request = world.create(asking(json!({}))).await;
    let (first, last) = world.key.split_at(world.key.len() - 1);
    let other_end = if last == "A" { "B" } else { "A" };
    let (mode, rest) = world.key.split_at("ab_live_".len());
    assert_eq!(mode, "ab_live_");
    let (id, secret) = rest.split_once('_').expect("an id and a secret");
    let wrong = [
        format!("Bearer {first}{other_end}"),
        format!("Bearer {first}"),
        format!("Bearer {}A", world.key),
        format!("Bearer ab_test_{rest}"),
        format!("Bearer ab_live_{id}_"),
        format!("Bearer ab_live_{id}"),
        format!("Bearer ab_live_{}_{secret}", "0".repeat(26)),
        format!("Bearer {}", world.key.to_uppercase()),
        format!("Basic {}", world.key),
        world.key.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer ü".to_owned(),
        String::new(),
    ];
    for (method, path, _) in guarded() {
        let path = place_of(&path, request["id"].as_str().expect("an id"));
        let body = body_of(&method, &path);
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = world.send(method.clone(), &path, &[], body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert!(told(&answer, &path, "unauthorized").to_string().contains("send an API key"));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let own = world.send(Method::GET, "/v1/key", &[], Bytes::new()).await;
    assert_eq!((own.status, &*own.code()), (StatusCode::UNAUTHORIZED, "unauthorized"));
    for header in &wrong {
        let headers = [("authorization", header.as_str())];
        let answer = world.send(Method::GET, "/v1/requests", &headers, Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        assert!(!answer.text().contains(secret));
    }
    for path in ["/v1/health", "/openapi.json"] {
        let answer = world.send(Method::GET, path, &[], Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn api_key_is_sent_as_bearer_or_in_x_api_key() {
    let world = World::start().await;
    for (name, value) in [
        ("authorization", format!("Bearer {}", world.key)),
        ("authorization", format!("bearer {}", world.key)),
        ("x-api-key", world.key.clone()),
    ] {
        let headers = [(name, value.as_str())];
        let answer = world.send(Method::GET, "/v1/requests", &headers, Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn every_operation_needs_exactly_its_scope() {
    let world = World::start().await;
    let id = format!("req_{}", "0".repeat(26));
    for scope in Scope::ALL {
        let others: Vec<_> = Scope::ALL.into_iter().filter(|it| !it.includes(scope)).collect();
        let (only, without) = (world.key_with(&[scope]).await, world.key_with(&others).await);
        for (method, path, needed) in guarded() {
            let place = place_of(&path, &id);
            let call = async |key: &str| {
                let bearer = format!("Bearer {key}");
                let headers = [("authorization", bearer.as_str())];
                world.call_with(method.clone(), &place, &headers, body_of(&method, &path)).await
            };
            let opens = scope.includes(needed);
            let answer = call(&only).await;
            let is_forbidden = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(is_forbidden, !opens, "{method} {path} with {scope:?}: {}", answer.text());
            if scope == needed {
                let answer = call(&without).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
                let name = format!("`{}`", scope.as_str());
                let told = told(&answer, &path, "forbidden").to_string();
                assert!(told.contains(&name), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn items_of_another_account_are_not_found() {
    let world = World::start().await;
    let body = asking(json!({ "callback_url": "https://hooks.example.com/cb" }));
    let request = world.create(body).await;
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    world.follow_hints().await;
    let path = path_of(&request);
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    let delivery = shown["callback"]["delivery_id"].as_str().expect("it was dispatched").to_owned();
    let attempts = format!("/v1/attempts?delivery_id={delivery}");
    let attempts = world.call(Method::GET, &attempts, Value::Null).await.json();
    let attempt = attempts["data"][0]["id"].as_str().expect("it was attempted").to_owned();
    let hook = json!({ "id": "orders", "url": "https://hooks.example.com/" });
    world.call(Method::POST, "/v1/webhooks", hook).await;
    let zeros = |id: &str| format!("{}{}", &id[..4], "0".repeat(id.len() - 4));

    let stranger = world.system.make_account().await.expect("an account").key;
    let test = world.system.make_key(Owner::test(world.account.id), vec![Scope::Admin]).await;
    for key in [stranger, test.expect("a key")] {
        let bearer = format!("Bearer {}", key.text.expose_secret());
        let headers = [("authorization", bearer.as_str())];
        // A PUT creates a webhook that does not exist.
        for (method, place, _) in guarded().into_iter().filter(|it| it.0 != Method::PUT) {
            let id = match &place {
                it if it.starts_with("/v1/webhooks") => "orders",
                it if it.starts_with("/v1/deliveries") => &*delivery,
                it if it.starts_with("/v1/attempts") => &attempt,
                _ => request["id"].as_str().expect("an id"),
            };
            let (here, there, junk) = match place.as_str() {
                "/v1/attempts" => {
                    let with = |id: &str| format!("{place}?delivery_id={id}");
                    (with(&delivery), with(&zeros(&delivery)), with("junk"))
                }
                it if it.contains("id}") => {
                    let with = |id: &str| place_of(it, id);
                    (with(id), with(&zeros(id)), with("junk"))
                }
                _ => continue,
            };
            let mut seen = Vec::new();
            for path in [here, there, junk] {
                let body = body_of(&method, &place);
                let answer = world.call_with(method.clone(), &path, &headers, body).await;
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
                let call = answer.headers["x-request-id"].to_str().expect("ASCII").to_owned();
                seen.push(answer.text().replace(&call, "-"));
            }
            assert_eq!(seen[0], seen[1]);
            assert_eq!(seen[0], seen[2]);
        }
        for list in ["/v1/requests".to_owned(), "/v1/deliveries".to_owned(), {
            format!("/v1/deliveries?request_id={}", request["id"].as_str().expect("an id"))
        }] {
            let list = world.call_with(Method::GET, &list, &headers, Value::Null).await.json();
            assert_eq!(list["data"], json!([]));
        }
    }
    assert_eq!(world.call(Method::GET, &path, Value::Null).await.json(), shown, "nothing changed");
}

#[tokio::test]
async fn answer_links_and_codes_need_their_scope() {
    let world = World::start().await;
    let request = world.create(asking(json!({ "assurance": "code" }))).await;
    for (scopes, sees) in [
        (&[Scope::RequestsRead] as &[_], false),
        (&[Scope::RequestsRead, Scope::AnswersWrite], false),
        (&[Scope::RequestsRead, Scope::LinksRead], true),
        (&[Scope::RequestsRead, Scope::WebhooksWrite, Scope::SecretsRead], false),
        (&[Scope::RequestsRead, Scope::RequestsWrite], true),
    ] {
        let bearer = format!("Bearer {}", world.key_with(scopes).await);
        let headers = [("authorization", bearer.as_str())];
        for path in [path_of(&request), "/v1/requests".to_owned()] {
            let answer = world.call_with(Method::GET, &path, &headers, Value::Null).await;
            let link = request["recipients"][0]["answer_url"].as_str().expect("a link");
            assert_eq!(answer.text().contains(link), sees, "{path} {scopes:?}");
            assert_eq!(answer.text().contains("answer_url"), sees);
            assert_eq!(answer.text().contains("\"code\":"), sees);
        }
    }
}

/// Otherwise two webhooks could call each other's redelivery for ever.
#[tokio::test]
async fn calls_from_our_own_callbacks_are_refused() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", bearer.as_str()), ("answerback-delivery", "dlv_1")];
    for (method, path) in [
        (Method::POST, "/v1/requests"),
        (Method::POST, "/v1/events"),
        (Method::POST, "/v1/deliveries/dlv_1/redeliver"),
        (Method::POST, "/v1/webhooks/w/recover"),
        (Method::POST, "/v1/answers/none"),
        (Method::POST, "/v1/send/none"),
        (Method::POST, "/api/notify"),
        (Method::GET, "/v1/requests"),
        (Method::GET, "/v1/health"),
        (Method::GET, "/a/none"),
    ] {
        let refused = world.send(method.clone(), path, &headers, Bytes::new()).await;
        assert_eq!(refused.status, StatusCode::LOOP_DETECTED, "{method} {path}");
        if path == "/a/none" {
            assert!(refused.text().contains("</html>"), "a page, like every error there");
        } else {
            assert_eq!(refused.code(), "loop_detected");
        }
    }
}
