//! The program `answerback` as a process: started, called, killed and started again.

mod asking;
mod canaries;
mod crashes;
mod guards;
mod hooks;
mod keys;
mod kills;
mod mcp;
mod rules;
mod stack;
mod time;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use stack::{Stack, answerback, call, run, spawn, text, until};

/// Splits a shell command into words. Supports quotes and continued lines only.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (number, part) in command.replace("\\\n", " ").split('\'').enumerate() {
        if number % 2 == 1 {
            words.last_mut().expect("never empty").push_str(part);
            continue;
        }
        let mut pieces = part.split_whitespace();
        if !part.starts_with(char::is_whitespace)
            && let Some(piece) = pieces.next()
        {
            words.last_mut().expect("never empty").push_str(piece);
        }
        words.extend(pieces.map(str::to_owned));
        if part.ends_with(char::is_whitespace) {
            words.push(String::new());
        }
    }
    words
}

/// Makes the call of a curl command.
async fn curl(command: &str) -> (StatusCode, Value) {
    let mut words = words(command).into_iter().skip_while(|it| it != "-sS").skip(1);
    let url = words.next().expect("a URL");
    let (mut headers, mut data) = (Vec::new(), String::new());
    while let (Some(flag), Some(value)) = (words.next(), words.next()) {
        match flag.as_str() {
            "-H" => headers.push(value),
            "-d" => data = value,
            _ => panic!("the example uses {flag}"),
        }
    }
    let headers: Vec<_> = headers.iter().filter_map(|it| it.split_once(": ")).collect();
    call(Method::POST, &url, &headers, data).await
}

#[tokio::test]
async fn printed_example_ends_with_a_verified_callback_in_the_inbox() {
    let (child, printed) =
        spawn(&["--memory", "--port", "0"], |line| line.starts_with("Press Ctrl-C"));
    let word = |name: &str| {
        let line = printed.lines().find(|it| it.trim_start().starts_with(name)).expect("a line");
        line.trim_start()[name.len()..].trim().to_owned()
    };
    let base_url = word("Answerback runs at");
    let stack = Stack::of(child, json!({ "base_url": base_url, "api_key": word("API key") }));
    assert_eq!(word("Inbox"), format!("{base_url}/inbox"));
    assert_eq!(word("Outbox"), format!("{base_url}/outbox"));

    let mut examples = printed.split("\n\n").filter(|it| it.starts_with("curl "));
    let (status, request) = curl(examples.next().expect("an example")).await;
    assert_eq!(status, StatusCode::CREATED, "{request}");
    assert!(stack.inbox().await.is_empty());

    let link = request["recipients"][0]["answer_url"].as_str().expect("a link");
    let token = link.split_once("/a/").expect("the link of a page").1;
    let answer = examples.next().expect("a second example").replace("TOKEN", token);
    let (status, _) = curl(&answer).await;
    assert_eq!(status, StatusCode::OK);

    let arrived = until("the callback arrives", async || stack.inbox().await.pop()).await;
    assert_eq!(arrived["verified"], true, "{arrived}");
    assert_eq!(arrived["event"], "request.finished");
    assert_eq!(arrived["body"]["data"]["request_id"], request["id"]);
    assert_eq!(arrived["body"]["data"]["decision"], "approve");
}

#[tokio::test]
async fn inbox_can_refuse_callbacks_and_marks_unsigned_ones() {
    let (child, line) = spawn(&["--memory", "--port", "0", "--json"], |_| true);
    let stack = Stack::of(child, serde_json::from_str(&line).expect("JSON"));
    let inbox = |query: &str| format!("{}/inbox/some/where{query}", stack.base_url);

    let (status, _) = call(Method::POST, &inbox("?status=503"), &[], "<b>hello</b>").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let (status, _) = call(Method::HEAD, &inbox("?status=503"), &[], "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = call(Method::POST, &inbox("?status=99"), &[], "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let [arrived] = stack.inbox().await.try_into().expect("exactly one");
    assert_eq!(arrived["body"], "<b>hello</b>");
    assert_eq!(arrived["path"], "/inbox/some/where?status=503");
    assert_eq!(arrived["verified"], false);
    assert_eq!(arrived["problem"], "no signature");
}

#[tokio::test]
async fn outbox_is_next_to_the_inbox() {
    let (child, line) =
        spawn(&["--memory", "--port", "0", "--json", "--smtp", "localhost:1025"], |_| true);
    let stack = Stack::of(child, serde_json::from_str(&line).expect("JSON"));
    let url = format!("{}/outbox", stack.base_url);
    assert_eq!(stack.ready["outbox_url"], url);
    let mails = call(Method::GET, &url, &[("accept", "application/json")], "").await;
    assert_eq!(mails, (StatusCode::OK, json!({ "data": [] })));
    let (status, _) = call(Method::GET, &format!("{url}/unknown/raw"), &[], "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let output = run(&mut answerback(&["dev", "--smtp", "localhost"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("must be HOST:PORT"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn restart_keeps_the_account_its_key_and_its_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Stack::start(folder.path(), &[]);
    let request = first
        .create(json!({ "title": "Lunch?", "options": [{ "value": "yes", "label": "Yes" }] }))
        .await;
    let ready = first.ready.clone();
    assert_eq!(first.interrupt().await, Some(0));

    let second = Stack::start(folder.path(), &[]);
    for name in ["account_id", "api_key"] {
        assert_eq!(second.ready[name], ready[name]);
    }
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    let (status, found) = second.call(Method::GET, &path, Value::Null).await;
    assert_eq!((status, &found["title"]), (StatusCode::OK, &json!("Lunch?")));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_key_in_the_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let _stack = Stack::start(&data, &[]);
    let mode =
        |path| std::fs::metadata(path).expect("the path exists").permissions().mode() & 0o777;
    assert_eq!(mode(data.join("dev.json")), 0o600);
    assert_eq!(mode(data), 0o700);
}

#[tokio::test]
async fn start_errors_are_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(folder.path(), &[]);
    let taken = stack.base_url.rsplit_once(':').expect("a port").1;
    let path = folder.path().to_str().expect("UTF-8");
    let file = format!("{path}/dev.json");
    for (arguments, expected) in [
        (["--memory", "--port", taken].as_slice(), "choose another port with --port"),
        (&["--port", "0", "--data-dir", path], "is in use"),
        (&["--memory", "--port", "0", "--resolve", "none.json"], "cannot read `none.json`"),
        (&["--memory", "--port", "0", "--resolve", &file], "must be a JSON object"),
    ] {
        let output = run(&mut answerback(arguments));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with("error: ") && error.contains(expected), "{error}");
        assert_eq!((error.lines().count(), output.stdout.len()), (1, 0), "{error}");
    }
}
