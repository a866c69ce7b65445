//! Bodies of every operation: their encoding, and what the largest ones cost.

use std::{fmt::Write as _, fs, time::Duration};

use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};
use system_tests::{World, token};

use super::{Operation, filled, operations};

/// Nearly the largest body.
const BODY_BYTES: usize = 250_000;
/// Processor time that one call may take in a build without optimization.
const CALL_CPU_MAX: Duration = Duration::from_secs(1);
/// Most errors that a response lists.
const ERRORS_MAX: usize = 100;

/// The operations that take a body in this media type.
fn taking(media_type: &str) -> Vec<Operation> {
    let takes = |it: &Operation| {
        it.description["requestBody"].get("$ref").is_some()
            || !it.description["requestBody"]["content"][media_type].is_null()
    };
    operations().into_iter().filter(takes).collect()
}

/// A world with an open answer link and a Ping channel, whose tokens are returned.
struct Open {
    world: World,
    link: String,
    channel: String,
}

async fn open() -> Open {
    let world = World::start().await;
    let field = json!({ "key": "a", "type": "text", "label": "A" });
    let request = world.create(json!({ "title": "T", "fields": [field] })).await;
    let body = json!({ "name": "alerts" });
    let channel = world.call(Method::POST, "/v1/channels", body).await.json();
    Open {
        link: token(&request, 0),
        channel: channel["token"].as_str().expect("a token").to_owned(),
        world,
    }
}

impl Open {
    /// The path of an operation, with tokens that open.
    fn path(&self, path: &str) -> String {
        let token = if path.contains("/send/") { &self.channel } else { &self.link };
        filled(&path.replace("{token}", token), "x")
    }
}

#[tokio::test]
async fn compressed_or_other_charsets_are_refused_everywhere() {
    let open = open().await;
    let key = format!("Bearer {}", open.world.key);
    let utf_16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let json_type = "application/json";
    let wrong: [(&str, &str, &[u8]); 4] = [
        ("gzip", json_type, b"{}"),
        ("identity", "application/json; charset=utf-16", b"{}"),
        ("identity", "application/json; charset=iso-8859-1", b"{}"),
        ("identity", json_type, &utf_16),
    ];
    let mut n_calls = 0;
    for Operation { method, path, .. } in taking(json_type).into_iter().chain(taking(FORM)) {
        let path = open.path(&path);
        for (coding, media_type, body) in wrong {
            let headers = [
                ("authorization", key.as_str()),
                ("content-encoding", coding),
                ("content-type", media_type),
            ];
            let body = Bytes::copy_from_slice(body);
            let answer = open.world.send(method.clone(), &path, &headers, body).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{method} {path}");
            n_calls += 1;
        }
    }
    assert!(n_calls > 80, "only {n_calls} calls");
}

#[tokio::test]
async fn byte_order_mark_is_skipped() {
    let world = World::start().await;
    let body = "\u{feff}{\"title\":\"T\",\"options\":[{\"value\":\"a\",\"label\":\"A\"}]}";
    let key = format!("Bearer {}", world.key);
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    let path = "/v1/requests";
    let answer = world.system.http(&request(&Method::POST, path, &headers, body.into())).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    // The event keeps the text of its data.
    let event = "\u{feff}{\"type\":\"run.done\",\"data\":{\"n\":1}}";
    let call = request(&Method::POST, "/v1/events", &headers, event.into());
    assert_eq!(world.system.http(&call).await.status(), StatusCode::ACCEPTED);
}

const FORM: &str = "application/x-www-form-urlencoded";

fn request(method: &Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(path).header("host", "a.example.com");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).expect("a valid request")
}

/// Processor time of this thread so far. The runtime of a test runs the functions on it.
fn cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    let nanoseconds = text.split(' ').next().and_then(|it| it.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// JSON bodies that have as many errors, or as long pointers, as there is room for.
fn worst_bodies() -> Vec<(&'static str, String)> {
    let filled = |prefix: &str, entry: &dyn Fn(usize) -> String, suffix: &str| {
        let mut text = prefix.to_owned();
        for index in 0.. {
            let entry = entry(index);
            if text.len() + entry.len() + suffix.len() > BODY_BYTES {
                break;
            }
            write!(text, "{}{entry}", if index == 0 { "" } else { "," }).expect("it grows");
        }
        text + suffix
    };
    let member = |index: usize| format!("\"{index:x}\":0");
    let options = r#""title":"T","message":"M","user_emails":["a@example.com"],"#;
    let long = "k".repeat(BODY_BYTES / 2);
    let inside = |name: &str| filled(&format!("{{{options}\"{name}\":{{"), &member, "}}");
    let entries = |name: &str, entry: &str| {
        filled(&format!("{{{options}\"{name}\":["), &|_| entry.to_owned(), "]}")
    };
    vec![
        ("unknown members", filled("{", &member, "}")),
        ("members of fields", inside("fields")),
        ("members of callback", inside("callback")),
        ("members of headers", inside("headers")),
        ("members of data", inside("data")),
        ("members of metadata", inside("metadata")),
        ("members of response_request", inside("response_request")),
        ("below a long name", filled(&format!("{{\"fields\":{{\"{long}\":{{"), &member, "}}}")),
        ("entries of options", entries("options", "{}")),
        ("entries of fields", entries("fields", "{}")),
        ("entries of actions", entries("actions", "{}")),
        ("entries of recipients", entries("recipients", "0")),
        ("entries of event_types", entries("event_types", "0")),
        ("entries of scopes", entries("scopes", "0")),
        ("lists", "[".repeat(100) + &filled("", &|_| "0".to_owned(), "") + &"]".repeat(100)),
    ]
}

#[tokio::test]
async fn largest_bodies_are_refused_in_linear_time() {
    let open = open().await;
    let key = format!("Bearer {}", open.world.key);
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    let bodies = worst_bodies();
    let mut n_truncated = 0;
    for Operation { method, path, description } in operations() {
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&method);
        if !writes {
            continue;
        }
        let is_form = !description["requestBody"]["content"][FORM].is_null();
        for (what, body) in &bodies {
            let headers = if is_form { &[("content-type", FORM)][..] } else { &headers[..] };
            let path = open.path(&path);
            let call = request(&method, &path, headers, Bytes::from(body.clone()));
            let before = cpu_time();
            let answer = open.world.system.http(&call).await;
            let taken = cpu_time().saturating_sub(before);
            assert!(taken < CALL_CPU_MAX, "{method} {path} took {taken:?} for {what}");
            let status = answer.status();
            assert!(!status.is_server_error(), "{method} {path}: {status} for {what}");
            let Ok(problem) = serde_json::from_slice::<Value>(answer.body()) else { continue };
            let Some(errors) = problem["errors"].as_array() else { continue };
            assert!(errors.len() <= ERRORS_MAX, "{method} {path}: {} errors", errors.len());
            n_truncated += u32::from(problem["errors_truncated"] == true);
        }
    }
    assert!(n_truncated > 20, "only {n_truncated} had more errors than a response lists");
}

#[tokio::test]
async fn largest_form_is_refused_in_linear_time() {
    let open = open().await;
    let path = format!("/a/{}", open.link);
    let mut form = String::from("option=submit");
    for index in 0.. {
        if form.len() > BODY_BYTES {
            break;
        }
        write!(form, "&field.{index}=x").expect("it grows");
    }
    let many = "&field.a=x".repeat(BODY_BYTES / 10);
    for form in [form, many[1..].to_owned()] {
        let call = request(&Method::POST, &path, &[("content-type", FORM)], Bytes::from(form));
        let before = cpu_time();
        let answer = open.world.system.http(&call).await;
        let taken = cpu_time().saturating_sub(before);
        assert!(taken < CALL_CPU_MAX, "{taken:?}");
        assert!(!answer.status().is_server_error(), "{}", answer.status());
    }
}
