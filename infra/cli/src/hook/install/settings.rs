//! The settings of the agents, and the hooks in them.
//!
//! | agent | own settings | settings of a project | hooks |
//! |-------|--------------|-----------------------|-------|
//! | Claude Code | `~/.claude/settings.json` | `.claude/settings.json` | permissions, questions |
//! | Codex | `~/.codex/hooks.json` | `.codex/hooks.json` | permissions |

use std::{env, path::PathBuf};

use answerback::platform::config::optional;
use anyhow::Context as _;
use serde::Serialize;

use super::{
    super::{HookFlags, question::ASK_USER_QUESTION},
    timeout,
};

/// Shown by the agent while people are asked.
const STATUS: &str = "Asking people (Answerback)";

/// An agent with hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Agent {
    /// Claude Code
    Claude,
    /// Codex
    Codex,
}

/// A hook of ours.
pub(super) struct Hook {
    pub(super) event: &'static str,
    /// The command without flags, by which one in the settings is recognized.
    pub(super) program: &'static str,
    pub(super) group: Group,
}

/// Hooks for some tools, in the words of both agents. Without a matcher they are for all tools.
#[derive(Serialize)]
pub(super) struct Group {
    #[serde(skip_serializing_if = "Option::is_none")]
    matcher: Option<&'static str>,
    pub(super) hooks: [Handler; 1],
}

/// A command that the agent runs.
#[derive(Serialize)]
pub(super) struct Handler {
    #[serde(rename = "type")]
    kind: &'static str,
    pub(super) command: String,
    /// In seconds.
    pub(super) timeout: u64,
    #[serde(rename = "statusMessage")]
    status_message: &'static str,
}

impl Agent {
    /// The file with its hooks.
    pub(super) fn path(self, is_of_project: bool) -> anyhow::Result<PathBuf> {
        let (folder, variable, file) = match self {
            Self::Claude => (".claude", "CLAUDE_CONFIG_DIR", "settings.json"),
            Self::Codex => (".codex", "CODEX_HOME", "hooks.json"),
        };
        if is_of_project {
            let current = env::current_dir().context("the current folder cannot be read")?;
            return Ok(current.join(folder).join(file));
        }
        if let Some(chosen) = optional::<PathBuf>(variable)? {
            return Ok(chosen.join(file));
        }
        let home = optional::<PathBuf>("HOME")?;
        let home = home.context("HOME must be set, or --project be given")?;
        Ok(home.join(folder).join(file))
    }

    /// The user's next step.
    pub(super) fn next_step(self) -> &'static str {
        match self {
            Self::Claude => "new sessions use it; `/hooks` shows it",
            Self::Codex => "Codex asks you to trust the hook before it runs; see `/hooks`",
        }
    }
}

/// The hooks of an agent, with these flags.
pub(super) fn hooks(agent: Agent, flags: &HookFlags) -> Vec<Hook> {
    let permission = hook("PermissionRequest", None, "answerback hook permission", flags);
    let program = "answerback hook ask-user-question";
    match agent {
        Agent::Claude => {
            vec![permission, hook("PreToolUse", Some(ASK_USER_QUESTION), program, flags)]
        }
        Agent::Codex => vec![permission],
    }
}

fn hook(
    event: &'static str,
    matcher: Option<&'static str>,
    program: &'static str,
    flags: &HookFlags,
) -> Hook {
    let handler = Handler {
        kind: "command",
        command: command(program, flags),
        timeout: timeout(flags.wait),
        status_message: STATUS,
    };
    Hook { event, program, group: Group { matcher, hooks: [handler] } }
}

/// The command with its flags, for a shell.
fn command(program: &str, flags: &HookFlags) -> String {
    let mut command = program.to_owned();
    let mut add = |name: &str, value: &str| {
        command.extend([" ", name, " ", &quoted(value)]);
    };
    for to in &flags.to {
        add("--to", to);
    }
    add("--wait", &format!("{}s", flags.wait.as_secs().max(1)));
    if let Some(profile) = &flags.server.profile {
        add("--profile", profile);
    }
    if let Some(url) = &flags.server.url {
        add("--url", url);
    }
    command
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&it);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::AddressFlags;

    /// Flags that ask these people.
    pub(in super::super) fn flags(to: &[&str]) -> HookFlags {
        HookFlags {
            to: to.iter().map(|it| (*it).to_owned()).collect(),
            wait: Duration::from_secs(45),
            server: AddressFlags { url: None, profile: None },
        }
    }

    #[test]
    fn command_survives_the_shell() {
        let mut flags = flags(&["ada@example.com", "o'neil $(id)@example.com"]);
        flags.server.profile = Some("my agent".to_owned());
        let expected = r"answerback hook permission --to ada@example.com --to 'o'\''neil $(id)@example.com' --wait 45s --profile 'my agent'";
        assert_eq!(command("answerback hook permission", &flags), expected);
    }

    #[test]
    fn timeout_is_longer_than_the_wait() {
        for hook in hooks(Agent::Claude, &flags(&[])) {
            assert_eq!(hook.group.hooks[0].timeout, 75);
        }
    }
}
