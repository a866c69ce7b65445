//! An approval that is bound to an action: `ask --action-file` and `consume`, with the key of an agent.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    command::{Place, stack},
    load,
};
use crate::stack::{Stack, call};

const ACTION: &str = r#"{ "name": "deploy", "args": {"version": "v2.4.1", "share": 0.50} }"#;
/// Another spelling of the same action.
const SAME: &str = r#"{"args":{"share":5e-1,"version":"v2.4.\u0031"},"name":"deploy"}"#;
const OTHER: &str = r#"{ "name": "deploy", "args": {"version": "v2.4.2", "share": 0.50} }"#;

/// A place with the key of an agent, which sees no links and answers nothing.
async fn agent(stack: &Stack) -> Place {
    let key = json!({ "name": "agent", "scopes": ["requests:read", "requests:ask"] });
    let (status, key) = stack.call(Method::POST, "/v1/keys", key).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    let place = Place::with(&stack.base_url, key["key"].as_str().expect("a key"));
    place.file("action.json", ACTION);
    place.file("same.json", SAME);
    place.file("other.json", OTHER);
    place
}

/// Answers by the link, as the recipient.
async fn answer_by_link(stack: &Stack, id: &str) {
    let request = load(stack, id).await;
    let link = request["recipients"][0]["answer_url"].as_str().expect("a link");
    let answers = link.replace("/a/", "/v1/answers/");
    let (status, response) = call(Method::POST, &answers, &[], r#"{"option": "approve"}"#).await;
    assert_eq!(status, StatusCode::OK, "{response}");
}

#[tokio::test]
async fn approval_is_for_one_action_and_one_use() {
    let stack = stack();
    let place = agent(&stack).await;
    let ask = ["ask", "Deploy?", "--to", "ada@example.com", "--action-file", "action.json"];
    let flags = ["--consume-within", "10m", "--wait"];
    let mut asking = place.start(&[&ask[..], &flags].concat());
    let id = asking.id();
    let request = load(&stack, &id).await;
    assert_eq!(request["consume"]["within_seconds"], 600);

    let consume =
        |file, key| place.run(&["consume", &id, "--action-file", file, "--idempotency-key", key]);
    let early = consume("action.json", "deploy-7").with_code(124);
    assert!(early.stderr.contains("(409 not_decided)"), "{}", early.stderr);
    answer_by_link(&stack, &id).await;
    asking.end().await.with_code(0);

    let other = consume("other.json", "deploy-7").with_code(1);
    assert!(other.stderr.contains("(409 digest_mismatch)"), "{}", other.stderr);
    let digest = request["action"]["digest"].as_str().expect("a digest");
    for _ in 0..2 {
        // The same run again: its response may have been lost.
        let consumed = consume("same.json", "deploy-8").with_code(0);
        let expected = format!("consumed the approval {id} of {digest}; 0 uses remain\n");
        assert_eq!(consumed.stderr, expected);
    }
    let again = consume("action.json", "deploy-9").with_code(1);
    assert!(again.stderr.contains("(409 already_consumed)"), "{}", again.stderr);
    let shown = place.run(&["show", &id]).with_code(0).stdout;
    assert!(shown.contains(&format!("action    deploy ({digest})\n")), "{shown}");
}

#[tokio::test]
async fn silence_approves_no_action() {
    let stack = stack();
    let place = agent(&stack).await;
    let ask = ["ask", "Deploy?", "--deadline", "5s", "--on-deadline", "approve", "--wait"];
    let to = ["--to", "you@example.com", "--action-file", "action.json"];
    let mut asking = place.start(&[&ask[..], &to].concat());
    let id = asking.id();
    assert_eq!(asking.end().await.with_code(3).stdout, "approve\n");
    let refused = place.run(&["consume", &id, "--action-file", "action.json"]).with_code(1);
    assert!(refused.stderr.contains("(409 not_approved)"), "{}", refused.stderr);
    let file = place.file("double.json", r#"{"name": "a", "args": {"x": 1, "x": 2}}"#);
    let refused = place.run(&["ask", "Deploy?", "--action-file", file]).with_code(2);
    assert!(refused.stderr.contains("`x` is duplicated"), "{}", refused.stderr);
}

#[tokio::test]
async fn agent_logs_in_and_lists_only_what_it_asked() {
    let stack = stack();
    let place = agent(&stack).await;
    let options = json!([{ "value": "yes", "label": "Yes" }]);
    stack.create(json!({ "title": "Of the admin", "options": options })).await;
    let (_, key) = place.environment[1].clone();
    let login = Place::empty();
    let ended = login.run_with(&["login", "--url", &stack.base_url, "--with-key"], &key);
    let ended = ended.with_code(0);
    let expected = "`agent`, live mode, with requests:read, requests:ask\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    let id =
        login.run(&["ask", "Of the agent", "--to", "you@example.com", "--show-links"]).with_code(0);
    // The key sees no link, so there is none to show.
    assert!(!id.stderr.contains("/a/"), "{}", id.stderr);
    let shown = login.run(&["show", id.stdout.trim_end(), "--show-links"]).with_code(0);
    assert_eq!(shown.stderr, "this key sees no link of you@example.com\n");
    assert!(!shown.stdout.contains("link"), "{}", shown.stdout);
    let listed = login.run(&["list", "--json"]).with_code(0).stdout;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed.as_array().expect("a list").len(), 1);
    assert_eq!(listed[0]["title"], "Of the agent");
}
