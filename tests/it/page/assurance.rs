//! Forms that may not come from a person, and pages that are out of date.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World, nonce_of, token};

use super::{check_page, shown};

fn question(more: &Value) -> Value {
    let mut asked = json!({
        "title": "Deploy?",
        "recipients": ["a@example.com", "b@example.com"],
        "options": [
            { "value": "approve", "label": "Approve" },
            { "value": "reject", "label": "Reject", "style": "destructive" },
        ],
    });
    for (name, value) in more.as_object().expect("an object") {
        asked[name] = value.clone();
    }
    asked
}

fn path(request: &Value, recipient: usize) -> String {
    format!("/a/{}", token(request, recipient))
}

async fn nonce(world: &World, path: &str) -> String {
    let page = world.visit(Method::GET, path, "").await;
    nonce_of(&page.text()).expect("a form")
}

async fn send(world: &World, path: &str, option: &str, nonce: &str) -> Answer {
    world.visit(Method::POST, path, &format!("option={option}&nonce={nonce}")).await
}

#[track_caller]
fn check_second_step(page: &Answer) -> String {
    check_page(page, StatusCode::OK);
    let text = page.text();
    assert!(text.contains("You chose <bdi>") && text.contains(">Confirm</button>"), "{text}");
    nonce_of(&text).expect("its own nonce")
}

async fn option(world: &World, request: &Value, recipient: usize) -> Value {
    shown(world, request).await["responses"][recipient]["option"].clone()
}

#[tokio::test]
async fn form_decides_two_seconds_after_its_page_was_loaded() {
    let world = World::start().await;
    for (millis, is_recorded) in
        [(0, false), (1_999, false), (2_000, true), (43_200_000, true), (43_200_001, false)]
    {
        let request = world.create(question(&json!({}))).await;
        let path = path(&request, 0);
        let nonce = nonce(&world, &path).await;
        world.system.clock.advance(Duration::from_millis(millis));
        let sent = send(&world, &path, "approve", &nonce).await;
        if is_recorded {
            assert_eq!(sent.status, StatusCode::SEE_OTHER, "{millis}");
            assert_eq!(option(&world, &request, 0).await, "approve");
        } else {
            check_second_step(&sent);
            assert_eq!(option(&world, &request, 0).await, Value::Null, "{millis}");
        }
    }
}

#[tokio::test]
async fn form_without_a_nonce_of_its_page_needs_the_second_step() {
    let world = World::start().await;
    let request = world.create(question(&json!({ "timeout_seconds": 604_800 }))).await;
    let other = world.create(question(&json!({}))).await;
    let (own, of_another) = (path(&request, 0), path(&request, 1));
    let mut nonces = vec![String::new(), "0".repeat(44), "x".to_owned()];
    nonces.push(nonce(&world, &of_another).await);
    nonces.push(nonce(&world, &path(&other, 0)).await);
    let genuine = nonce(&world, &own).await;
    nonces.push(format!("{}0", &genuine[..43]));
    nonces.retain(|it| *it != genuine);
    world.system.clock.advance(Duration::from_secs(10));
    for nonce in &nonces {
        check_second_step(&send(&world, &own, "approve", nonce).await);
    }
    let without = world.visit(Method::POST, &own, "option=approve").await;
    let confirmation = check_second_step(&without);
    assert_eq!(option(&world, &request, 0).await, Value::Null);
    // The confirmation decides after a second.
    check_second_step(&send(&world, &own, "approve", &confirmation).await);
    world.system.clock.advance(Duration::from_secs(1));
    let confirmed = send(&world, &own, "approve", &confirmation).await;
    assert_eq!(confirmed.status, StatusCode::SEE_OTHER);
    assert_eq!(option(&world, &request, 0).await, "approve");
}

#[tokio::test]
async fn confirm_always_needs_the_second_step() {
    let world = World::start().await;
    let fields = json!([
        { "key": "why", "type": "textarea", "label": "Why" },
        { "key": "sure", "type": "toggle", "label": "Sure" },
    ]);
    let request =
        world.create(question(&json!({ "assurance": "confirm", "fields": fields }))).await;
    assert_eq!(request["assurance"], "confirm");
    let path = path(&request, 0);
    let loaded = nonce(&world, &path).await;
    world.system.clock.advance(Duration::from_mins(1));
    let form = format!("option=reject&field.why=Too+%3Cearly%3E&field.sure=true&nonce={loaded}");
    for _ in 0..2 {
        let first = world.visit(Method::POST, &path, &form).await;
        check_second_step(&first);
        let text = first.text();
        assert!(text.contains("Reject") && text.contains("Too &#60;early&#62;"), "{text}");
        assert!(text.contains(r#"class="destructive">Confirm"#), "{text}");
    }
    let first = world.visit(Method::POST, &path, &form).await;
    let confirmation = check_second_step(&first);
    world.system.clock.advance(Duration::from_millis(999));
    let form =
        format!("option=reject&field.why=Too+%3Cearly%3E&field.sure=true&nonce={confirmation}");
    check_second_step(&world.visit(Method::POST, &path, &form).await);
    world.system.clock.advance(Duration::from_millis(1));
    let confirmed = world.visit(Method::POST, &path, &form).await;
    assert_eq!(confirmed.status, StatusCode::SEE_OTHER);
    let row = &shown(&world, &request).await["responses"][0];
    assert_eq!(row["option"], "reject");
    assert_eq!(row["fields"], json!({ "why": "Too <early>", "sure": true }));
    // JSON is for programs, and stays one call.
    let answered = world.answer(&request, 1, json!({ "option": "approve" })).await;
    assert_eq!(answered.status, StatusCode::OK);
}

#[tokio::test]
async fn form_of_an_outdated_page_is_asked_again() {
    let world = World::start().await;
    let request = world.create(question(&json!({ "mode": "on_timeout" }))).await;
    let path = path(&request, 0);
    let old_tab = nonce(&world, &path).await;
    world.system.clock.advance(Duration::from_secs(5));
    assert_eq!(send(&world, &path, "approve", &old_tab).await.status, StatusCode::SEE_OTHER);
    world.system.clock.advance(Duration::from_secs(5));
    // A reload of the same form changes nothing.
    assert_eq!(send(&world, &path, "approve", &old_tab).await.status, StatusCode::SEE_OTHER);
    let asked_again = send(&world, &path, "reject", &old_tab).await;
    let confirmation = check_second_step(&asked_again);
    assert!(asked_again.text().contains("Your answer has changed"), "{}", asked_again.text());
    assert!(asked_again.text().contains("Your current answer"));
    assert_eq!(option(&world, &request, 0).await, "approve");
    world.system.clock.advance(Duration::from_secs(1));
    let confirmed = send(&world, &path, "reject", &confirmation).await;
    assert_eq!(confirmed.status, StatusCode::SEE_OTHER);
    assert_eq!(option(&world, &request, 0).await, "reject");
    let soon = send(&world, &path, "approve", &nonce(&world, &path).await).await;
    check_second_step(&soon);
}

#[tokio::test]
async fn link_with_an_option_shows_it_first_and_decides_nothing() {
    let world = World::start().await;
    let request = world.create(question(&json!({}))).await;
    let path = path(&request, 0);
    let chosen = world.visit(Method::GET, &format!("{path}?option=reject"), "").await;
    check_page(&chosen, StatusCode::OK);
    let text = chosen.text();
    assert!(text.contains("You chose <bdi>Reject</bdi>"), "{text}");
    assert!(!text.contains("Approve"), "{text}");
    assert_eq!(option(&world, &request, 0).await, Value::Null);
    for other in ["?option=perhaps", "?option=", "?x=1", "?%FF", "?option"] {
        let plain = world.visit(Method::GET, &format!("{path}{other}"), "").await;
        assert!(plain.text().contains("Approve") && plain.text().contains("Reject"), "{other}");
    }
    let nonce = nonce_of(&text).expect("a form");
    check_second_step(&send(&world, &path, "reject", &nonce).await);
    world.system.clock.advance(Duration::from_secs(2));
    let sent = send(&world, &format!("{path}?option=reject"), "reject", &nonce).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    assert_eq!(sent.headers["location"], *path);
}

#[tokio::test]
async fn form_that_changes_too_soon_is_shown_again() {
    let world = World::start().await;
    let request = world.create(question(&json!({ "mode": "on_timeout" }))).await;
    world.answer(&request, 0, json!({ "option": "approve" })).await;
    let path = path(&request, 0);
    let loaded = nonce(&world, &path).await;
    world.system.clock.advance(Duration::from_secs(2));
    world.answer(&request, 0, json!({ "option": "reject" })).await;
    world.answer(&request, 0, json!({ "option": "reject" })).await;
    let confirmation = check_second_step(&send(&world, &path, "approve", &loaded).await);
    world.system.clock.advance(Duration::from_millis(999));
    check_second_step(&send(&world, &path, "approve", &confirmation).await);
    let change = world.answer(&request, 0, json!({ "option": "approve" })).await;
    assert_eq!(change.status, StatusCode::TOO_MANY_REQUESTS);
}
