//! `answerback ask` and `answerback wait` against the local stack: one test per exit code, signals,
//! restarts of the server, and reruns of a CI job.

mod action;
pub(crate) mod command;
mod docs;
pub(crate) mod failures;
mod other;
#[cfg(target_os = "linux")]
mod terminal;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::Stack;
use command::{Place, stack, stack_on};

const WAIT: [&str; 3] = ["ask", "Deploy?", "--wait"];

/// Answers as a recipient.
async fn answer(stack: &Stack, id: &str, recipient: &str, option: &str) {
    let body = json!({ "recipient": recipient, "option": option });
    let path = format!("/v1/requests/{id}/responses");
    let (status, response) = stack.call(Method::POST, &path, body).await;
    assert_eq!(status, StatusCode::OK, "{response}");
}

/// Loads a request.
pub(crate) async fn load(stack: &Stack, id: &str) -> Value {
    let (status, request) =
        stack.call(Method::GET, &format!("/v1/requests/{id}"), Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{request}");
    request
}

fn with<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [&WAIT[..], flags].concat()
}

#[tokio::test]
async fn accepted_decision_is_printed_and_exits_with_0() {
    let stack = stack();
    let place = Place::of(&stack);
    let to = ["--to", "ada@example.com", "--to", "bob@example.com", "--reference", "v2"];
    let mut asking = place.start(&with(&to));
    let id = asking.id();
    let request = load(&stack, &id).await;
    assert_eq!(request["external_reference_id"], "v2");
    assert_eq!(request["options"][0]["value"], "approve");
    answer(&stack, &id, "ada@example.com", "approve").await;
    answer(&stack, &id, "bob@example.com", "approve").await;

    let ended = asking.end().await.with_code(0);
    assert_eq!(ended.stdout, "approve\n");
    for line in [
        "ada@example.com answered: approve".to_owned(),
        "bob@example.com answered: approve".to_owned(),
        format!("{id} completed, decision: approve"),
    ] {
        assert!(ended.stderr.lines().any(|it| it == line), "{line}\n{}", ended.stderr);
    }
    // The key may see links, and a log is no place for them.
    assert!(!ended.stderr.contains("/a/"), "{}", ended.stderr);
}

#[tokio::test]
async fn other_decision_and_veto_exit_with_1() {
    let stack = stack();
    let place = Place::of(&stack);
    let to = ["--to", "ada@example.com", "--to", "bob@example.com", "--veto", "reject"];
    for (flags, outcome) in [(&to[..2], "completed"), (&to, "vetoed")] {
        let mut asking = place.start(&with(flags));
        let id = asking.id();
        answer(&stack, &id, "ada@example.com", "reject").await;
        let ended = asking.end().await.with_code(1);
        assert_eq!(ended.stdout, "reject\n");
        assert!(ended.stderr.contains(&format!("{id} {outcome}")), "{}", ended.stderr);
        let ended = place.run(&["wait", &id, "--accept", "reject"]);
        ended.with_code(i32::from(outcome == "vetoed"));
    }
}

#[tokio::test]
async fn deadline_without_accepted_decision_exits_with_3() {
    let stack = stack();
    let place = Place::of(&stack);
    let soon = ["--to", "ada@example.com", "--deadline", "5s", "--on-deadline"];
    let runs = ["expire", "reject", "approve"]
        .map(|on_deadline| place.start(&with(&[&soon[..], &[on_deadline]].concat())));
    let expected = [(3, ""), (3, "reject\n"), (0, "approve\n")];
    for (asking, (code, stdout)) in runs.into_iter().zip(expected) {
        let ended = asking.end().await.with_code(code);
        assert_eq!(ended.stdout, stdout);
    }
}

#[tokio::test]
async fn cancelled_request_exits_with_4() {
    let stack = stack();
    let place = Place::of(&stack);
    let mut asking = place.start(&WAIT);
    let id = asking.id();
    let cancelled = place.run(&["cancel", &id, "--reason", "The build failed."]).with_code(0);
    assert_eq!(cancelled.stderr, format!("cancelled {id}\n"));
    let shown = place.run(&["show", &id, "--json"]);
    assert!(shown.stdout.contains("The build failed."), "{}", shown.stdout);
    let ended = asking.end().await.with_code(4);
    assert_eq!(ended.stdout, "");
    // A repeated cancel finds what it wants.
    place.run(&["cancel", &id]).with_code(0);
}

#[tokio::test]
async fn wrong_command_lines_and_settings_exit_with_2() {
    let place = Place::with("http://127.0.0.1:9", "ab_live_x");
    for (flags, expected) in [
        (&["--accept", "maybe"][..], "`maybe` is not one of the options: approve, reject"),
        (&["--deadline", "soon"], "must be a duration such as `2h`"),
        (&["--option", ":Yes"], "must be VALUE:LABEL"),
        (&["--body-file", "missing.md"], "cannot read `missing.md`"),
        (&["--body-file", "-", "--action-file", "-"], "only one of"),
        (&["--github-output"], "`GITHUB_OUTPUT` must be set"),
        (&["--url", "http://answerback.example.com"], "must be https"),
        (&["--profile", "work"], "no profile `work`; profiles: none"),
        (&["--consume-count", "2"], "--action-file"),
        (&["--option", "approve:Approve:primry"], "`primry` must be one of the styles primary"),
        (&["--idempotency-key", "größe"], "must be 1 to 255 printable ASCII characters"),
        (&["--idempotency-key", ""], "must be 1 to 255 printable ASCII characters"),
        (
            &["--quorum", "2", "--accept", "approve", "--accept", "reject"],
            "a number as --quorum allows one --accept",
        ),
    ] {
        let ended = place.run(&with(flags)).with_code(2);
        assert!(ended.stderr.contains(expected), "{expected}\n{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    let ended = Place::empty().run(&WAIT).with_code(2);
    assert!(ended.stderr.contains("run `answerback login`"), "{}", ended.stderr);
    let ended = place.run(&["ask", "Deploy?", "--wait-timeout", "5s"]).with_code(2);
    assert!(ended.stderr.contains("require --wait"), "{}", ended.stderr);
    for arguments in [
        &["wait", "../keys"][..],
        &["show", "req_1"],
        &["list", "--show-links"],
        &["cancel", "req_00000000000000000000000000", "--show-links"],
        &["login", "--profile", ""],
    ] {
        place.run(arguments).with_code(2);
    }
}

#[tokio::test]
async fn refused_calls_exit_with_5() {
    let stack = stack();
    let place = Place::of(&stack);
    let key = json!({ "scopes": ["requests:read"] });
    let (_, key) = stack.call(Method::POST, "/v1/keys", key).await;
    let reader = Place::with(&stack.base_url, key["key"].as_str().expect("a key"));
    let stranger = Place::with(&stack.base_url, "ab_live_00000000000000000000000000_wrong");
    for (place, flags, expected) in [
        (&stranger, &[][..], "(401 unauthorized)"),
        (&reader, &[], "(403 forbidden)"),
        (&place, &["--to", "nowhere"], "(422 invalid_request)"),
        (&place, &["--to", "nowhere"], "`/recipients/0"),
    ] {
        let ended = place.run(&with(flags)).with_code(5);
        assert!(ended.stderr.contains(expected), "{expected}\n{}", ended.stderr);
        assert!(ended.stderr.starts_with("error: the server refused"), "{}", ended.stderr);
    }
    let ended = place.run(&["wait", "req_00000000000000000000000000"]).with_code(5);
    assert!(ended.stderr.contains("(404 not_found)"), "{}", ended.stderr);
}

#[tokio::test]
async fn unreachable_server_exits_with_6() {
    // A port that was free a moment ago.
    let port = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}", port.local_addr().expect("it listens"));
    drop(port);
    let place = Place::with(&url, "ab_live_x");
    let ended = place.run(&with(&["--give-up", "1s"])).with_code(6);
    assert!(ended.stderr.contains("trying again, because of: no response"), "{}", ended.stderr);
    assert!(ended.stderr.contains("error: no success within 1 s"), "{}", ended.stderr);
    place.run(&["list", "--give-up", "0s"]).with_code(6);
}

#[tokio::test]
async fn pending_request_after_wait_timeout_exits_with_124() {
    let stack = stack();
    let place = Place::of(&stack);
    let mut asking = place.start(&with(&["--wait-timeout", "1s", "--json"]));
    let id = asking.id();
    let ended = asking.end().await.with_code(124);
    assert!(ended.stderr.contains(&format!("{id} is still pending after 1 s")), "{}", ended.stderr);
    let printed: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&printed["id"], &printed["status"]), (&json!(id), &json!("pending")));
    assert!(!ended.stdout.contains("answer_url"), "{}", ended.stdout);
    assert_eq!(load(&stack, &id).await["status"], "pending");
    place.run(&["wait", &id, "--wait-timeout", "1s"]).with_code(124);
}

#[tokio::test]
async fn signals_exit_with_130_and_143_and_cancel_if_asked() {
    let stack = stack();
    let place = Place::of(&stack);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        for (flags, status) in [(&[][..], "pending"), (&["--cancel-on-interrupt"], "cancelled")] {
            let mut asking = place.start(&with(flags));
            let id = asking.id();
            asking.signal(signal);
            let ended = asking.end().await.with_code(code);
            assert!(ended.stderr.contains("interrupted; "), "{}", ended.stderr);
            assert_eq!(load(&stack, &id).await["status"], status, "{signal}");
        }
    }
}

#[tokio::test]
async fn wait_survives_a_server_that_is_killed_and_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(folder.path(), &[]);
    let port = stack.base_url.rsplit_once(':').expect("a port").1.to_owned();
    let place = Place::of(&stack);
    let mut asking = place.start(&with(&["--to", "ada@example.com"]));
    let id = asking.id();
    stack.kill();
    asking.line("trying again, because of: no response");
    let stack = stack_on(folder.path(), &port);
    asking.line("the server responds again");
    answer(&stack, &id, "ada@example.com", "approve").await;
    assert_eq!(asking.end().await.with_code(0).stdout, "approve\n");
}

#[tokio::test]
async fn rerun_of_a_ci_job_continues_with_the_same_request() {
    let stack = stack();
    let place = Place::of(&stack);
    let job =
        with(&["--to", "ada@example.com", "--idempotency-key", "deploy-7", "--deadline", "2h"]);
    let mut first = place.start(&job);
    let id = first.id();
    // The machine of the job dies.
    first.signal("KILL");
    assert_eq!(first.end().await.code, None);

    let mut second = place.start(&job);
    second.line("an earlier run with this idempotency key asked already");
    assert_eq!(second.id(), id);
    answer(&stack, &id, "ada@example.com", "approve").await;
    assert_eq!(second.end().await.with_code(0).stdout, "approve\n");

    // A job that is run again after the decision.
    let third = place.run(&job).with_code(0);
    assert_eq!(third.stdout, "approve\n");
    assert!(third.stderr.contains(&id), "{}", third.stderr);
    // Another question under the same key is a mistake.
    let other = [&job[..], &["--reference", "other"]].concat();
    let refused = place.run(&other).with_code(5);
    assert!(refused.stderr.contains("(422 idempotency_key_reused)"), "{}", refused.stderr);
}
