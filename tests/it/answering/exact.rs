//! Answers and metadata come back as they were sent: digits, lines, and links at the end of a
//! sentence.

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use system_tests::{Answer, World, token};

use super::question;

async fn post(world: &World, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    world.send(Method::POST, path, &headers, Bytes::from(body.to_owned())).await
}

#[tokio::test]
async fn numbers_come_back_with_their_digits() {
    let world = World::start().await;
    let metadata = r#"{"account":98765432109876543210, "price": 1.10,"a":[5.0]}"#;
    let asked = format!(
        r#"{{
            "title": "Amount?",
            "metadata": {metadata},
            "callback_url": "https://hooks.example.com/amounts",
            "fields": [
                {{"key": "n", "type": "number", "label": "N", "min": 0.10, "max": 90071992547409930}},
                {{"key": "d", "type": "number", "label": "D", "default": 9007199254740993}}
            ]
        }}"#
    );
    let created = post(&world, "/v1/requests", &asked).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    for text in
        [metadata, r#""min":0.10"#, r#""max":90071992547409930"#, r#""default":9007199254740993"#]
    {
        assert!(created.text().contains(text), "{text} in {}", created.text());
    }

    let path = format!("/v1/answers/{}", token(&created.json(), 0));
    let refused = post(&world, &path, r#"{"fields": {"n": 90071992547409930.5}}"#).await;
    assert_eq!(refused.json()["errors"][0]["detail"], "must be at most 90071992547409930");
    let answered = post(&world, &path, r#"{"fields": {"n": 1234567890.10}}"#).await;
    let recorded = r#""fields":{"d":9007199254740993,"n":1234567890.10}"#;
    assert!(answered.text().contains(recorded), "{}", answered.text());
    world.follow_hints().await;
    let body = String::from_utf8_lossy(&world.posts()[0].body).into_owned();
    assert!(body.contains(recorded) && body.contains(metadata), "{body}");
    let page = world.visit(Method::GET, &format!("/a/{}", token(&created.json(), 0)), "").await;
    assert!(page.text().contains("1234567890.10") && page.text().contains("9007199254740993"));
}

#[tokio::test]
async fn numbers_of_the_form_keep_their_digits() {
    let world = World::start().await;
    let fields = json!([{ "key": "n", "type": "number", "label": "N" }]);
    for (typed, recorded) in
        [("9007199254740993", "9007199254740993"), ("5", "5"), ("1.10", "1.10"), (" .5 ", "0.5")]
    {
        let request = world.create(json!({ "title": "T", "fields": fields })).await;
        world.send_form(&request, 0, &format!("option=submit&field.n={typed}")).await;
        let path = format!("/v1/answers/{}", token(&request, 0));
        let shown = world.visit(Method::GET, &path, "").await.text();
        assert!(shown.contains(&format!(r#""fields":{{"n":{recorded}}}"#)), "{shown}");
    }
}

#[tokio::test]
async fn numbers_of_a_ping_message_keep_their_digits() {
    let world = World::start().await;
    let made = world.call(Method::POST, "/v1/channels", json!({ "name": "Ops" })).await.json();
    let channel_token = made["token"].as_str().expect("a token");
    let message = r#"{"title": "T", "actions": [
        {"type": "button", "label": "Go", "key": "go"},
        {"type": "number", "label": "N", "key": "n", "max": 9007199254740993.50, "value": 1.10}
    ]}"#;
    let sent = post(&world, &format!("/v1/send/{channel_token}"), message).await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.text());
    let id = sent.json()["id"].as_str().expect("an id").replace("msg_", "req_");
    let shown = world.call(Method::GET, &format!("/v1/requests/{id}"), Value::Null).await;
    for text in [r#""max":9007199254740993.50"#, r#""default":1.10"#] {
        assert!(shown.text().contains(text), "{}", shown.text());
    }
}

#[tokio::test]
async fn link_works_at_the_end_of_a_sentence() {
    let world = World::start().await;
    let mut many = question();
    many["recipients"] = (0..40).map(|it| format!("u{it}@example.com")).collect();
    let request = world.create(many).await;
    for recipient in 0..40 {
        let token = token(&request, recipient);
        assert!(token.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit()), "{token}");
    }
    let token = token(&request, 0);
    for end in
        [".", ",", ")", "]", "%3E", "'", "%22", ";", "%E2%80%A6", "%20", "%E2%80%8B", ").", "%2F"]
    {
        for path in [format!("/a/{token}{end}"), format!("/v1/answers/{token}{end}")] {
            let opened = world.visit(Method::GET, &path, "").await;
            assert_eq!(opened.status, StatusCode::OK, "{path}");
        }
    }
    let answered = world.visit(Method::GET, &format!("/a/{token}x"), "").await;
    assert_eq!(answered.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn blank_text_does_not_answer_a_required_field() {
    let world = World::start().await;
    let fields = json!([{ "key": "why", "type": "text", "label": "Why", "required": true }]);
    let request = world.create(json!({ "title": "T", "fields": fields })).await;
    for blank in ["", "   ", "\u{200b}", "\u{3164}"] {
        let refused = world.answer(&request, 0, json!({ "fields": { "why": blank } })).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{blank:?}");
        assert_eq!(refused.json()["errors"][0]["detail"], "is required");
    }
    for blank in ["\u{200b}", "\u{3164}", "\u{2800}", " "] {
        for (body, pointer) in [
            (json!({ "title": blank, "fields": fields }), "/title"),
            (
                json!({ "title": "T", "options": [{ "value": "a", "label": blank }] }),
                "/options/0/label",
            ),
            (
                json!({ "title": "T", "fields": fields, "recipients": [{ "email": "a@example.com", "name": blank }] }),
                "/recipients/0/name",
            ),
        ] {
            let refused = world.call(Method::POST, "/v1/requests", body).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{blank:?}");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
            assert_eq!(refused.json()["errors"][0]["detail"], "must not be blank");
        }
    }
}

#[tokio::test]
async fn pasted_control_characters_are_left_out() {
    let world = World::start().await;
    let fields = json!([{ "key": "c", "type": "textarea", "label": "Comment" }]);
    for (pasted, kept) in [
        ("line one%0Bline two", "line oneline two"),
        ("page%0C", "page"),
        ("don%C2%92t", "dont"),
        ("a%0D%0Ab%09c", "a\nb\tc"),
    ] {
        let request = world.create(json!({ "title": "T", "fields": fields })).await;
        world.send_form(&request, 0, &format!("option=submit&field.c={pasted}")).await;
        let path = format!("/v1/answers/{}", token(&request, 0));
        let shown = world.visit(Method::GET, &path, "").await.json();
        assert_eq!(shown["response"]["fields"]["c"], kept);
    }
    let request = world.create(json!({ "title": "T", "fields": fields })).await;
    let answered = world.answer(&request, 0, json!({ "fields": { "c": "\u{1b}[31mred" } })).await;
    assert_eq!(answered.json()["response"]["fields"]["c"], "[31mred");

    let notice = json!({
        "user_emails": ["a@example.com"],
        "message": "Tests: \u{1b}[31mFAIL",
        "response_request": { "options": [{ "text": "Go", "value": "go" }] },
    });
    let refused = world.call(Method::POST, "/api/notify", notice).await;
    assert!(refused.text().contains("`/message` must not contain the control character"));
    assert!(refused.text().contains("(character 8)"), "{}", refused.text());
}
