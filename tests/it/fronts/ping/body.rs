//! The content of a message as one of our requests.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::World;

use super::{answer, channel, request_id, send, sent, status};

#[tokio::test]
async fn buttons_are_options_fields_a_form_and_links_part_of_the_body() {
    let world = World::start().await;
    let token = &channel(&world).await["token"];
    let body = json!({
        "title": "Rate it",
        "body": "How was it?",
        "actions": [
            { "type": "select", "label": "Priority", "key": "priority", "value": "low", "options": [
                { "label": "Low", "value": "low" }, { "label": "High", "value": "high" },
            ] },
            { "type": "text", "label": "Comment", "key": "comment", "placeholder": "Say it" },
            { "type": "url", "label": "Logs [1]", "value": "https://ci.example.com/logs?a=(1)" },
            { "type": "number", "label": "Stars", "key": "stars", "min": 1, "max": 5 },
            { "type": "toggle", "label": "Again", "key": "again", "value": true },
            { "type": "button", "label": "Send" },
        ],
    });
    let message = sent(&world, token, &body.to_string()).await;
    let path = format!("/v1/requests/{}", request_id(&message));
    let request = world.call(Method::GET, &path, Value::Null).await.json();
    let link = r"[Logs \[1\]](<https://ci.example.com/logs?a=(1)>)";
    assert_eq!(request["body"], format!("How was it?\n\n{link}"));
    assert_eq!(request["options"], json!([{ "value": "Send", "label": "Send" }]));
    let page = format!("/a/{}", system_tests::token(&request, 0));
    let page = world.visit(Method::GET, &page, "").await.text();
    assert!(page.contains(r#"<a href="https://ci.example.com/logs?a=(1)""#), "{page}");
    assert!(page.contains(">Logs [1]</a>"), "{page}");

    let given = json!({ "option": "Send", "fields": { "comment": "Good", "stars": 5 } });
    assert_eq!(world.answer(&request, 0, given).await.status, StatusCode::OK);
    let read = status(&world, token, &message).await;
    let expected = json!({ "priority": "low", "comment": "Good", "stars": 5, "again": true });
    assert_eq!(read["result"]["responses"], expected);
    assert_eq!(read["result"]["triggered_by"], "Send");
}

#[tokio::test]
async fn message_without_buttons_gets_one_button() {
    let world = World::start().await;
    let token = &channel(&world).await["token"];
    let url = json!([{ "type": "url", "label": "Build", "value": "https://ci.example.com/7" }]);
    for body in [json!({ "title": "Hello" }), json!({ "title": "Hello", "actions": url })] {
        let message = sent(&world, token, &body.to_string()).await;
        assert_eq!(answer(&world, &message, "submit").await, StatusCode::OK);
        let read = status(&world, token, &message).await;
        assert_eq!(read["result"]["triggered_by"], "submit");
    }
    let form = json!({ "title": "Hello", "actions": [
        { "type": "text", "label": "Why", "key": "why" },
    ] });
    let message = sent(&world, token, &form.to_string()).await;
    assert_eq!(answer(&world, &message, "submit").await, StatusCode::OK);
}

#[tokio::test]
async fn errors_use_the_words_and_names_of_the_product() {
    let world = World::start().await;
    let token = &channel(&world).await["token"];
    let cases = [
        (json!({}), "`/title` is required"),
        (json!({ "title": "T", "body": 7 }), "`/body` must be a string"),
        (json!({ "title": "T", "actions": "a" }), "`/actions` must be an array"),
        (
            json!({ "title": "T", "actions": [
                { "type": "dance", "label": "Dance" },
                { "label": "Nothing" },
                { "type": "button", "label": "A", "key": "a" },
                { "type": "button", "label": "B", "key": "a", "style": "loud" },
                { "type": "number", "label": "N", "key": "n", "value": 0, "min": 1 },
                { "type": "select", "label": "S", "key": "s", "options": [] },
                { "type": "text", "label": "X" },
                { "type": "url", "label": "U", "value": "javascript:alert(1)" },
                { "type": "url", "label": "U", "value": "https://example.com/>" },
                { "type": "button" },
            ] }),
            "`/actions/0/type` must be one of button, select, text, number, toggle, url; \
             `/actions/1/type` is required; \
             `/actions/7/value` must be an http or https URL; \
             `/actions/8/value` must be an http or https URL; \
             `/actions/3/style` must be one of primary, secondary, destructive; \
             `/actions/3/key` is duplicated; \
             `/actions/9/key` is required; \
             `/actions/9/label` is required; \
             `/actions/4/value` must be at least 1; \
             `/actions/5/options` must not be empty; \
             `/actions/6/key` is required",
        ),
        (json!({ "title": "T", "callback_url": 7 }), "`/callback_url` must be a string"),
    ];
    for (body, error) in cases {
        let answer = send(&world, token, &body.to_string()).await;
        assert_eq!(answer.json(), json!({ "ok": false, "error": error }));
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    for body in ["{", "[]", r#"{ "title": "T", "callback_url": "http://example.com/" }"#] {
        let answer = send(&world, token, body).await;
        assert_eq!((answer.status, &answer.json()["ok"]), (StatusCode::BAD_REQUEST, &json!(false)));
    }
}
