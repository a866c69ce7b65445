//! `answerback hook install`: the hooks in the settings of an agent.

mod edit;
mod json;
mod settings;

use std::{
    fs,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use similar::TextDiff;

use super::HookFlags;
use crate::{
    exit::{Ended, Exit},
    files::{Modes, replace, resolve},
    output::print,
    printable::{printable, write_line},
    signals::Signals,
};
use settings::{Agent, hooks};

/// Lines around a change in the shown difference.
const CONTEXT_LINES: usize = 2;
/// Permissions of what is new. Settings may contain secrets.
const NEW_FILE_MODES: Modes = Modes { file: 0o600, folder: 0o755 };

/// The flags of `answerback hook install`.
#[derive(Debug, clap::Args)]
pub(crate) struct Install {
    /// Agent whose settings get the hooks
    #[arg(value_enum)]
    agent: Agent,
    /// Write the settings of the project in this folder, which all who work on it share [default: your
    /// own settings]
    #[arg(long)]
    project: bool,
    /// Write without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    hook: HookFlags,
}

/// Shows the change, asks, and writes it.
pub(crate) async fn run(install: &Install) -> Ended {
    let mut signals = Signals::new()?;
    tokio::select! {
        biased;
        exit = signals.next() => {
            write_line("interrupted; nothing was written");
            Ok(exit)
        }
        installed = write(install) => Ok(installed?),
    }
}

async fn write(install: &Install) -> anyhow::Result<Exit> {
    let path = resolve(&install.agent.path(install.project)?)?;
    let shown = printable(&path.display().to_string());
    let old = read(&path)?;
    let mut new = old.clone().unwrap_or_default();
    for hook in hooks(install.agent, &install.hook) {
        new = edit::add(&new, &hook).with_context(|| format!("`{shown}` was not changed"))?;
    }
    if old.as_ref() == Some(&new) {
        write_line(&format!("`{shown}` has these hooks already"));
        return Ok(Exit::Accepted);
    }
    show(&shown, old.as_deref().unwrap_or_default(), &new)?;
    if !install.yes && !confirm(&shown).await? {
        write_line("nothing was written");
        return Ok(Exit::Otherwise);
    }
    let mode = fs::metadata(&path).map(|it| it.permissions().mode() & 0o7777);
    replace(&path, &new, Modes { file: mode.unwrap_or(NEW_FILE_MODES.file), ..NEW_FILE_MODES })?;
    write_line(&format!("wrote `{shown}`; {}", install.agent.next_step()));
    Ok(Exit::Accepted)
}

/// The text of the file, if it exists.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// Prints the difference.
fn show(path: &str, old: &str, new: &str) -> anyhow::Result<()> {
    let diff = TextDiff::from_lines(old, new);
    let diff = diff.unified_diff().context_radius(CONTEXT_LINES).header(path, path).to_string();
    // The file may be one of a project that others wrote.
    let lines: Vec<String> = diff.lines().map(|it| printable(&it.replace('\t', "    "))).collect();
    print(format!("{}\n", lines.join("\n")).as_bytes())
}

/// Asks at the terminal.
async fn confirm(path: &str) -> anyhow::Result<bool> {
    ensure!(
        io::stdin().is_terminal() && io::stderr().is_terminal(),
        "there is no terminal to ask for a confirmation; --yes writes without it"
    );
    write!(io::stderr(), "Write `{path}`? [y/N] ").context("cannot write to the terminal")?;
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let line =
        line.await.context("cannot read the terminal")?.context("cannot read the terminal")?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The time after which an agent may end a hook that waits so long: there is some for the last calls.
fn timeout(wait: Duration) -> u64 {
    const LAST_CALLS: Duration = Duration::from_secs(30);
    (wait + LAST_CALLS).as_secs()
}
