//! What a person sees who opens an address of ours that is no answer link.

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde_json::json;
use system_tests::{Answer, World, token};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

async fn visit(world: &World, path: &str) -> Answer {
    world.send(Method::GET, path, &[BROWSER], Bytes::new()).await
}

/// Checks that a response is a page, with the headers of all pages.
#[track_caller]
fn check_page(page: &Answer, status: StatusCode, text: &str) {
    assert_eq!(page.status, status, "{}", page.text());
    assert!(page.text().contains(text), "{}", page.text());
    for (name, expected) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("strict-transport-security", "max-age=31536000"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(page.headers[name], expected, "{name}");
    }
    assert!(page.headers["permissions-policy"].to_str().is_ok_and(|it| it.contains("camera=()")));
}

#[tokio::test]
async fn address_of_the_service_says_what_runs_here() {
    let world = World::start().await;
    check_page(&visit(&world, "/").await, StatusCode::OK, "href=\"/openapi.json\"");
    let program = world.send(Method::GET, "/", &[], Bytes::new()).await;
    let expected =
        json!({ "service": "answerback", "openapi": "/openapi.json", "health": "/v1/health" });
    assert_eq!(program.json(), expected);
    let icon = visit(&world, "/favicon.ico").await;
    assert_eq!((icon.status, &icon.bytes[..4]), (StatusCode::OK, &b"<svg"[..]));
    assert_eq!(icon.headers["content-type"], "image/svg+xml");
}

#[tokio::test]
async fn wrong_address_is_a_page_in_a_browser_and_json_in_a_program() {
    let world = World::start().await;
    for path in ["/a/", "/a/x", "/a/x/y", "/a/%ff"] {
        check_page(&visit(&world, path).await, StatusCode::NOT_FOUND, "This link does not work");
        let program = world.send(Method::GET, path, &[], Bytes::new()).await;
        check_page(&program, StatusCode::NOT_FOUND, "This link does not work");
    }
    for path in ["/a", "/other", "/inbox/", "/%ff"] {
        check_page(&visit(&world, path).await, StatusCode::NOT_FOUND, "Page not found");
        let program = world.send(Method::GET, path, &[], Bytes::new()).await;
        assert_eq!(program.code(), "not_found", "{path}");
    }
    // The API is for programs, some of which send the `Accept` of a browser.
    for path in ["/v1/requests/x", "/v1/other"] {
        let answer = visit(&world, path).await;
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
    }
    let head = world.send(Method::HEAD, "/other", &[BROWSER], Bytes::new()).await;
    assert_eq!((head.status, head.bytes.len()), (StatusCode::NOT_FOUND, 0));
}

#[tokio::test]
async fn answer_link_with_a_slash_leads_to_the_link() {
    let world = World::start().await;
    let option = json!({ "value": "yes", "label": "Yes" });
    let request = world.create(json!({ "title": "Go?", "options": [option] })).await;
    let link = format!("/a/{}", token(&request, 0));
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let answer = world.visit(method, &format!("{link}/"), "option=yes").await;
        assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(answer.headers["location"], link);
    }
    check_page(&visit(&world, &link).await, StatusCode::OK, "Go?");
}

#[tokio::test]
async fn form_that_cannot_be_read_gets_a_page() {
    let world = World::start().await;
    let field = json!({ "key": "c", "type": "textarea", "label": "Comment" });
    let request = world.create(json!({ "title": "Go?", "fields": [field] })).await;
    let link = format!("/a/{}", token(&request, 0));
    let form = format!("option=submit&field.c={}", "a".repeat(270_000));
    let answer = world.visit(Method::POST, &link, &form).await;
    check_page(&answer, StatusCode::PAYLOAD_TOO_LARGE, "Your answer is too long");
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-16")];
    let answer = world.send(Method::POST, &link, &headers, Bytes::from("option=submit")).await;
    check_page(&answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, "could not be read");
    let answer = world.send(Method::PUT, &link, &[], Bytes::new()).await;
    check_page(&answer, StatusCode::METHOD_NOT_ALLOWED, "This did not work");
    assert_eq!(answer.headers["allow"], "GET, HEAD, POST");
}
