//! Codes that come with answer links.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World, token};

use super::{check_page, shown};

async fn asked(world: &World) -> Value {
    world
        .create(json!({
            "title": "Pay?",
            "recipients": ["a@example.com", "b@example.com"],
            "options": [{ "value": "yes", "label": "Yes" }, { "value": "no", "label": "No" }],
            "assurance": "code",
            "callback_url": "https://hooks.example.com/pay",
            "callback": { "events": ["request.finished", "request.link_locked"] },
        }))
        .await
}

fn code(request: &Value, recipient: usize) -> String {
    request["recipients"][recipient]["code"].as_str().expect("a code").to_owned()
}

/// A code that is not `code`.
fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().expect("digits") + 1) % 1_000_000)
}

async fn by_json(world: &World, request: &Value, code: &Value) -> Answer {
    world.answer(request, 0, json!({ "option": "yes", "code": code })).await
}

#[tokio::test]
async fn answer_needs_the_code_of_its_link() {
    let world = World::start().await;
    let request = asked(&world).await;
    let (own, of_another) = (code(&request, 0), code(&request, 1));
    assert!(own.len() == 6 && own != of_another);
    let page = world.visit(Method::GET, &format!("/a/{}", token(&request, 0)), "").await.text();
    assert!(page.contains("autocomplete=\"one-time-code\"") && !page.contains(&own), "{page}");

    for none in [Value::Null, json!(""), json!("  ")] {
        let refused = by_json(&world, &request, &none).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::FORBIDDEN, "code_required")
        );
    }
    let refused = by_json(&world, &request, &json!(of_another)).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "code_required"));
    assert!(refused.text().contains("4 more wrong codes"), "{}", refused.text());
    let form = world.send_form(&request, 0, "option=yes").await;
    check_page(&form, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(form.text().contains("Enter the code."), "{}", form.text());
    let form = world.send_form(&request, 0, &format!("option=yes&code={}", wrong(&own))).await;
    check_page(&form, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(form.text().contains("wrong codes until this link is locked: 3"), "{}", form.text());
    assert_eq!(shown(&world, &request).await["responses"][0]["option"], Value::Null);

    let spaced = format!("option=yes&code=+{}-{}", &own[..3], &own[3..]);
    let form = world.send_form(&request, 0, &spaced).await;
    assert_eq!(form.status, StatusCode::SEE_OTHER);
    assert_eq!(shown(&world, &request).await["responses"][0]["option"], "yes");
    // The recorded answer is on the page, so an equal one needs no code.
    assert_eq!(by_json(&world, &request, &Value::Null).await.status, StatusCode::OK);
}

#[tokio::test]
async fn five_wrong_codes_lock_a_link_until_a_new_one_is_issued() {
    let world = World::start().await;
    let request = asked(&world).await;
    let first = code(&request, 0);
    let path = format!("/a/{}", token(&request, 0));
    for _ in 0..4 {
        by_json(&world, &request, &json!(wrong(&first))).await;
    }
    let locked = by_json(&world, &request, &json!(wrong(&first))).await;
    assert_eq!((locked.status, locked.code().as_str()), (StatusCode::FORBIDDEN, "link_locked"));
    let locked = by_json(&world, &request, &json!(first)).await;
    assert_eq!((locked.status, locked.code().as_str()), (StatusCode::FORBIDDEN, "link_locked"));
    world.follow_hints().await;
    let posts = world.posts();
    let body: Value = serde_json::from_slice(&posts[0].body).expect("JSON");
    assert_eq!((posts.len(), &body["type"]), (1, &json!("request.link_locked")));
    assert_eq!(body["data"]["change"], json!({ "recipient": "a@example.com" }));
    assert_eq!(body["data"]["responses"], json!([]));

    let page = world.visit(Method::GET, &path, "").await;
    check_page(&page, StatusCode::OK);
    assert!(page.text().contains("This link is locked"), "{}", page.text());
    let form = world.send_form(&request, 0, &format!("option=yes&code={first}")).await;
    check_page(&form, StatusCode::FORBIDDEN);
    // The other recipient's link, and the sender, are not concerned.
    let other = json!({ "option": "no", "code": code(&request, 1) });
    assert_eq!(world.answer(&request, 1, other).await.status, StatusCode::OK);

    let renewed = world.visit(Method::POST, &path, "new_code=1").await;
    assert_eq!(renewed.status, StatusCode::SEE_OTHER);
    assert_eq!(renewed.headers["location"], *path);
    let request = shown(&world, &request).await;
    let second = code(&request, 0);
    assert_ne!(first, second);
    let old = by_json(&world, &request, &json!(first)).await;
    assert_eq!(old.code(), "code_required");
    world.system.clock.advance(Duration::from_secs(1));
    assert_eq!(by_json(&world, &request, &json!(second)).await.status, StatusCode::OK);
    // A button that is pressed again issues nothing.
    world.visit(Method::POST, &path, "new_code=1").await;
    assert_eq!(code(&shown(&world, &request).await, 0), second);
}

#[tokio::test]
async fn code_is_shown_only_with_the_link() {
    let world = World::start().await;
    let request = asked(&world).await;
    let key = world.key_with(&[answerback::domain::Scope::RequestsRead]).await;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    let seen = world.call_with(Method::GET, &path, &headers, Value::Null).await.json();
    assert_eq!(seen["recipients"][0], json!({ "email": "a@example.com", "name": null }));
    let respond = json!({ "recipient": "a@example.com", "option": "yes" });
    let by_sender = world.call(Method::POST, &format!("{path}/responses"), respond).await;
    assert_eq!(by_sender.status, StatusCode::OK, "the sender needs no code");
}
