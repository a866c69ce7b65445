//! The local stack on a developer's machine: web pages and other users stay out, and it ends when it
//! is asked to.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stack::{Reaction, Receiver, Stack, answerback, run, text, until};

/// Longest time from the signal to the end of a process that is busy.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Sends exactly this head to a server, and returns the response.
async fn send(url: &str, head: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    let head = head.replace("HOST", address).replace('\n', "\r\n");
    let call = format!("{head}\r\nconnection: close\r\n\r\n");
    connection.write_all(call.as_bytes()).await.expect("it reads");
    let mut response = String::new();
    connection.read_to_string(&mut response).await.expect("it responds");
    response
}

#[track_caller]
fn check_status(response: &str, status: u16) {
    assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
}

#[tokio::test]
async fn web_page_reaches_neither_the_data_nor_the_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(folder.path(), &[]);
    let aws = stack.ready["aws_endpoint"].as_str().expect("an endpoint");
    let scan = "POST / HTTP/1.1\nhost: HOST\ncontent-length: 0\n\
                x-amz-target: DynamoDB_20120810.Scan\ncontent-type: application/x-amz-json-1.0";
    for (url, head) in [
        (aws, format!("{scan}\norigin: https://evil.example")),
        (aws, format!("{scan}\nsec-fetch-site: cross-site")),
        (aws, scan.replace("HOST", "evil.example")),
        // Programs of other users have no credentials.
        (aws, scan.to_owned()),
        (
            aws,
            format!(
                "{scan}\nauthorization: AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
            ),
        ),
        (&*stack.base_url, "GET /inbox HTTP/1.1\nhost: evil.example".to_owned()),
        (&stack.base_url, "GET /outbox HTTP/1.1\nhost: evil.example".to_owned()),
        (
            &stack.base_url,
            "GET /outbox/1/html HTTP/1.1\nhost: HOST\nsec-fetch-site: cross-site\n\
             sec-fetch-mode: navigate\nsec-fetch-dest: iframe"
                .to_owned(),
        ),
        (
            &stack.base_url,
            "GET /inbox HTTP/1.1\nhost: HOST\norigin: https://evil.example".to_owned(),
        ),
        (
            &stack.base_url,
            "POST /inbox HTTP/1.1\nhost: HOST\ncontent-length: 0\nsec-fetch-site: cross-site"
                .to_owned(),
        ),
        (&stack.base_url, "GET /v1/health HTTP/1.1\nhost: HOST\norigin: null".to_owned()),
    ] {
        let response = send(url, &head).await;
        check_status(&response, 403);
        assert!(!response.to_lowercase().contains("access-control-"), "{response}");
    }
    let preflight = "OPTIONS / HTTP/1.1\nhost: HOST\norigin: https://evil.example\n\
                     access-control-request-method: POST";
    let response = send(aws, preflight).await;
    check_status(&response, 403);
    assert!(!response.to_lowercase().contains("access-control-"), "{response}");
}

#[tokio::test]
async fn local_programs_pages_and_links_still_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(folder.path(), &[]);
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\nhost: HOST{more}");
    let link = "\nsec-fetch-site: cross-site\nsec-fetch-mode: navigate\nsec-fetch-dest: document";
    for (path, more, status) in [
        ("/v1/health", "", 200),
        ("/inbox/", link, 200),
        ("/outbox/", link, 200),
        ("/outbox/unknown", link, 404),
        ("/a/unknown", link, 404),
        // The path that pages of every origin may call.
        ("/v1/answers/unknown", "\norigin: https://app.example", 404),
    ] {
        check_status(&send(&stack.base_url, &get(path, more)).await, status);
    }
    let environment = fs::read_to_string(folder.path().join("functions.env")).expect("a file");
    let secret = stack.ready["aws_secret_access_key"].as_str().expect("a secret");
    assert!(secret.len() >= 40 && environment.contains(secret), "{environment}");
}

#[tokio::test]
async fn call_without_an_address_is_refused_by_the_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(folder.path(), &[]);
    for head in ["OPTIONS * HTTP/1.1\nhost: HOST", "GET /v1/health HTTP/1.1\nhost: localhost:99999"]
    {
        let response = send(&stack.base_url, head).await;
        check_status(&response, 400);
        assert!(response.contains("Bad Request"), "{response}");
    }
    check_status(
        &send(&stack.base_url, "GET /v1/health HTTP/1.1\nhost: x.example:99999").await,
        403,
    );
    check_status(&send(&stack.base_url, "GET /v1/health HTTP/1.1\nhost: HOST").await, 200);
}

#[tokio::test]
async fn files_are_private_in_a_folder_that_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let stack = Stack::start(folder.path(), &[]);
    stack.create(json!({ "title": "T", "options": [{ "value": "a", "label": "A" }] })).await;
    let mut n_files = 0;
    for file in fs::read_dir(folder.path()).expect("a folder") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("it exists").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
        n_files += 1;
    }
    assert!(n_files >= 5, "only {n_files} files");
}

/// The output of a start that fails.
fn failed_start(folder: &Path) -> String {
    let folder = folder.to_str().expect("UTF-8");
    let output = run(&mut answerback(&["--json", "--port", "0", "--data-dir", folder]));
    assert!(!output.status.success());
    text(&output.stderr).to_owned()
}

#[tokio::test]
async fn data_that_cannot_be_used_is_named_with_advice() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(Stack::start(folder.path(), &[]).interrupt().await, Some(0));
    let (key, database) = (folder.path().join("secrets.key"), folder.path().join("aws.sqlite"));
    let kept = fs::read(&key).expect("the key");
    fs::remove_file(&key).expect("it is ours");
    let error = failed_start(folder.path());
    assert!(error.contains("`secrets.key` is missing"), "{error}");
    assert!(!key.exists(), "a new key would open no secret");
    fs::write(&key, kept).expect("it is ours");
    assert_eq!(Stack::start(folder.path(), &[]).interrupt().await, Some(0));
    fs::write(&database, "garbage ".repeat(1_000)).expect("it is ours");
    let error = failed_start(folder.path());
    assert!(error.contains("is damaged") && !error.contains("encrypt"), "{error}");
}

#[tokio::test]
async fn busy_stack_ends_within_seconds() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(folder.path(), &[]);
    let slow = || Reaction { status: 204, delay: Duration::from_mins(1) };
    let receiver = Receiver::reacting(slow).await;
    let callback = json!({ "probe": "skip", "timeout_seconds": 20 });
    for _ in 0..20 {
        let event = json!({
            "type": "run.done",
            "data": {},
            "callback_url": receiver.url,
            "callback": callback,
        });
        let (status, accepted) = stack.call(Method::POST, "/v1/events", event).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    }
    until("callbacks are in flight", async || (receiver.n_arrived() > 0).then_some(())).await;
    // A long poll, too.
    let request =
        stack.create(json!({ "title": "T", "options": [{ "value": "a", "label": "A" }] })).await;
    let path = format!("/v1/requests/{}?wait=25", request["id"].as_str().expect("an id"));
    let (url, key) = (format!("{}{path}", stack.base_url), format!("Bearer {}", stack.api_key));
    let poll = tokio::spawn(async move {
        let headers = [("authorization", key.as_str())];
        crate::stack::try_call(Method::GET, &url, &headers, "").await
    });
    let began = Instant::now();
    assert_eq!(stack.interrupt().await, Some(0));
    assert!(began.elapsed() < STOP_MAX, "it took {:?}", began.elapsed());
    drop(poll);
    // All of it is still there.
    let stack = Stack::start(folder.path(), &[]);
    let (_, list) = stack.call(Method::GET, "/v1/events?limit=100", Value::Null).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(20));
}
