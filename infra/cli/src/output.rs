//! Results on stdout, and for the next steps of a GitHub workflow.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use answerback::platform::config::required;
use anyhow::Context as _;
use serde_json::Value;

use crate::{
    printable::{printable, printable_json},
    request::{Outcome, Request, Shown},
};

/// The members of a recipient that let its holder answer.
const LINK_MEMBERS: [&str; 2] = ["answer_url", "code"];

/// The flags that choose the output of a command on one request.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct JsonFlags {
    /// Print the request as JSON
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// Show answer links, if the key may see them. Anyone who reads a link can answer with it
    #[arg(long, help_heading = "Output")]
    pub(crate) show_links: bool,
}

/// The flags that choose the output of `ask` and `wait`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct OutputFlags {
    #[command(flatten)]
    pub(crate) json: JsonFlags,
    /// Add `request_id`, `status`, `outcome`, `decision` and `decided_by` to the file `GITHUB_OUTPUT`
    #[arg(long, help_heading = "Output")]
    github_output: bool,
}

/// Answer links in printed JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Removed,
    Shown,
}

/// The outputs of a command.
pub(crate) struct Outputs {
    pub(crate) flags: JsonFlags,
    step: Option<StepOutputs>,
}

/// The file with the outputs of a workflow's step.
struct StepOutputs {
    path: PathBuf,
    file: File,
}

impl JsonFlags {
    /// The answer links that the flags ask for.
    pub(crate) fn links(self) -> Links {
        if self.show_links { Links::Shown } else { Links::Removed }
    }
}

impl Outputs {
    /// The outputs that the flags choose. A file that cannot be written fails here, before anyone is
    /// asked.
    pub(crate) fn new(flags: OutputFlags) -> anyhow::Result<Self> {
        let step = flags.github_output.then(StepOutputs::open).transpose()?;
        Ok(Self { flags: flags.json, step })
    }

    /// Prints `text`, or the request as JSON.
    pub(crate) fn print(&self, shown: &Shown, text: &str) -> anyhow::Result<()> {
        if self.flags.json {
            print_json(&shown.json, self.flags.links())
        } else if text.is_empty() {
            Ok(())
        } else {
            print_line(&printable(text))
        }
    }

    /// Adds the state of the request to the outputs of the workflow's step.
    pub(crate) fn set_step_outputs(&mut self, request: &Request) -> anyhow::Result<()> {
        let Some(step) = &mut self.step else { return Ok(()) };
        let id = request.id.to_string();
        let mut text = String::new();
        for (name, value) in [
            ("request_id", id.as_str()),
            ("status", request.status.as_str()),
            ("outcome", request.outcome.map_or("", Outcome::as_str)),
            ("decision", request.decision.as_deref().unwrap_or_default()),
            ("decided_by", request.decided_by.as_deref().unwrap_or_default()),
        ] {
            // A line break would set another output.
            let value = value.replace(['\r', '\n'], " ");
            writeln!(text, "{name}={value}").expect("a string takes everything");
        }
        let added = step.add(&text);
        added.with_context(|| cannot_write(&step.path))
    }
}

impl StepOutputs {
    fn open() -> anyhow::Result<Self> {
        let path: PathBuf = required("GITHUB_OUTPUT")
            .context("--github-output is for steps of a GitHub workflow")?;
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = file.with_context(|| cannot_write(&path))?;
        Ok(Self { path, file })
    }

    /// Adds lines. Another program may have left its last line without an end.
    fn add(&mut self, lines: &str) -> io::Result<()> {
        let mut last = [b'\n'];
        // The length of a pipe is 0.
        if self.file.metadata()?.len() > 0 {
            self.file.seek(SeekFrom::End(-1))?;
            self.file.read_exact(&mut last)?;
        }
        let end = if last == *b"\n" { "" } else { "\n" };
        self.file.write_all(format!("{end}{lines}").as_bytes())
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}` (GITHUB_OUTPUT)", path.display())
}

/// Prints JSON that a server sent.
pub(crate) fn print_json(json: &Value, links: Links) -> anyhow::Result<()> {
    let mut json = json.clone();
    if links == Links::Removed {
        remove_links(&mut json);
    }
    print_line(&printable_json(&serde_json::to_string_pretty(&json)?))
}

/// Prints a line on stdout.
pub(crate) fn print_line(text: &str) -> anyhow::Result<()> {
    print(format!("{text}\n").as_bytes())
}

/// Prints on stdout.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    io::stdout().write_all(bytes).context("cannot write to stdout")
}

/// Removes answer links and codes from a request, or from a list of requests.
fn remove_links(json: &mut Value) {
    match json {
        Value::Array(requests) => requests.iter_mut().for_each(remove_links),
        Value::Object(members) => {
            let recipients = members.get_mut("recipients").and_then(Value::as_array_mut);
            for recipient in recipients.into_iter().flatten() {
                for name in LINK_MEMBERS {
                    recipient.as_object_mut().map(|it| it.remove(name));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}
