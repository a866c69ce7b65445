//! Addresses of recipients: compared by mailbox, shown as given.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World};

async fn ask(world: &World, recipients: &[&str]) -> Answer {
    let options = json!([{ "value": "yes", "label": "Yes" }]);
    let body = json!({ "title": "T", "recipients": recipients, "options": options });
    world.call(Method::POST, "/v1/requests", body).await
}

#[tokio::test]
async fn two_spellings_of_a_mailbox_are_one_recipient() {
    let world = World::start().await;
    for (one, other) in [
        ("a@bücher.example", "A@xn--bcher-kva.example"),
        ("jose\u{301}@example.com", "JOSÉ@example.com"),
        ("ada@हिन्दी.भारत", "ada@xn--j2bd4cyah0f.xn--h2brj9c"),
    ] {
        let refused = ask(&world, &[one, other]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{one} {other}");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/recipients/1");

        let request = ask(&world, &[one]).await.json();
        assert_eq!(request["recipients"][0]["email"], one, "as given");
        let path = format!("/v1/requests/{}/responses", request["id"].as_str().expect("an id"));
        let body = json!({ "recipient": other, "option": "yes" });
        let answered = world.call(Method::POST, &path, body).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
        assert_eq!(answered.json()["responses"][0]["recipient"], one);
    }
}

#[tokio::test]
async fn text_that_hides_something_is_no_address() {
    let world = World::start().await;
    for text in [
        "ada\u{200b}@example.com",
        "\u{feff}ada@example.com",
        "\u{202e}ada@example.com",
        "mailto:ada@example.com",
        "ada@exam\u{ad}ple.com ",
    ] {
        let refused = ask(&world, &[text]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{text:?}");
        assert_eq!(refused.json()["errors"][0]["detail"], "must be an e-mail address");
    }
    let value = ask(&world, &["ada@example.com"]).await.json();
    assert_eq!(value["recipients"][0]["name"], Value::Null);
}
