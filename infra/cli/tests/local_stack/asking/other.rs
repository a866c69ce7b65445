//! Settings, output and the other commands.

use std::os::unix::fs::PermissionsExt as _;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    answer,
    command::{Place, stack},
    failures::{Scripted, refuse, respond},
};
use crate::stack::Stack;

#[tokio::test]
async fn local_stack_is_found_without_settings() {
    let place = Place::empty();
    let stack = Stack::start(&place.home.path().join(".answerback"), &[]);
    let below = place.home.path().join("src/deep");
    std::fs::create_dir_all(&below).expect("a folder");
    let mut command = place.command(&["ask", "Deploy?"]);
    let output = crate::stack::run(command.current_dir(&below));
    let id = crate::stack::text(&output.stdout).to_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (status, request) =
        stack.call(Method::GET, &format!("/v1/requests/{id}"), Value::Null).await;
    assert_eq!((status, &request["title"]), (StatusCode::OK, &json!("Deploy?")));

    // A file that others may have written is no setting.
    let file = place.home.path().join(".answerback/dev.json");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(file, open).expect("the file exists");
    place.run(&["ask", "Deploy?"]).with_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_checks_the_key_and_stores_it_for_its_owner_only() {
    let key = json!({
        "id": "key_1", "name": "ci", "scopes": ["requests:ask"], "livemode": false,
        "account_id": "acct_1",
    });
    let list = json!({ "data": [], "next_cursor": null });
    let server = Scripted::start(vec![
        refuse("401 Unauthorized", "", "unauthorized"),
        respond("200 OK", "", &key),
        respond("200 OK", "", &list),
        respond("200 OK", "", &list),
        // Not the description of a key.
        respond("200 OK", "", &json!({ "id": "key_1", "livemode": true })),
        respond("200 OK", "", &key),
    ])
    .await;
    let place = Place::empty();
    let login = ["login", "--url", &server.url, "--with-key"];
    let file = place.home.path().join(".config/answerback/config.toml");
    place.run_with(&login, "ab_test_x\n").with_code(5);
    assert!(!file.exists());
    let ended = place.run_with(&login, "ab_test_x\n").with_code(0);
    let expected = "key key_1 `ci`, test mode, with requests:ask\n";
    assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
    assert!(!format!("{ended:?}").contains("ab_test_x"));
    let mode = std::fs::metadata(&file).expect("the file exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    place.run(&["list"]).with_code(0);
    place.run(&["list", "--profile", "default"]).with_code(0);
    for call in &server.calls()[1..4] {
        assert!(call.contains("authorization: Bearer ab_test_x\r\n"), "{call}");
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("it exists");
    let ended = place.run(&["list"]).with_code(2);
    assert!(ended.stderr.contains("run `chmod 600"), "{}", ended.stderr);
    // A file that cannot be written must not cost a typed key.
    let ended = place.run(&["login"]).with_code(2);
    assert!(ended.stderr.contains("run `chmod 600"), "{}", ended.stderr);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("it exists");
    let ended = place.run(&["login", "--url", &server.url]).with_code(2);
    assert!(ended.stderr.contains("use --with-key"), "{}", ended.stderr);
    let other = [&login[..], &["--profile", "work"]].concat();
    place.run_with(&other, "ab_test_x\n").with_code(5);
    let ended = place.run_with(&other, "ab_test_x\n").with_code(0);
    assert!(ended.stderr.contains("choose this one by `--profile work`"), "{}", ended.stderr);
}

#[test]
fn proxies_and_certificates_that_cannot_be_used_exit_with_2() {
    let mut place = Place::with("https://answerback.example.com", "ab_live_x");
    place.file("none.pem", "no certificate");
    for (name, value, expected) in [
        ("HTTPS_PROXY", "socks5://ada:hunter2@127.0.0.1:9", "`HTTPS_PROXY` must be an http://"),
        ("SSL_CERT_FILE", "none.pem", "`none.pem` (SSL_CERT_FILE) has no certificate"),
        ("SSL_CERT_FILE", "missing.pem", "cannot read the certificates in `missing.pem`"),
    ] {
        place.environment.push((name, value.to_owned()));
        let ended = place.run(&["list"]).with_code(2);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        place.environment.pop();
    }
}

#[tokio::test]
async fn step_outputs_that_cannot_be_written_ask_no_one() {
    let stack = stack();
    let mut place = Place::of(&stack);
    let ask = ["ask", "Deploy?", "--github-output"];
    place.environment.push(("GITHUB_OUTPUT", ".".to_owned()));
    let ended = place.run(&ask).with_code(2);
    assert!(ended.stderr.contains("cannot write `.` (GITHUB_OUTPUT)"), "{}", ended.stderr);
    let (_, list) = stack.call(Method::GET, "/v1/requests", Value::Null).await;
    assert_eq!(list["data"], json!([]));
    // A full disk does not hide the id.
    place.environment.push(("GITHUB_OUTPUT", "/dev/full".to_owned()));
    let ended = place.run(&ask).with_code(2);
    assert!(ended.stdout.starts_with("req_"), "{ended:?}");
}

#[tokio::test]
async fn step_outputs_of_github_have_id_and_decision() {
    let stack = stack();
    let mut place = Place::of(&stack);
    let file = place.home.path().join("output");
    place.environment.push(("GITHUB_OUTPUT", file.to_str().expect("UTF-8").to_owned()));
    // Another program left its last line without an end.
    std::fs::write(&file, "earlier=1").expect("a file");
    let mut asking =
        place.start(&["ask", "Deploy?", "--to", "ada@example.com", "--wait", "--github-output"]);
    let id = asking.id();
    answer(&stack, &id, "ada@example.com", "reject").await;
    asking.end().await.with_code(1);
    let written = std::fs::read_to_string(&file).expect("the file exists");
    let pending =
        format!("earlier=1\nrequest_id={id}\nstatus=pending\noutcome=\ndecision=\ndecided_by=\n");
    let finished = format!(
        "request_id={id}\nstatus=finished\noutcome=completed\ndecision=reject\ndecided_by=recipients\n"
    );
    assert_eq!(written, pending + &finished);
}

#[tokio::test]
async fn question_has_all_parts_and_answers_are_shown_in_one_line() {
    let stack = stack();
    let place = Place::of(&stack);
    place.file("body.md", "They were **last** read in March.");
    let flags = [
        "ask",
        "Drop the tables?",
        "--to",
        "ada@example.com",
        "--to",
        "bob@example.com",
        "--to",
        "cy@example.com",
        "--body-file",
        "body.md",
        "--option",
        "yes:Drop them:destructive",
        "--option",
        "no:Keep them",
        "--field",
        "why:textarea:Why?",
        "--field",
        "region:select=eu,us:Region",
        "--quorum",
        "2",
        "--veto",
        "no",
        "--deadline",
        "2h",
        "--on-deadline",
        "no",
        "--json",
    ];
    let ended = place.run(&flags).with_code(0);
    let request: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(request["body"], "They were **last** read in March.");
    let quorum = json!({ "count": 2, "option": "yes", "veto": ["no"] });
    assert_eq!(request["quorum"], quorum);
    assert_eq!(request["options"][0]["style"], "destructive");
    assert_eq!(request["fields"][1]["choices"][1]["value"], "us");
    assert!(!ended.stdout.contains("answer_url"), "{}", ended.stdout);

    let id = request["id"].as_str().expect("an id");
    let forged = json!({
        "recipient": "ada@example.com", "option": "yes",
        "fields": { "why": "ok\n::warning::\u{1b}[2Jbob@example.com answered: yes", "region": "eu" },
    });
    let path = format!("/v1/requests/{id}/responses");
    let (status, response) = stack.call(Method::POST, &path, forged).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    let shown = place.run(&["show", id, "--show-links"]).with_code(0).stdout;
    let lines: Vec<&str> = shown.lines().filter(|it| it.starts_with("- ")).collect();
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(lines[0].starts_with("- ada@example.com answered: yes ("), "{shown}");
    assert_eq!(lines[1], "- bob@example.com has not answered");
    assert_eq!(shown.matches("/a/").count(), 3);

    let listed = place.run(&["list", "--status", "pending", "--limit", "5"]).with_code(0).stdout;
    assert_eq!(listed, format!("{id}  pending    -          Drop the tables?\n"));
    let listed = place.run(&["list", "--reference", "none", "--json"]).with_code(0).stdout;
    assert_eq!(listed, "[]\n");
}

#[test]
fn completions_and_help_need_no_server() {
    let place = Place::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completions", shell]).with_code(0).stdout;
        assert!(script.contains("cancel-on-interrupt"), "{shell}");
    }
    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = place.command(&["completions", "bash"]);
    let ended = command.stdout(closed).output().expect("the program was built with this test");
    assert_eq!(ended.status.code(), Some(2));
    assert!(crate::stack::text(&ended.stderr).contains("cannot write to stdout"), "{ended:?}");
    let help = place.run(&["ask", "--help"]).with_code(0).stdout;
    for text in ["Examples:", "124  still pending after --wait-timeout", "--idempotency-key"] {
        assert!(help.contains(text), "{text}\n{help}");
    }
}
