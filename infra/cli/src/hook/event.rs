//! Events of agents, as their hooks get them.
//!
//! <https://code.claude.com/docs/en/hooks>, <https://developers.openai.com/codex/hooks>

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest part of a title that an event fills, in characters.
const PART_CHARS_MAX: usize = 60;

/// The parts of an event that this program uses. Others come with new versions of the agents.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    hook_event_name: String,
    session_id: String,
    cwd: String,
    pub(super) tool_name: String,
    #[serde(borrow)]
    pub(super) tool_input: &'a RawValue,
}

impl<'a> Event<'a> {
    /// Reads an event of this name.
    pub(super) fn read(text: &'a str, name: &str) -> anyhow::Result<Self> {
        let event: Self =
            serde_json::from_str(text).context("stdin is not an event of a tool's hook")?;
        ensure!(
            event.hook_event_name == name,
            "this hook is for the event {name}, not {}",
            shown(&event.hook_event_name)
        );
        Ok(event)
    }

    /// The tool's name, in a title.
    pub(super) fn tool(&self) -> String {
        shown(&self.tool_name)
    }

    /// The name of the folder that the agent works in, in a title.
    pub(super) fn folder(&self) -> String {
        let name = Path::new(&self.cwd).file_name().and_then(|it| it.to_str());
        shown(name.unwrap_or(&self.cwd))
    }

    /// The folder and the session, in Markdown.
    pub(super) fn place(&self) -> String {
        format!("Folder {}, session {}.", code(&self.cwd), code(&self.session_id))
    }
}

/// Text of an event on one line, at a length for a title.
fn shown(text: &str) -> String {
    shortened(text, PART_CHARS_MAX)
}

/// Text on one line, with at most this many characters.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    let line = text.split(|it: char| it.is_whitespace() || it.is_control());
    let line = line.filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars_max {
        return line;
    }
    line.chars().take(chars_max - 1).chain(['…']).collect()
}

/// Text as code in Markdown, which it cannot end.
fn code(text: &str) -> String {
    format!("`{}`", shortened(text, 4 * PART_CHARS_MAX).replace('`', "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_an_event_stay_in_their_place() {
        let text = r#"{"hook_event_name": "PermissionRequest", "session_id": "s` **bold**",
            "cwd": "/home/ada/my\nshop", "tool_name": "Bash", "tool_input": {}, "new": [1]}"#;
        let event = Event::read(text, "PermissionRequest").expect("an event");
        assert_eq!(event.folder(), "my shop");
        assert_eq!(event.place(), "Folder `/home/ada/my shop`, session `s' **bold**`.");
        assert_eq!(shortened("ab  cd", 5), "ab cd");
        assert_eq!(shortened("abcdef", 5), "abcd…");
        let error = Event::read(text, "PreToolUse").err().expect("another event");
        assert_eq!(
            error.to_string(),
            "this hook is for the event PreToolUse, not PermissionRequest"
        );
    }
}
