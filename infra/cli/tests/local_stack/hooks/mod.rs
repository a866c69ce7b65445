//! The hooks of coding agents against the local stack, with events of the agents.
//!
//! The events in `golden/` have the members that these programs wrote on November 29, 2026, when a
//! scripted model on loopback called their tools. Names, paths and commands are others. The programs
//! took each output in `golden/`.
//!
//! - Claude Code 2.1.332. Documentation: <https://code.claude.com/docs/en/hooks> of August 22, 2026,
//!   and the types of npm's `@anthropic-ai/claude-agent-sdk` 0.3.332. `permission_suggestions` are
//!   those of the documentation.
//! - Codex 0.171.0. Documentation: `permission-request.command.input.schema.json` and
//!   `permission-request.command.output.schema.json` in that program, and
//!   <https://developers.openai.com/codex/hooks>.

mod failures;
mod install;

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    asking::{
        command::{Asking, Place, stack},
        load,
    },
    stack::{Stack, call},
};

const PERMISSION: [&str; 4] = ["hook", "permission", "--to", "ada@example.com"];
const QUESTION: [&str; 4] = ["hook", "ask-user-question", "--to", "ada@example.com"];

/// An event that an agent writes, or the output that it takes.
fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local_stack/hooks/golden");
    std::fs::read_to_string(folder.join(format!("{name}.json"))).expect("the file exists")
}

/// A place with the key of an agent, which cannot answer.
async fn agent(stack: &Stack) -> Place {
    let key = json!({ "name": "agent", "scopes": ["requests:read", "requests:ask"] });
    let (status, key) = stack.call(Method::POST, "/v1/keys", key).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    Place::with(&stack.base_url, key["key"].as_str().expect("a key"))
}

/// Answers by the link, as the recipient.
async fn answer(stack: &Stack, request: &Value, answer: Value) {
    let id = request["id"].as_str().expect("an id");
    let request = load(stack, id).await;
    let link = request["recipients"][0]["answer_url"].as_str().expect("a link");
    let url = link.replace("/a/", "/v1/answers/");
    let (status, response) = call(Method::POST, &url, &[], answer.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{response}");
}

/// The command that an installed hook runs, as the agent runs it.
fn installed(place: &Place, vendor: &str, event: &str) -> Command {
    let file = if vendor == "claude" { ".claude/settings.json" } else { ".codex/hooks.json" };
    let text = std::fs::read_to_string(place.home.path().join(file)).expect("it was installed");
    let settings: Value = serde_json::from_str(&text).expect("JSON");
    let line = settings["hooks"][event][0]["hooks"][0]["command"].as_str().expect("a command");
    let program = Path::new(env!("CARGO_BIN_EXE_answerback"));
    let folder = program.parent().expect("a folder").to_str().expect("UTF-8");
    let inherited = std::env::var_os("PATH").expect("a path").into_string().expect("UTF-8");
    let environment = place.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(place.home.path());
    shell.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", format!("{folder}:{inherited}")).stdin(Stdio::piped());
    shell
}

#[tokio::test]
async fn decision_of_a_person_is_printed_as_each_vendor_expects() {
    let stack = stack();
    for vendor in ["claude", "codex"] {
        let place = agent(&stack).await;
        place.run(&["hook", "install", vendor, "--to", "ada@example.com", "--yes"]).with_code(0);
        for (reply, expected) in [
            (json!({ "option": "approve" }), "allow"),
            (json!({ "option": "reject", "fields": { "reason": " Not on Fridays. " } }), "deny"),
        ] {
            let mut hook = installed(&place, vendor, "PermissionRequest");
            let mut asking =
                Asking::start_with(&mut hook, &golden(&format!("{vendor}/permission")));
            let request = load(&stack, &asking.id()).await;
            assert_eq!(request["title"], "Allow Bash in shop?");
            assert_eq!(request["action"]["name"], "Bash");
            assert_eq!(request["action"]["args"]["command"], "rm -rf node_modules");
            answer(&stack, &request, reply).await;
            let ended = asking.end().await.with_code(0);
            assert_eq!(ended.stdout, golden(&format!("{vendor}/{expected}")), "{}", ended.stderr);
            let id = request["id"].as_str().expect("an id");
            let n_used = u32::from(expected == "allow");
            assert_eq!(load(&stack, id).await["consume"]["consumed"], n_used);
        }
    }
}

#[tokio::test]
async fn approved_plan_of_claude_is_returned_with_its_input() {
    let stack = stack();
    let place = agent(&stack).await;
    let mut asking = place.start_with(&PERMISSION, &golden("claude/plan"));
    let request = load(&stack, &asking.id()).await;
    assert_eq!(request["title"], "Allow ExitPlanMode in shop?");
    answer(&stack, &request, json!({ "option": "approve" })).await;
    let ended = asking.end().await.with_code(0);
    assert_eq!(ended.stdout, golden("claude/plan_allow"), "{}", ended.stderr);
}

#[tokio::test]
async fn no_decision_in_time_leaves_it_to_the_terminal() {
    let stack = stack();
    let place = agent(&stack).await;
    let event = golden("claude/permission");
    let mut asking = place.start_with(&[&PERMISSION[..], &["--wait", "1s"]].concat(), &event);
    let id = asking.id();
    let ended = asking.end().await.with_code(0);
    assert_eq!(ended.stdout, "");
    let expected = format!("cancelled {id}; the terminal decides");
    assert!(ended.stderr.lines().any(|it| it == expected), "{}", ended.stderr);
    assert_eq!(load(&stack, &id).await["status"], "cancelled");
}

#[tokio::test]
async fn request_that_others_cancel_leaves_it_to_the_terminal() {
    let stack = stack();
    let place = agent(&stack).await;
    let mut asking = place.start_with(&PERMISSION, &golden("claude/permission"));
    place.run(&["cancel", &asking.id()]).with_code(0);
    assert_eq!(asking.end().await.with_code(0).stdout, "");
}

#[tokio::test]
async fn decision_at_the_terminal_cancels_the_request() {
    let stack = stack();
    let place = agent(&stack).await;
    for signal in ["TERM", "INT"] {
        let mut asking = place.start_with(&PERMISSION, &golden("codex/permission"));
        let id = asking.id();
        asking.signal(signal);
        let ended = asking.end().await.with_code(0);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains(&format!("interrupted; cancelled {id}")), "{}", ended.stderr);
        assert_eq!(load(&stack, &id).await["status"], "cancelled");
    }
}

#[tokio::test]
async fn key_of_the_test_mode_allows_nothing() {
    let stack = stack();
    let key = json!({ "scopes": ["requests:read", "requests:write"], "livemode": false });
    let (status, key) = stack.call(Method::POST, "/v1/keys", key).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    let key = key["key"].as_str().expect("a key");
    let place = Place::with(&stack.base_url, key);
    let mut asking = place.start_with(&PERMISSION, &golden("claude/permission"));
    let url = format!("{}/v1/requests/{}", stack.base_url, asking.id());
    let authorization = format!("Bearer {key}");
    let (_, request) = call(Method::GET, &url, &[("authorization", &authorization)], "").await;
    let link = request["recipients"][0]["answer_url"].as_str().expect("a link");
    let url = link.replace("/a/", "/v1/answers/");
    let (status, response) = call(Method::POST, &url, &[], r#"{"option": "approve"}"#).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    let ended = asking.end().await.with_code(0);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("test mode, which decides nothing"), "{}", ended.stderr);
}

#[tokio::test]
async fn hook_that_cannot_ask_says_why_and_prints_nothing() {
    // A port that was free a moment ago.
    let port = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}", port.local_addr().expect("it listens"));
    drop(port);
    let nowhere = Place::with(&url, "ab_live_x");
    let stack = stack();
    let place = agent(&stack).await;
    let event = golden("claude/permission");
    let large = event.replace("rm -rf", &"x".repeat(17 * 1024));
    let twice = event.replace("\"command\":", "\"description\": \"\", \"command\":");
    let wait = ["--wait", "1s"];
    for (place, input, expected) in [
        (&nowhere, &*event, "no response from http://127.0.0.1"),
        (&Place::empty(), &event, "run `answerback login`"),
        (&place, &large, "`/action/args`"),
        (&place, &twice, "`description` is duplicated"),
        (&place, &golden("claude/question"), "for the event PermissionRequest, not PreToolUse"),
        (&place, "{}", "stdin is not an event of a tool's hook"),
    ] {
        let mut asking = place.start_with(&[&PERMISSION[..], &wait].concat(), input);
        asking.line(expected);
        let ended = asking.end().await.with_code(0);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("the terminal decides"), "{}", ended.stderr);
    }
    // Agents read 2 as a denial.
    place.run(&["hook", "permission", "--too", "ada@example.com"]).with_code(1);
    place.run(&["hook", "permission", "--help"]).with_code(0);
}

#[tokio::test]
async fn local_stack_of_the_folder_approves_nothing() {
    let stack = stack();
    let place = Place::empty();
    let folder = place.home.path().join(".answerback");
    std::fs::create_dir(&folder).expect("the home exists");
    let file = folder.join("dev.json");
    std::fs::write(&file, stack.ready.to_string()).expect("the folder exists");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("the file exists");
    place.run(&["list"]).with_code(0);
    for flags in [&[][..], &["--url", &stack.base_url]] {
        let flags = [&PERMISSION[..], flags].concat();
        let ended = place.run_with(&flags, &golden("claude/permission")).with_code(0);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("which an agent could fake"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn questions_of_claude_are_answered_by_a_person() {
    let stack = stack();
    let place = agent(&stack).await;
    let many = json!({
        "question_1": "Summary",
        "question_2": ["Introduction", "Conclusion"],
    });
    let preview = "- Vue: Less code\n\n      <template>\n        <app />\n      </template>\n";
    for (event, title, text, reply, expected) in [
        (
            "claude/question",
            "Which framework?",
            preview,
            json!({ "option": "Vue" }),
            "claude/answer",
        ),
        (
            "claude/questions",
            "An agent asks in shop",
            "- Methods: How it was done\n- Conclusion: Final summary\n",
            json!({ "fields": many }),
            "claude/answers",
        ),
    ] {
        let mut asking = place.start_with(&QUESTION, &golden(event));
        let request = load(&stack, &asking.id()).await;
        assert_eq!(request["title"], title);
        let body = request["body"].as_str().expect("a body");
        assert!(body.contains(text), "{body}");
        answer(&stack, &request, reply).await;
        let ended = asking.end().await.with_code(0);
        assert_eq!(ended.stdout, golden(expected), "{}", ended.stderr);
    }
    // The permission for a question is no answer.
    let event = golden("claude/question").replace("PreToolUse", "PermissionRequest");
    let ended = place.run_with(&PERMISSION, &event).with_code(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}
