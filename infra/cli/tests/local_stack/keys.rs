//! `answerback keys create`, `answerback accounts limit` and `answerback accounts shards`.

use std::process::{Command, Output};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::{Stack, answerback, run, text};

const READ: [&str; 4] = ["keys", "create", "--scopes", "requests:read"];

/// The output of a run: stdout if it succeeded, stderr if it failed.
fn result(output: &Output) -> Result<&str, &str> {
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test]
async fn key_is_created_in_a_running_and_in_a_stopped_stack() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let mut stack = Stack::start(folder.path(), &[]);
    let account = stack.ready["account_id"].as_str().expect("an account").to_owned();
    let for_account = |account| [&READ[..], &["--data-dir", path, "--account", account]].concat();

    let while_running = run(&mut answerback(&for_account(&account)));
    let stranger = run(&mut answerback(&for_account("acct_00000000000000000000000000")));
    assert_eq!(stack.interrupt().await, Some(0));
    let while_stopped = run(answerback(&for_account("new")).arg("--test"));

    let error = result(&stranger).expect_err("an unknown account");
    assert!(error.contains("not found; create one with"), "{error}");
    stack = Stack::start(folder.path(), &[]);
    for (output, prefix) in [(&while_running, "ab_live_"), (&while_stopped, "ab_test_")] {
        let key = result(output).expect("a key");
        assert!(key.starts_with(prefix), "{key}");
        key.clone_into(&mut stack.api_key);
        check_scope(&stack).await;
    }
}

#[tokio::test]
async fn key_is_created_in_the_table_of_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::start(folder.path(), &[]);
    let endpoint = stack.ready["aws_endpoint"].as_str().expect("an endpoint").to_owned();
    let mut command: Command = answerback(&[&READ[..], &["--account", "new"]].concat());
    command.current_dir(folder.path()).env("TABLE_NAME", "answerback");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    let output = run(&mut command);
    let error = result(&output).expect_err("no credentials");
    assert!(error.contains("`AWS_ACCESS_KEY_ID` must be set"), "{error}");

    command.env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", endpoint);
    command.env("AWS_ACCESS_KEY_ID", "other").env("AWS_SECRET_ACCESS_KEY", "other");
    let output = run(&mut command);
    let error = result(&output).expect_err("no key that seals secrets");
    assert!(error.contains("`SECRETS_KEY_ID` must be set"), "{error}");

    let environment = std::fs::read_to_string(folder.path().join("functions.env"));
    let environment = environment.expect("the stack wrote it");
    command.envs(environment.lines().filter_map(|it| it.split_once('=')));
    let output = run(&mut command);
    let key = result(&output).expect("a key");
    key.clone_into(&mut stack.api_key);
    check_scope(&stack).await;
}

#[tokio::test]
async fn limits_are_set_in_a_running_stack() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let mut stack = Stack::start(folder.path(), &[]);
    let account = stack.ready["account_id"].as_str().expect("an account").to_owned();
    let limit = |account, max| {
        let arguments = ["accounts", "limit", "--data-dir", path, "--account", account];
        run(&mut answerback(&[&arguments[..], &["--max-pending", max]].concat()))
    };
    for (account, max, expected) in [
        (
            "acct_00000000000000000000000000",
            "1",
            "account acct_00000000000000000000000000 not found",
        ),
        (account.as_str(), "10001", "must be at most 10000 (got 10001), or `none`"),
        (account.as_str(), "many", "invalid digit"),
    ] {
        let output = limit(account, max);
        let error = result(&output).expect_err("an invalid limit");
        assert!(error.contains(expected), "{error}");
    }
    let limit_by = |more: &[&str]| {
        let arguments = ["accounts", "limit", "--data-dir", path, "--account", &account];
        run(&mut answerback(&[&arguments[..], more].concat()))
    };
    let output = limit_by(&[]);
    let error = result(&output).expect_err("no limit is named");
    assert!(error.contains("--messages-per-hour"), "{error}");
    let said = limit_by(&["--messages-per-hour", "5"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.ends_with(": at most 5 an hour.\n"), "{said}");
    // No call was made yet, so no function has cached the account.
    result(&limit(&account, "0")).expect("the limit is set");
    let body = json!({ "title": "Go?", "options": [{ "value": "yes", "label": "Yes" }] });
    let (status, problem) = stack.call(Method::POST, "/v1/requests", body).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{problem}");
    result(&limit(&account, "none")).expect("the limit is removed");

    let limited = ["--data-dir", path, "--account", &account, "--rate-limit", "1"];
    let output = run(&mut answerback(&[&READ[..], &limited].concat()));
    let key = result(&output).expect("a key");
    key.clone_into(&mut stack.api_key);
    let mut n_refused = 0;
    // At most one of the calls falls into a new minute.
    for _ in 0..3 {
        let (status, _) = stack.call(Method::GET, "/v1/requests", Value::Null).await;
        n_refused += u32::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(n_refused > 0);
}

#[tokio::test]
async fn shards_of_an_account_grow_and_never_shrink() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let stack = Stack::start(folder.path(), &[]);
    let account = stack.ready["account_id"].as_str().expect("an account");
    let spread = |n_shards| {
        let arguments = ["accounts", "shards", "--data-dir", path, "--account", account];
        run(&mut answerback(&[&arguments[..], &["--shards", n_shards]].concat()))
    };
    result(&spread("16")).expect("it grows");
    result(&spread("16")).expect("nothing changes");
    for (n_shards, expected) in [("15", "must be at least 16"), ("33", "33 is not in 1..=32")] {
        let output = spread(n_shards);
        let error = result(&output).expect_err("an invalid number");
        assert!(error.contains(expected), "{error}");
    }
    result(&spread("32")).expect("it grows again");
}

#[tokio::test]
async fn sender_of_an_account_is_allowed_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let stack = Stack::start(folder.path(), &[]);
    let account = stack.ready["account_id"].as_str().expect("an account").to_owned();
    let allow = |more: &[&str]| {
        let arguments = ["accounts", "allow-from", "--data-dir", path, &account];
        run(&mut answerback(&[&arguments[..], more].concat()))
    };
    for wrong in [&[][..], &["acme"], &["*@*"]] {
        result(&allow(wrong)).expect_err("not a pattern");
    }
    let notifier = json!({
        "kind": "email", "settings": { "transport": "ses", "from": "ci@acme.example" },
    });
    result(&allow(&["*@acme.example", "ops@acme.example"])).expect("they are allowed");
    let (status, made) = stack.call(Method::POST, "/v1/notifiers", notifier).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let output = allow(&["*@acme.example", "--remove"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The stack's own notifier sends from the first.
    assert!(said.ends_with("may send from answerback@example.com, ops@acme.example.\n"), "{said}");
}

#[tokio::test]
async fn key_of_an_agent_asks_some_people_and_sees_no_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let mut stack = Stack::start(folder.path(), &[]);
    let account = stack.ready["account_id"].as_str().expect("an account").to_owned();
    let create = ["keys", "create", "--data-dir", path, "--account", &account];
    let agent =
        ["--agent", "--asks-per-hour", "1", "--recipients", "*@corp.example", "ada@example.com"];
    let output = run(&mut answerback(&[&create[..], &agent].concat()));
    let key = result(&output).expect("a key");
    key.clone_into(&mut stack.api_key);
    let (_, own) = stack.call(Method::GET, "/v1/key", Value::Null).await;
    assert_eq!(own["scopes"], json!(["requests:read", "requests:ask"]));
    assert_eq!(own["recipients_allowed"], json!(["*@corp.example", "ada@example.com"]));
    assert_eq!(own["asks_per_hour"], 1);

    let ask = |to: &str| {
        let options = json!([{ "value": "yes", "label": "Yes" }]);
        json!({ "title": "Go?", "recipients": [to], "options": options })
    };
    let (status, problem) = stack.call(Method::POST, "/v1/requests", ask("bob@example.com")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let (status, request) = stack.call(Method::POST, "/v1/requests", ask("bob@corp.example")).await;
    assert_eq!(status, StatusCode::CREATED, "{request}");
    assert!(!request.to_string().contains("/a/"), "{request}");
    let (status, problem) = stack.call(Method::POST, "/v1/requests", ask("ada@example.com")).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{problem}");

    for flags in [
        &["--recipients", "*@corp.example", "--scopes", "admin"][..],
        &["--agent", "--recipients", "*"],
    ] {
        let output = run(&mut answerback(&[&create[..], flags].concat()));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

/// Checks that the key can read requests and nothing else.
async fn check_scope(stack: &Stack) {
    let (status, _) = stack.call(Method::GET, "/v1/requests", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = stack.call(Method::POST, "/v1/requests", Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
}
