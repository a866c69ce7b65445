//! Failures between the command and the server, played by a server that follows a script.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::command::Place;
use crate::stack::pause;

/// The id of the request that the servers of a script have.
pub(crate) const ID: &str = "req_01jd0000000000000000000000";

/// A server that answers each call with the next response of its script, byte for byte.
pub(crate) struct Scripted {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Starts a server. An empty response closes the connection.
    pub(crate) async fn start(script: Vec<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let server = Self { url, calls: Arc::default() };
        let calls = Arc::clone(&server.calls);
        let mut script = VecDeque::from(script);
        tokio::spawn(async move {
            while let (Some(response), Ok((mut stream, _))) =
                (script.pop_front(), listener.accept().await)
            {
                let call = read_call(&mut stream).await;
                calls.lock().expect("no holder panics").push(call);
                // The client may be gone already.
                let _ = stream.write_all(response.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        server
    }

    /// The calls that arrived, with their heads.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no holder panics").clone()
    }
}

/// Reads a whole call.
async fn read_call(stream: &mut TcpStream) -> String {
    let mut call = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let n_bytes = stream.read(&mut chunk).await.expect("a call");
        call.extend_from_slice(&chunk[..n_bytes]);
        let text = String::from_utf8_lossy(&call).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length = length.split_once("content-length: ").map_or("0", |it| it.1);
        let length: usize = length.lines().next().and_then(|it| it.parse().ok()).expect("a number");
        if n_bytes == 0 || body.len() >= length {
            return text;
        }
    }
}

/// A response with a JSON body.
pub(crate) fn respond(status: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

/// A problem with this code.
pub(crate) fn refuse(status: &str, headers: &str, code: &str) -> String {
    respond(status, headers, &json!({ "code": code, "detail": format!("because of {code}") }))
}

/// A request with an answer if it has ended.
fn request(status: &str) -> Value {
    let decision = (status == "finished").then_some("approve");
    json!({
        "id": ID, "status": status, "outcome": decision.map(|_| "completed"),
        "decided_by": decision.map(|_| "recipients"), "decision": decision, "title": "Deploy?",
        "options": [{ "value": "approve" }, { "value": "reject" }],
        "recipients": [{ "email": null, "answer_url": "https://answerback.example.com/a/secret" }],
        "responses": [{
            "recipient": null, "option": decision, "fields": {},
            "answered_at": decision.map(|_| "2026-11-27T10:00:00.000Z"),
        }],
        "deadline": "2100-01-01T00:00:00.000Z", "created_at": "2026-11-27T09:00:00.000Z",
        "external_reference_id": null,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_dropped_connections_are_retried_with_the_same_call() {
    let pending = respond("201 Created", "", &request("pending"));
    let server = Scripted::start(vec![
        String::new(),
        "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n<h1>oops</h1>".to_owned(),
        // The request was created, and its response is lost.
        pending[..pending.len() - 10].to_owned(),
        pending,
        refuse("503 Service Unavailable", "retry-after: 1\r\n", "too_busy"),
        respond("200 OK", "", &request("pending")),
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>".to_owned(),
        respond("200 OK", "", &request("finished")),
    ])
    .await;
    let place = Place::with(&server.url, "ab_live_x");
    let ended = place.start(&["ask", "Deploy?", "--wait"]).end().await.with_code(0);
    assert_eq!(ended.stdout, "approve\n");

    let calls = server.calls();
    let (creates, waits) = calls.split_at(4);
    for create in creates {
        assert!(create.starts_with("POST /v1/requests HTTP/1.1\r\n"), "{create}");
        assert_eq!(create, &creates[0]);
    }
    assert!(creates[0].contains("idempotency-key: cli-"), "{}", creates[0]);
    assert_eq!(waits.len(), 4);
    // After a failure, the next call is not held.
    for (wait, held) in waits.iter().zip(["?wait=25", "", "?wait=25", ""]) {
        assert!(wait.starts_with(&format!("GET /v1/requests/{ID}{held} HTTP/1.1\r\n")), "{wait}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_is_waited_for_unless_it_lasts_too_long() {
    let limit = |seconds: &str| {
        refuse("429 Too Many Requests", &format!("retry-after: {seconds}\r\n"), "rate_limited")
    };
    let server =
        Scripted::start(vec![limit("1"), respond("200 OK", "", &request("finished"))]).await;
    let place = Place::with(&server.url, "ab_live_x");
    place.start(&["wait", ID]).end().await.with_code(0);

    let server = Scripted::start(vec![limit("3600")]).await;
    let place = Place::with(&server.url, "ab_live_x");
    let ended = place.start(&["ask", "Deploy?"]).end().await.with_code(5);
    assert!(ended.stderr.contains("(429 rate_limited)"), "{}", ended.stderr);
    assert!(ended.stderr.contains("asks for a pause of 1 h"), "{}", ended.stderr);
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_does_not_follow_a_redirect() {
    let other = Scripted::start(vec![respond("200 OK", "", &request("finished"))]).await;
    let location = format!("location: {}/v1/requests/{ID}\r\n", other.url);
    let redirect = respond("307 Temporary Redirect", &location, &json!({}));
    let server = Scripted::start(vec![redirect]).await;
    let place = Place::with(&server.url, "ab_live_x");
    let ended = place.start(&["show", ID]).end().await.with_code(5);
    assert!(ended.stderr.contains("it redirects to"), "{}", ended.stderr);
    assert!(server.calls()[0].contains("authorization: Bearer ab_live_x"));
    assert_eq!(other.calls(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_that_hangs_ends_in_time_or_by_a_second_signal() {
    for (signals, seconds) in [(&["TERM"][..], 5..20), (&["INT", "TERM"], 0..4)] {
        let url = hang_after_creation().await;
        let place = Place::with(&url, "ab_live_x");
        let mut asking = place.start(&["ask", "Deploy?", "--wait", "--cancel-on-interrupt"]);
        asking.id();
        let began = Instant::now();
        for signal in signals {
            asking.signal(signal);
            // Two signals at once would be one.
            pause(Duration::from_millis(500)).await;
        }
        let ended = asking.end().await.with_code(if signals[0] == "INT" { 130 } else { 143 });
        assert!(
            ended.stderr.contains(&format!("could not cancel {ID} in time")),
            "{}",
            ended.stderr
        );
        assert!(seconds.contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }
}

/// A server that answers the first call, and no other.
async fn hang_after_creation() -> String {
    hang_after(vec![respond("201 Created", "", &request("pending"))]).await
}

/// A server that answers calls as its script says, and no others.
pub(crate) async fn hang_after(script: Vec<String>) -> String {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("it listens"));
    tokio::spawn(async move {
        for response in script {
            let (mut stream, _) = silent.accept().await.expect("a call");
            read_call(&mut stream).await;
            stream.write_all(response.as_bytes()).await.expect("the client reads");
        }
        // Further calls get no response.
        let mut open = Vec::new();
        loop {
            open.push(silent.accept().await);
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn uncertain_creation_shows_the_key_of_a_rerun() {
    let url = hang_after(Vec::new()).await;
    let place = Place::with(&url, "ab_live_x");
    let ask =
        |flags: &[&'static str]| place.start(&[&["ask", "Deploy?", "--wait"], flags].concat());
    let silent =
        ask(&["--give-up", "2s", "--idempotency-key", "deploy-7"]).end().await.with_code(6);
    assert!(silent.stderr.contains("a rerun with --idempotency-key deploy-7"), "{}", silent.stderr);
    let late = ask(&["--wait-timeout", "1s"]).end().await.with_code(6);
    assert!(late.stderr.contains("a rerun with --idempotency-key cli-"), "{}", late.stderr);
    for flags in [&[][..], &["--cancel-on-interrupt"]] {
        let interrupted = ask(flags);
        pause(Duration::from_secs(1)).await;
        interrupted.signal("INT");
        let ended = interrupted.end().await.with_code(130);
        assert!(ended.stderr.contains("a rerun with --idempotency-key cli-"), "{}", ended.stderr);
    }

    let other = Scripted::start(vec![respond("201 Created", "", &json!({}))]).await;
    let place = Place::with(&other.url, "ab_live_x");
    let ended = place.start(&["ask", "Deploy?"]).end().await.with_code(5);
    assert!(ended.stderr.contains("a rerun with --idempotency-key cli-"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_hangs_is_given_up_in_time() {
    let url = hang_after(vec![respond("200 OK", "", &request("pending"))]).await;
    let place = Place::with(&url, "ab_live_x");
    for arguments in [&["wait", ID][..], &["list"]] {
        let began = Instant::now();
        let ended = place.start(&[arguments, &["--give-up", "4s"]].concat()).end().await;
        let ended = ended.with_code(6);
        assert!(ended.stderr.contains("no success within 4 s: "), "{}", ended.stderr);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_was_never_read_is_unknown() {
    let url = hang_after(Vec::new()).await;
    let place = Place::with(&url, "ab_live_x");
    let ended = place.start(&["wait", ID, "--wait-timeout", "1s"]).end().await.with_code(124);
    assert_eq!(ended.stderr, format!("the state of {ID} is unknown after 1 s\n"));
    let waiting = place.start(&["wait", ID]);
    pause(Duration::from_secs(1)).await;
    waiting.signal("TERM");
    let ended = waiting.end().await.with_code(143);
    assert_eq!(ended.stderr, format!("interrupted; the state of {ID} is unknown\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn response_without_the_right_content_is_no_success() {
    let mut hostile = request("finished");
    hostile["id"] = json!("req_1\n::error::");
    let list = |data: Value| json!({ "data": data, "next_cursor": null });
    for (arguments, response) in [
        (&["show", ID][..], json!({})),
        (&["show", ID], hostile.clone()),
        (&["list"], json!({})),
        (&["list"], json!({ "data": {} })),
        (&["list"], list(json!([1]))),
        (&["list"], list(json!([hostile]))),
        (&["cancel", ID], json!([])),
    ] {
        let server = Scripted::start(vec![respond("200 OK", "", &response)]).await;
        let place = Place::with(&server.url, "ab_live_x");
        let ended = place.start(arguments).end().await.with_code(5);
        let expected = "error: the server responded with something other than a ";
        assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
        assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1));
    }
    // A cursor that leads to itself.
    let empty = respond("200 OK", "", &json!({ "data": [], "next_cursor": "c" }));
    let server = Scripted::start(vec![empty.clone(), empty]).await;
    let place = Place::with(&server.url, "ab_live_x");
    assert_eq!(place.start(&["list"]).end().await.with_code(0).stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_of_a_hostile_server_stays_on_its_line() {
    let mut decided = request("finished");
    decided["decision"] = json!("a\n::warning::##[error]\u{9b}2J");
    let script = vec![respond("200 OK", "", &decided); 2];
    let server = Scripted::start(script).await;
    let place = Place::with(&server.url, "ab_live_x");
    let ended = place.start(&["wait", ID]).end().await.with_code(1);
    assert_eq!(ended.stdout, "a\\u{a}::warning::#\\u{23}[error]\\u{9b}2J\n");
    let ended = place.start(&["show", ID, "--json"]).end().await.with_code(0);
    assert!(!ended.stdout.contains("##[") && !ended.stdout.contains('\u{9b}'), "{}", ended.stdout);
    let printed: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(printed["decision"], decided["decision"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn consume_sends_the_digest_once_and_reports_refusals_by_exit_code() {
    const ACTION: &str = r#"{ "name": "deploy", "args": {"b": 1.0, "a": "é"} }"#;
    let consumed = json!({
        "consumed": 1, "remaining": 0, "consumed_at": "2026-11-27T10:00:00.000Z", "livemode": true,
    });
    for (response, code) in [
        (respond("200 OK", "", &consumed), 0),
        (refuse("409 Conflict", "retry-after: 5\r\n", "not_decided"), 124),
        (refuse("409 Conflict", "", "not_approved"), 1),
        (refuse("409 Conflict", "", "digest_mismatch"), 1),
        (refuse("409 Conflict", "", "already_consumed"), 1),
        (refuse("410 Gone", "", "approval_lapsed"), 3),
        (refuse("404 Not Found", "", "not_found"), 5),
        (respond("200 OK", "", &json!({})), 5),
    ] {
        // The first response is lost.
        let server = Scripted::start(vec![String::new(), response]).await;
        let place = Place::with(&server.url, "ab_live_x");
        let file = place.file("action.json", ACTION);
        let flags = ["consume", ID, "--action-file", file, "--idempotency-key", "deploy-7"];
        place.start(&flags).end().await.with_code(code);
        let calls = server.calls();
        assert_eq!(calls[0], calls[1]);
        assert!(calls[0].starts_with(&format!("POST /v1/requests/{ID}/consume HTTP/1.1\r\n")));
        assert!(calls[0].contains("idempotency-key: deploy-7\r\n"), "{}", calls[0]);
        // printf '{"args":{"a":"é","b":1},"name":"deploy"}' | sha256sum
        let digest = r#"{"digest":"sha256:c1bef7680587e5eba589db1efa3ec39b53d8de3ccdca301af99daf4b1e79c305"}"#;
        assert!(calls[0].ends_with(digest), "{}", calls[0]);
    }
}
