//! The examples of docs/ci.md, run against the local stack as each CI system runs them.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use axum::http::Method;
use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

use super::{
    answer,
    command::{Asking, Place, stack},
    load,
};
use crate::stack::{Stack, until};

/// The variables that the CI systems set.
const VARIABLES: [(&str, &str); 5] = [
    ("GITHUB_SHA", "0123456789abcdef"),
    ("CI_COMMIT_SHORT_SHA", "01234567"),
    ("BUILDKITE_COMMIT", "0123456789abcdef"),
    ("RUN", "7"),
    ("VERSION", "v2.4.1"),
];
/// Variables with the identity of a run, which the idempotency keys contain.
const RUN_IDS: [&str; 3] = ["GITHUB_RUN_ID", "CI_PIPELINE_ID", "BUILDKITE_BUILD_ID"];

/// The code blocks of a section.
fn blocks(section: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ci.md");
    let page = std::fs::read_to_string(path).expect("the page exists");
    let section = page.split_once(&format!("\n## {section}\n")).expect("the section exists").1;
    let section = section.split("\n## ").next().expect("never empty");
    let begin = format!("\n```{language}\n");
    let blocks = section.split(&begin).skip(1);
    blocks.map(|it| it.split("\n```").next().expect("never empty").to_owned()).collect()
}

/// The lines of a step or a list of commands.
fn commands(node: &Yaml<'_>) -> Vec<String> {
    match node.as_str() {
        Some(text) => vec![text.to_owned()],
        None => node.as_sequence().expect("a list").iter().flat_map(commands).collect(),
    }
}

fn yaml(section: &str) -> Yaml<'static> {
    let [text] = blocks(section, "yaml").try_into().expect("one block");
    let mut documents = Yaml::load_from_str(text.leak()).expect("YAML");
    documents.remove(0)
}

/// A place with the script, a program that sends links, and one that deploys.
fn place(stack: &Stack) -> Place {
    let place = Place::of(stack);
    let [script, _] = blocks("The script", "bash").try_into().expect("two blocks");
    place.file("approve.sh", &script);
    // It reads its input, as `ssh` and `docker` do.
    place.file("send-link", "#!/bin/sh\ncat >/dev/null\necho \"$@\" >>sent\n");
    place.file("deploy.sh", "#!/bin/sh\ntouch deployed\n");
    for name in ["send-link", "deploy.sh"] {
        let file = place.home.path().join(name);
        std::fs::set_permissions(file, Permissions::from_mode(0o755)).expect("the file exists");
    }
    place
}

/// Bash with the lines in a file, as CI systems run them, in the environment of a run.
fn bash(place: &Place, lines: &[String], run: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_answerback"));
    let folder = program.parent().expect("a folder").to_str().expect("UTF-8");
    let inherited = std::env::var_os("PATH").expect("a path").into_string().expect("UTF-8");
    let settings = place.command(&[]);
    let mut bash = Command::new("bash");
    let step = place.file("step.sh", &lines.join("\n"));
    bash.args(["-e", step]).current_dir(place.home.path());
    bash.envs(settings.get_envs().filter_map(|(name, value)| Some((name, value?))));
    bash.envs(VARIABLES).envs(RUN_IDS.map(|it| (it, run)));
    bash.env("PATH", format!("{folder}:{inherited}"));
    bash.env("GITHUB_OUTPUT", place.home.path().join("output"));
    bash.stdin(Stdio::null());
    bash
}

/// Runs the lines, answers the question with `option`, and returns the exit code.
async fn run(stack: &Stack, place: &Place, lines: &[String], option: &str) -> Option<i32> {
    let mut child = bash(place, lines, option).stdout(Stdio::null()).spawn();
    let child = child.as_mut().expect("bash is installed");
    let id = asked(stack, place).await;
    answer(stack, &id, "ada@example.com", option).await;
    until("the job ends", async || child.try_wait().expect("it is our child process")).await.code()
}

/// The id of the request, once it exists and its links are sent.
async fn asked(stack: &Stack, place: &Place) -> String {
    let id = until("the question is asked", async || {
        let path = "/v1/requests?status=pending";
        let (_, list) = stack.call(Method::GET, path, Value::Null).await;
        list["data"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    until("the links are sent", async || {
        let sent = std::fs::read_to_string(place.home.path().join("sent")).ok()?;
        (sent.lines().count() == 2).then_some(())
    })
    .await;
    id
}

/// Checks that the job deploys only after an approval.
async fn check(stack: &Stack, lines: &[String]) {
    for (option, code) in [("reject", Some(1)), ("approve", Some(0))] {
        let place = place(stack);
        assert_eq!(run(stack, &place, lines, option).await, code, "{option}\n{lines:#?}");
        let is_deployed = place.home.path().join("deployed").exists();
        assert_eq!(is_deployed, option == "approve", "{lines:#?}");
    }
}

/// The commands of the steps of a GitHub job.
fn github_steps() -> Vec<String> {
    let job = yaml("GitHub Actions");
    let steps = job["jobs"]["deploy"]["steps"].as_sequence().expect("steps");
    steps.iter().filter_map(|it| it.as_mapping_get("run")).flat_map(commands).collect()
}

#[tokio::test]
async fn github_job_deploys_only_after_an_approval() {
    let stack = stack();
    let [ask, deploy] = github_steps().try_into().expect("two steps");
    // Each step is a process, and the second runs if the first succeeds.
    check(&stack, &[format!("( {ask} )"), deploy]).await;
}

#[tokio::test]
async fn signal_to_a_github_step_cancels_the_request() {
    let stack = stack();
    let place = place(&stack);
    let step = format!("{} --cancel-on-interrupt", github_steps()[0]);
    let mut step = Asking::start(&mut bash(&place, &[step], "7"));
    let id = asked(&stack, &place).await;
    // The line of `ask`, and that of `wait`.
    for _ in 0..2 {
        step.line(" pending, ");
    }
    step.signal("INT");
    step.end().await.with_code(130);
    assert_eq!(load(&stack, &id).await["status"], "cancelled");
}

#[tokio::test]
async fn gitlab_job_deploys_only_after_an_approval() {
    let stack = stack();
    check(&stack, &commands(&yaml("GitLab")["deploy"]["script"])).await;
}

#[tokio::test]
async fn buildkite_step_deploys_only_after_an_approval() {
    let stack = stack();
    check(&stack, &commands(&yaml("Buildkite")["steps"][0]["command"])).await;
}

#[tokio::test]
async fn plain_bash_deploys_only_after_an_approval() {
    let stack = stack();
    let [_, line] = blocks("The script", "bash").try_into().expect("two blocks");
    // The commit of a checkout, which a temporary folder has not.
    let line = line.replace("$(git rev-parse --short HEAD)", "$RUN");
    let line = line.replace("$(git rev-parse HEAD)", "$GITHUB_RUN_ID");
    check(&stack, &[line]).await;
}

#[tokio::test]
async fn rerun_of_the_script_asks_and_sends_links_only_once() {
    let stack = stack();
    let place = place(&stack);
    let lines = ["bash approve.sh 'Deploy?' deploy-7".to_owned()];
    assert_eq!(run(&stack, &place, &lines, "approve").await, Some(0));
    // The second run returns the decision of the first.
    let mut bash = bash(&place, &lines, "approve");
    let ended = bash.output().expect("bash is installed");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(crate::stack::text(&ended.stdout), "approve");
    let sent = std::fs::read_to_string(place.home.path().join("sent")).expect("links were sent");
    assert_eq!(sent.lines().count(), 2, "{sent}");
    let (_, list) = stack.call(Method::GET, "/v1/requests", Value::Null).await;
    assert_eq!(list["data"].as_array().expect("a list").len(), 1);
}
