//! The log on stderr with the default filter: it contains no secret, and records who used one.

use std::{io::Read as _, process::Stdio};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::{Receiver, Stack, answer_on_page, answerback, call, ready, until};

const BEARER: &str = "canary-bearer-0123456789";
const HEADER: &str = "canary-header-0123456789";
const WRONG_KEY: &str = "ab_live_00000000000000000000000000_canarywrongkey0123456789";
const WRONG_LINK: &str = "canarywronglink0123456789canarywronglink";

/// Makes a call that must succeed, and returns the response.
async fn succeed(stack: &Stack, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = stack.call(method, path, body).await;
    assert!(status.is_success(), "{path}: {answer}");
    answer
}

/// The confidential part of a secret, a key or a link.
fn random_part(value: &Value) -> String {
    let text = value.as_str().expect("a revealed value");
    let text = text.rsplit_once("/a/").map_or(text, |it| it.1);
    if text.starts_with("ab_") {
        return text.splitn(4, '_').nth(3).expect("a prefix and an identifier").to_owned();
    }
    text.trim_start_matches("whsec_").to_owned()
}

/// Uses secrets of each kind, and returns them.
async fn use_secrets(stack: &Stack, receiver: &Receiver) -> Vec<String> {
    let mut canaries = [BEARER, HEADER, WRONG_KEY, WRONG_LINK].map(str::to_owned).to_vec();
    canaries.push(random_part(&stack.api_key.clone().into()));
    let mut keep = |value: &Value| canaries.push(random_part(value));

    let webhook = json!({
        "id": "orders", "url": receiver.url,
        "headers": { "x-team": HEADER }, "auth": { "type": "bearer", "token": BEARER },
    });
    keep(&succeed(stack, Method::POST, "/v1/webhooks", webhook).await["secret"]);
    let channel = json!({ "name": "Deploys" });
    let channel = succeed(stack, Method::POST, "/v1/channels", channel).await;
    keep(&channel["secret"]);
    keep(&channel["token"]);
    for path in ["/v1/secret", "/v1/webhooks/orders/secret"] {
        let reveal = format!("{path}?reveal=true");
        keep(&succeed(stack, Method::GET, &reveal, Value::Null).await["secret"]);
        let rotate = format!("{path}/rotate");
        let overlap = json!({ "overlap_seconds": 60 });
        keep(&succeed(stack, Method::POST, &rotate, overlap).await["secret"]);
    }
    let key = json!({ "scopes": ["requests:read"] });
    let key = succeed(stack, Method::POST, "/v1/keys", key).await["key"].clone();
    keep(&key);

    let request = stack
        .create(json!({
            "title": "Deploy?",
            "options": [{ "value": "yes", "label": "Yes" }],
            "callback_url": receiver.url,
            "callback": { "auth": { "type": "bearer", "token": BEARER } },
        }))
        .await;
    let link = &request["recipients"][0]["answer_url"];
    keep(link);
    let link = link.as_str().expect("a link");
    let nonce = answer_on_page(link, "yes").await;
    keep(&nonce.into());

    let key = key.as_str().expect("a revealed value");
    for (key, status) in [(key, StatusCode::FORBIDDEN), (WRONG_KEY, StatusCode::UNAUTHORIZED)] {
        let bearer = format!("Bearer {key}");
        let url = format!("{}/v1/secret?reveal=true", stack.base_url);
        let (refused, _) = call(Method::GET, &url, &[("authorization", &bearer)], "").await;
        assert_eq!(refused, status);
    }
    let url = format!("{}/a/{WRONG_LINK}", stack.base_url);
    assert_eq!(call(Method::GET, &url, &[], "").await.0, StatusCode::NOT_FOUND);
    canaries
}

#[tokio::test]
async fn log_has_no_secret_and_records_who_used_one() {
    let receiver = Receiver::start(500).await;
    let mut program = answerback(&["--memory", "--port", "0", "--json"]);
    program.env_remove("RUST_LOG").stderr(Stdio::piped());
    let (mut child, line) = ready(&mut program, |_| true);
    let mut stderr = child.stderr.take().expect("stderr is piped");
    // Read continuously, so the program never waits for room in the pipe.
    let reading = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).map(|_| log)
    });
    let stack = Stack::of(child, serde_json::from_str(&line).expect("JSON"));
    let account = stack.ready["account_id"].as_str().expect("an account").to_owned();
    let key = stack.api_key.split('_').nth(2).expect("a key's identifier").to_owned();

    let canaries = use_secrets(&stack, &receiver).await;
    until("the receiver has refused all attempts", async || {
        (receiver.arrived().len() >= 4).then_some(())
    })
    .await;
    assert_eq!(stack.interrupt().await, Some(0));

    let log = reading.join().expect("reading does not panic").expect("UTF-8");
    assert!(log.contains("attempted a delivery"), "attempts are logged: {log}");
    for canary in &canaries {
        assert!(canary.len() >= 16, "{canary} is too short to search for");
        assert!(!log.contains(canary.as_str()), "{canary} is in\n{log}");
    }
    let audit: Vec<&str> = log.lines().filter(|it| it.contains(" audit: ")).collect();
    for action in [
        "created a webhook",
        "created a channel",
        "created a key",
        "revealed",
        "revealed the secret of a webhook",
        "rotated",
        "rotated the secret of a webhook",
    ] {
        let entry = format!("audit: {action} account.id={account} key.id=key_{key} what=");
        assert!(audit.iter().any(|it| it.contains(&entry)), "missing {entry}\n{audit:#?}");
    }
    let refused = format!("lacked a scope account.id={account} key.id=key_");
    let refused: Vec<_> = audit.iter().filter(|it| it.contains(&refused)).collect();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("secrets:read") && !refused[0].contains(&key), "{refused:?}");
}
