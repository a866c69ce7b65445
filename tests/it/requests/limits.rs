//! Limits of a request, each at its end and just beyond.

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use system_tests::World;

use super::{WIDE, ask, asking, check_refused};

/// Largest body of a call, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

fn options(count: usize) -> Value {
    (0..count).map(|it| json!({ "value": it.to_string(), "label": "L" })).collect()
}

#[tokio::test]
async fn text_limits_count_characters() {
    let world = World::start().await;
    for (name, chars_max) in [("title", 200), ("body", 10_000), ("external_reference_id", 200)] {
        let longest = WIDE.repeat(chars_max);
        let request = world.create(asking(json!({ name: longest }))).await;
        assert_eq!(request[name], longest);
        let longer = longest + WIDE;
        check_refused(&world, asking(json!({ name: longer })), &[&format!("/{name}")]).await;
        check_refused(&world, asking(json!({ name: 1 })), &[&format!("/{name}")]).await;
    }
    for name in ["body", "external_reference_id"] {
        let request = world.create(asking(json!({ name: "" }))).await;
        assert_eq!(request[name], Value::Null, "an empty text counts as absent");
    }
    for title in ["", " \t ", "two\nlines", "a\u{0}b", "a\u{1b}[2Jb"] {
        check_refused(&world, asking(json!({ "title": title })), &["/title"]).await;
    }
    check_refused(&world, asking(json!({ "title": null })), &["/title"]).await;
}

#[tokio::test]
async fn request_has_at_most_100_distinct_recipients() {
    let world = World::start().await;
    let people = |n: usize| -> Value { (0..n).map(|it| format!("p{it}@example.com")).collect() };
    let request = world.create(asking(json!({ "recipients": people(100) }))).await;
    assert_eq!(request["responses"].as_array().map(Vec::len), Some(100));
    check_refused(&world, asking(json!({ "recipients": people(101) })), &["/recipients"]).await;
    world.create(asking(json!({ "recipients": [] }))).await;

    let (local, label) = ("l".repeat(64), "d".repeat(63));
    let longest = format!("{local}@{label}.{label}.{}.example.com", "d".repeat(49));
    assert_eq!(longest.len(), 254);
    let name = WIDE.repeat(200);
    let recipients = json!([
        longest,
        { "email": "N@Example.COM", "name": name },
        { "email": "björn@bücher.example", "name": "" },
    ]);
    let request = world.create(asking(json!({ "recipients": recipients }))).await;
    assert_eq!(request["recipients"][0]["email"], longest);
    assert_eq!(request["recipients"][1]["email"], "N@Example.COM");
    assert_eq!(request["recipients"][1]["name"], name);
    assert_eq!(request["recipients"][2]["name"], Value::Null, "an empty text counts as absent");

    let recipients = json!([
        "a@example.com",
        { "email": "A@EXAMPLE.com" },
        "nobody",
        { "email": format!("{longest}m") },
        { "email": format!("l{local}@example.com") },
        format!("a@{label}d.com"),
        { "name": "Nobody" },
        { "email": "b@example.com", "name": format!("{name}{WIDE}") },
        { "email": "c@example.com", "mail": "c@example.com" },
        7,
        { "email": "two@example.com,three@example.com" },
        " d@example.com",
    ]);
    let places = [
        "/recipients/1/email",
        "/recipients/2",
        "/recipients/3/email",
        "/recipients/4/email",
        "/recipients/5",
        "/recipients/6/email",
        "/recipients/7/name",
        "/recipients/8/mail",
        "/recipients/9",
        "/recipients/9/email",
        "/recipients/10/email",
        "/recipients/11",
    ];
    check_refused(&world, asking(json!({ "recipients": recipients })), &places).await;
    check_refused(&world, asking(json!({ "recipients": "a@b.com" })), &["/recipients"]).await;
}

#[tokio::test]
async fn request_has_at_most_ten_distinct_options() {
    let world = World::start().await;
    world.create(asking(json!({ "options": options(10) }))).await;
    check_refused(&world, asking(json!({ "options": options(11) })), &["/options"]).await;

    let (value, label) = (WIDE.repeat(100), WIDE.repeat(75));
    let longest = json!([{ "value": value, "label": label, "style": null }]);
    let request = world.create(asking(json!({ "options": longest }))).await;
    assert_eq!(request["options"], json!([{ "value": value, "label": label }]));

    let options = json!([
        { "value": format!("{value}{WIDE}"), "label": format!("{label}{WIDE}") },
        { "value": "", "label": "" },
        { "value": "a", "label": "A" },
        { "value": "a", "label": "B", "style": "loud" },
        {},
        { "value": "A", "label": "A", "colour": "red" },
        "yes",
    ]);
    let places = [
        "/options/0/value",
        "/options/0/label",
        "/options/1/value",
        "/options/1/label",
        "/options/3/style",
        "/options/3/value",
        "/options/4/value",
        "/options/4/label",
        "/options/5/colour",
        "/options/6",
        "/options/6/value",
        "/options/6/label",
    ];
    check_refused(&world, asking(json!({ "options": options })), &places).await;
    check_refused(&world, json!({ "title": "Go?" }), &["/options"]).await;
    check_refused(&world, json!({ "title": "Go?", "options": [], "fields": [] }), &["/options"])
        .await;
}

#[tokio::test]
async fn metadata_is_limited_to_4_kib_and_returned_unchanged() {
    let world = World::start().await;
    let with_bytes = |n: usize| json!({ "a": "x".repeat(n - r#"{"a":""}"#.len()) });
    let request = world.create(asking(json!({ "metadata": with_bytes(4096) }))).await;
    assert_eq!(request["metadata"], with_bytes(4096));
    check_refused(&world, asking(json!({ "metadata": with_bytes(4097) })), &["/metadata"]).await;
    for none in [json!([]), json!("a"), json!(1)] {
        check_refused(&world, asking(json!({ "metadata": none })), &["/metadata"]).await;
    }
    let odd = json!({ "": { "ü": [1.5, -0.25, 9_007_199_254_740_993_i64, true, null, "\u{0}"] } });
    let request = world.create(asking(json!({ "metadata": odd }))).await;
    assert_eq!(request["metadata"], odd);
}

#[tokio::test]
async fn request_is_limited_to_64_kib_and_a_body_to_256() {
    let world = World::start().await;
    // 20 fields of 50 choices of 16 bytes and more: 64,000 characters, plus punctuation.
    let choices: Value =
        (0..50).map(|it| json!({ "value": format!("{it:02}"), "label": "label" })).collect();
    let fields = |label: &str| -> Value {
        let field = |it: usize| json!({ "key": it.to_string(), "type": "select", "label": label, "choices": choices });
        (0..20).map(field).collect()
    };
    world.create(json!({ "title": "Go?", "fields": fields("L") })).await;
    let body = WIDE.repeat(10_000);
    let too_much = json!({ "title": "Go?", "body": body, "fields": fields("L") });
    check_refused(&world, too_much, &[""]).await;

    let bearer = format!("Bearer {}", world.key);
    let mut text = asking(json!({})).to_string();
    text += &" ".repeat(BODY_BYTES_MAX - text.len());
    for (text, status) in
        [(text.clone(), StatusCode::CREATED), (text + " ", StatusCode::PAYLOAD_TOO_LARGE)]
    {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = world.send(Method::POST, "/v1/requests", &headers, Bytes::from(text)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test]
async fn unknown_field_is_refused_at_any_depth() {
    let world = World::start().await;
    let body = asking(json!({
        "recipients": [{ "email": "a@example.com", "x": 1 }],
        "fields": [
            { "key": "k", "type": "text", "label": "L", "x": 1 },
            {
                "key": "s", "type": "select", "label": "L", "x": 1,
                "choices": [{ "value": "a", "label": "A", "x": 1 }],
            },
        ],
        "quorum": { "count": 1, "x": 1 },
        "on_deadline": { "kind": "expire", "x": 1 },
        "callback_url": "https://hooks.example.com/",
        "callback": { "retry": { "delays_seconds": [], "x": 1 }, "x": 1 },
        "read": { "x": 1 },
        "timeout_second": 1,
        "Title": "Go?",
    }));
    let places = [
        "/recipients/0/x",
        "/fields/0/x",
        "/fields/1/choices/0/x",
        "/fields/1/x",
        "/quorum/x",
        "/on_deadline/x",
        "/callback/retry/x",
        "/callback/x",
        "/read/x",
        "/Title",
        "/timeout_second",
    ];
    check_refused(&world, body, &places).await;
    let answer = ask(&world, asking(json!({ "x": null }))).await;
    assert_eq!(super::faults(&answer), ["/x"], "an unknown field is refused with null too");
}
