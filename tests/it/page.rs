//! The page behind an answer link, as a browser receives it.

mod assurance;
mod code;
mod words;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World, token};

/// A question to one recipient, with a form.
fn question() -> Value {
    json!({
        "title": "Deploy <v2.4.1>?",
        "body": "See the [notes](https://example.com/notes).",
        "recipients": [{ "email": "a@example.com", "name": "Ann" }],
        "options": [
            { "value": "approve", "label": "Approve", "style": "primary" },
            { "value": "reject", "label": "Reject", "style": "destructive" },
        ],
        "fields": [
            { "key": "why", "type": "textarea", "label": "Why", "required": true },
            { "key": "n", "type": "number", "label": "How many", "max": 3 },
        ],
    })
}

async fn shown(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::GET, &path, Value::Null).await.json()
}

/// Checks the headers that every page must have.
#[track_caller]
fn check_page(page: &Answer, status: StatusCode) {
    assert_eq!(page.status, status, "{}", page.text());
    let header = |name: &str| page.headers[name].to_str().expect("ASCII").to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("x-frame-options"), "DENY");
    let policy = header("content-security-policy");
    for rule in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn sent_form_shows_the_recorded_answer() {
    let world = World::start().await;
    let request = world.create(question()).await;
    let path = format!("/a/{}", token(&request, 0));
    let page = world.visit(Method::GET, &path, "").await;
    check_page(&page, StatusCode::OK);
    let text = page.text();
    assert!(text.contains("Deploy &#60;v2.4.1&#62;?"), "{text}");
    for active in ["<script ", "src=", "<img", "<link", "url("] {
        assert!(!text.contains(active), "{active}");
    }

    let form = "field.why=Fully+tested%21&field.n=2&option=approve";
    let sent = world.send_form(&request, 0, form).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    assert_eq!(sent.headers["location"], *path);
    assert!(sent.bytes.is_empty());
    let done = world.visit(Method::GET, &path, "").await;
    check_page(&done, StatusCode::OK);
    assert!(done.text().contains("Your answer was recorded"));
    assert!(done.text().contains("Fully tested!"));
    let response = &shown(&world, &request).await["responses"][0];
    assert_eq!(response["option"], "approve");
    assert_eq!(response["fields"], json!({ "why": "Fully tested!", "n": 2 }));

    let again = world.visit(Method::POST, &path, "field.why=No&option=reject").await;
    check_page(&again, StatusCode::CONFLICT);
    assert!(again.text().contains("Your first answer counts"));
    assert!(again.text().contains("Fully tested!"));
    assert!(
        again.text().contains("What you wrote")
            && again.text().contains("<dd dir=\"auto\">No</dd>")
    );
    let equal = world.visit(Method::POST, &path, form).await;
    assert_eq!(equal.status, StatusCode::SEE_OTHER, "a reload or a double click");
    let back = world.visit(Method::GET, &path, "").await;
    check_page(&back, StatusCode::OK);
    assert!(back.text().contains("Fully tested!"));
    assert_eq!(&shown(&world, &request).await["responses"][0], response);
}

#[tokio::test]
async fn refused_form_keeps_the_input() {
    let world = World::start().await;
    let request = world.create(question()).await;
    let path = format!("/a/{}", token(&request, 0));
    for (form, fault) in [
        ("field.why=Because+%26+so&field.n=many&option=approve", "must be a number"),
        ("field.why=Because+%26+so&field.n=many&option=", "must be a number"),
        ("field.why=Because+%26+so&field.n=many&option=perhaps", "Your answer was not recorded"),
    ] {
        let page = world.visit(Method::POST, &path, form).await;
        check_page(&page, StatusCode::UNPROCESSABLE_ENTITY);
        let text = page.text();
        assert!(text.contains("Because &#38; so"), "{text}");
        assert!(text.contains(r#"value="many""#), "{text}");
        assert!(text.contains(fault), "{text}");
    }
    let missing = world.visit(Method::POST, &path, "field.why=&field.n=3&option=reject").await;
    check_page(&missing, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(missing.text().contains(r#"value="3""#));
    assert_eq!(shown(&world, &request).await["responses"][0]["answered_at"], Value::Null);
}

#[tokio::test]
async fn opening_the_page_records_no_answer() {
    let world = World::start().await;
    let mut asked = question();
    asked["fields"] = json!([]);
    let request = world.create(asked).await;
    let token = token(&request, 0);
    let preview = [("user-agent", "LinkPreview/1.0"), ("x-purpose", "preview")];
    for query in ["", "?option=approve", "?utm_source=mail&option=reject&field.why=1"] {
        for path in [format!("/a/{token}{query}"), format!("/v1/answers/{token}{query}")] {
            let look = world.send(Method::GET, &path, &preview, "option=approve".into()).await;
            assert_eq!(look.status, StatusCode::OK, "{path}");
            let head = world.send(Method::HEAD, &path, &preview, "".into()).await;
            assert_eq!(head.status, StatusCode::OK, "{path}");
            assert!(head.bytes.is_empty());
            assert_eq!(head.headers["cache-control"], "no-store");
        }
    }
    let untouched = shown(&world, &request).await;
    assert_eq!(untouched, request);
    let page = format!("/a/{token}");
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let refused = world.send(method, &page, &[], "option=approve".into()).await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(shown(&world, &request).await, request);
}

#[tokio::test]
async fn invalid_or_late_link_shows_an_error_page() {
    let world = World::start().await;
    let unknown = format!("/a/{}", "0".repeat(53));
    for method in [Method::GET, Method::POST] {
        let page = world.visit(method, &unknown, "option=approve").await;
        check_page(&page, StatusCode::NOT_FOUND);
        assert!(page.text().contains("This link does not work"));
    }
    let request = world.create(question()).await;
    let path = format!("/a/{}", token(&request, 0));
    let cancel = format!("/v1/requests/{}/cancel", request["id"].as_str().expect("an id"));
    world.call(Method::POST, &cancel, json!({ "reason": "<b>Too late" })).await;
    for method in [Method::GET, Method::POST] {
        let page = world.visit(method.clone(), &path, "field.why=Late&option=approve").await;
        check_page(&page, StatusCode::GONE);
        assert!(page.text().contains("This question was withdrawn"));
        assert!(
            page.text().contains("Reason: <q><bdi>&#60;b&#62;Too late</bdi></q>"),
            "{}",
            page.text()
        );
        let is_kept = page.text().contains("What you wrote") && page.text().contains("Late");
        assert_eq!(is_kept, method == Method::POST);
    }
    let erase = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.call(Method::DELETE, &erase, Value::Null).await;
    for method in [Method::GET, Method::POST] {
        let page = world.visit(method, &path, "field.why=Late&option=approve").await;
        check_page(&page, StatusCode::NOT_FOUND);
        assert!(!page.text().contains("v2.4.1"));
    }
}
