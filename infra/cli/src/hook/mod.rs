//! `answerback hook`: permission prompts and questions of coding agents, answered by people elsewhere.
//!
//! ```text
//! hook's JSON on stdin ─▶ request ─▶ wait ─┬─ people decided ─▶ the decision as JSON on stdout
//!                                          └─ anything else ──▶ nothing: the terminal decides
//! ```
//!
//! - **Silence is not consent.** Only a decision that people made in time is printed.
//! - Without a decision the request is cancelled, so a later tap does nothing.
//! - The exit code is 0 whatever happens. Agents read another one as a denial, or as a broken hook.

mod asking;
mod event;
mod install;
mod permission;
mod question;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::ensure;
use serde_json::Value;

use crate::{
    duration,
    exit::{Ended, Exit, Failure},
    files::read_stdin,
    output::print_line,
    printable::{printable_json, write_line},
    settings::AddressFlags,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback hook install claude --to ada@example.com
  answerback hook install codex --project --to ada@example.com --wait 2m
  answerback hook permission --to ada@example.com < event.json";

/// The hooks, and their installation.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Hook {
    /// Answer a permission prompt of Claude Code or Codex (the event `PermissionRequest`)
    ///
    /// Reads the event on stdin, asks people, and prints the decision for the agent. Prints nothing if
    /// they do not decide in time, so that the agent prompts at the terminal.
    Permission(HookFlags),
    /// Answer questions of Claude Code (the event `PreToolUse` of the tool `AskUserQuestion`)
    ///
    /// Reads the event on stdin, asks people, and prints the answers. Prints nothing if they do not
    /// answer in time, so that the agent asks at the terminal.
    AskUserQuestion(HookFlags),
    /// Add the hooks to the settings of an agent
    ///
    /// Shows the change and asks before it writes. Keeps everything else in the file as it is. A
    /// second run with other flags changes the hooks.
    Install(install::Install),
}

/// The flags of a hook.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HookFlags {
    /// Email address of a person to ask; repeat it for several. The first answer decides
    #[arg(long, value_name = "EMAIL", help_heading = "Question")]
    to: Vec<String>,
    /// Time to wait for the decision. Then the agent prompts at the terminal
    #[arg(long, value_name = "DURATION", default_value = "45s", value_parser = duration::positive,
        help_heading = "Question")]
    wait: Duration,
    #[command(flatten)]
    server: AddressFlags,
}

/// Runs a hook, or installs hooks.
pub(crate) async fn run(hook: Hook) -> Ended {
    match hook {
        Hook::Permission(flags) => Ok(report(permission(&flags).await)),
        Hook::AskUserQuestion(flags) => Ok(report(ask_user_question(&flags).await)),
        Hook::Install(install) => install::run(&install).await,
    }
}

async fn permission(flags: &HookFlags) -> Result<Option<Value>, Failure> {
    permission::decide(flags, &read_event()?).await
}

async fn ask_user_question(flags: &HookFlags) -> Result<Option<Value>, Failure> {
    question::answer(flags, &read_event()?).await
}

fn read_event() -> anyhow::Result<String> {
    ensure!(
        !io::stdin().is_terminal(),
        "agents run this and write an event to its stdin; `answerback hook install` sets it up"
    );
    read_stdin()
}

/// Prints what the agent shall do. A failure leaves the decision to the terminal.
fn report(decided: Result<Option<Value>, Failure>) -> Exit {
    let printed = match decided {
        Ok(None) => Ok(()),
        Ok(Some(output)) => print_line(&printable_json(&output.to_string())).map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = printed {
        write_line(&format!("answerback: {failure}; the terminal decides"));
    }
    Exit::Accepted
}
