//! `answerback keys create` and `answerback accounts limit`.

use std::process::{Command, Output};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::{Stack, answerback, run, text};

const READ: [&str; 4] = ["keys", "create", "--scopes", "requests:read"];

/// What the program printed, and whether it was content.
fn made(output: &Output) -> (bool, &str) {
    let told = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.success(), text(told))
}

#[tokio::test]
async fn a_key_is_made_whether_the_stack_runs_or_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let mut stack = Stack::start(folder.path(), &[]);
    let account = stack.ready["account_id"].as_str().expect("an account").to_owned();
    let for_account = |account| [&READ[..], &["--data-dir", path, "--account", account]].concat();

    let while_running = run(&mut answerback(&for_account(&account)));
    let stranger = run(&mut answerback(&for_account("acct_00000000000000000000000000")));
    assert_eq!(stack.interrupt().await, Some(0));
    let while_stopped = run(answerback(&for_account("new")).arg("--test"));

    let (is_made, told) = made(&stranger);
    assert!(!is_made && told.contains("there is no account acct_0"), "{told}");
    stack = Stack::start(folder.path(), &[]);
    for (output, prefix) in [(&while_running, "ab_live_"), (&while_stopped, "ab_test_")] {
        let (is_made, key) = made(output);
        assert!(is_made && key.starts_with(prefix), "{key}");
        key.clone_into(&mut stack.api_key);
        check_scope(&stack).await;
    }
}

#[tokio::test]
async fn a_key_is_made_in_a_table_that_the_environment_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::start(folder.path(), &[]);
    let endpoint = stack.ready["aws_endpoint"].as_str().expect("an endpoint").to_owned();
    let mut command: Command = answerback(&[&READ[..], &["--account", "new"]].concat());
    command.current_dir(folder.path()).env("TABLE_NAME", "answerback");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    let output = run(&mut command);
    let (is_made, told) = made(&output);
    assert!(!is_made && told.contains("`AWS_ACCESS_KEY_ID` must be set"), "{told}");

    command.env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", endpoint);
    command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    let output = run(&mut command);
    let (is_made, told) = made(&output);
    assert!(!is_made && told.contains("`SECRETS_KEY_ID` must be set"), "{told}");

    let environment = std::fs::read_to_string(folder.path().join("functions.env"));
    let environment = environment.expect("the stack has written it");
    command.envs(environment.lines().filter_map(|it| it.split_once('=')));
    let output = run(&mut command);
    let (is_made, key) = made(&output);
    assert!(is_made, "{key}");
    key.clone_into(&mut stack.api_key);
    check_scope(&stack).await;
}

#[tokio::test]
async fn limits_are_set_while_the_stack_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let mut stack = Stack::start(folder.path(), &[]);
    let account = stack.ready["account_id"].as_str().expect("an account").to_owned();
    let cap = |account, max| {
        let limit = ["accounts", "limit", "--data-dir", path, "--account", account];
        run(&mut answerback(&[&limit[..], &["--max-pending", max]].concat()))
    };
    for (account, max, fault) in [
        ("acct_00000000000000000000000000", "1", "there is no account acct_0"),
        (account.as_str(), "10001", "at most 10000, or `none`"),
        (account.as_str(), "many", "invalid digit"),
    ] {
        let output = cap(account, max);
        let (is_set, told) = made(&output);
        assert!(!is_set && told.contains(fault), "{told}");
    }
    // Nobody has asked anything, so nobody remembers the account as it was.
    assert!(made(&cap(&account, "0")).0);
    let body = json!({ "title": "Go?", "options": [{ "value": "yes", "label": "Yes" }] });
    let (status, problem) = stack.call(Method::POST, "/v1/requests", body).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{problem}");
    assert!(made(&cap(&account, "none")).0);

    let limited = ["--data-dir", path, "--account", &account, "--rate-limit", "1"];
    let output = run(&mut answerback(&[&READ[..], &limited].concat()));
    let (is_made, key) = made(&output);
    assert!(is_made, "{key}");
    key.clone_into(&mut stack.api_key);
    let mut n_refused = 0;
    // At most one minute ends meanwhile.
    for _ in 0..3 {
        let (status, _) = stack.call(Method::GET, "/v1/requests", Value::Null).await;
        n_refused += u32::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(n_refused > 0);
}

/// The key reads requests and does nothing else.
async fn check_scope(stack: &Stack) {
    let (status, _) = stack.call(Method::GET, "/v1/requests", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = stack.call(Method::POST, "/v1/requests", Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
}
