//! Results on stdout, and for the next steps of a GitHub workflow.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, Write as _},
    path::PathBuf,
};

use answerback::platform::config::required;
use anyhow::Context as _;
use serde_json::Value;

use crate::request::{Outcome, Request, Shown};

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

/// The outputs of a command.
pub(crate) struct Outputs {
    pub(crate) flags: JsonFlags,
    github: Option<PathBuf>,
}

impl Outputs {
    /// The outputs that the flags choose.
    pub(crate) fn new(flags: OutputFlags) -> anyhow::Result<Self> {
        let github = if flags.github_output {
            let file = required("GITHUB_OUTPUT");
            Some(file.context("--github-output is for steps of a GitHub workflow")?)
        } else {
            None
        };
        Ok(Self { flags: flags.json, github })
    }

    /// Prints `text`, or the request as JSON.
    pub(crate) fn print(&self, shown: &Shown, text: &str) -> anyhow::Result<()> {
        if self.flags.json {
            print_json(&shown.json, self.flags)
        } else if text.is_empty() {
            Ok(())
        } else {
            print_line(text)
        }
    }

    /// Adds the state of the request to the outputs of the workflow's step.
    pub(crate) fn set_step_outputs(&self, request: &Request) -> anyhow::Result<()> {
        let Some(path) = &self.github else { return Ok(()) };
        let mut text = String::new();
        for (name, value) in [
            ("request_id", request.id.as_str()),
            ("status", request.status.as_str()),
            ("outcome", request.outcome.map_or("", Outcome::as_str)),
            ("decision", request.decision.as_deref().unwrap_or_default()),
            ("decided_by", request.decided_by.as_deref().unwrap_or_default()),
        ] {
            // A line break would set another output.
            let value = value.replace(['\r', '\n'], " ");
            writeln!(text, "{name}={value}").expect("a string takes everything");
        }
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut it| it.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write `{}` (GITHUB_OUTPUT)", path.display()))
    }
}

/// Prints JSON, without answer links unless the flags ask for them.
pub(crate) fn print_json(json: &Value, flags: JsonFlags) -> anyhow::Result<()> {
    let mut json = json.clone();
    if !flags.show_links {
        remove_links(&mut json);
    }
    print_line(&serde_json::to_string_pretty(&json)?)
}

/// Prints a line on stdout.
pub(crate) fn print_line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{text}").context("cannot write to stdout")
}

/// Removes answer links and codes from a request, or from a list of requests.
fn remove_links(json: &mut Value) {
    match json {
        Value::Array(requests) => requests.iter_mut().for_each(remove_links),
        Value::Object(_) => {
            for recipient in json["recipients"].as_array_mut().into_iter().flatten() {
                for name in LINK_MEMBERS {
                    recipient.as_object_mut().map(|it| it.remove(name));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}
