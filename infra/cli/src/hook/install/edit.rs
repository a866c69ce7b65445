//! The change of settings: a hook is added, or ours in them is changed.

use serde::Serialize;
use serde_json::{Value, json, ser::PrettyFormatter};

use super::{
    json::{Node, replaced, unit_of},
    settings::Hook,
};

const HOOKS: &str = "hooks";
const COMMAND: &str = "command";
const TIMEOUT: &str = "timeout";

/// A handler of ours in the settings.
struct Installed<'a> {
    handler: Node<'a>,
    /// The folder of the program in its command.
    folder: String,
}

/// The settings with this hook. Everything else stays as it is, byte for byte.
pub(super) fn add(settings: &str, hook: &Hook) -> anyhow::Result<String> {
    let settings = if settings.trim().is_empty() { "{}\n" } else { settings };
    let root = Node::root(settings)?;
    let group = pretty(settings, &hook.group);
    let Some(hooks) = root.member(HOOKS)? else {
        let events = pretty(settings, &json!({ hook.event: [] }));
        let with_event = root.append(&format!("\"{HOOKS}\": {events}"))?;
        return add(&with_event, hook);
    };
    let Some(groups) = hooks.member(hook.event)? else {
        let with_event = hooks.append(&format!("\"{}\": []", hook.event))?;
        return add(&with_event, hook);
    };
    match find(groups, hook)? {
        Some(installed) => update(settings, &installed, hook),
        None => groups.append(&group),
    }
}

/// Our handler in the groups of an event.
fn find<'a>(groups: Node<'a>, hook: &Hook) -> anyhow::Result<Option<Installed<'a>>> {
    for group in groups.elements()? {
        let Some(handlers) = group.member(HOOKS)? else { continue };
        for handler in handlers.elements()? {
            let Some(Value::String(command)) = handler.member(COMMAND)?.map(Node::value) else {
                continue;
            };
            if let Some(folder) = folder_of(&command, hook.program) {
                let folder = folder.to_owned();
                return Ok(Some(Installed { handler, folder }));
            }
        }
    }
    Ok(None)
}

/// The folder of the program in our command, as it is written there. `None` for another command.
fn folder_of<'a>(command: &'a str, program: &str) -> Option<&'a str> {
    let (folder, flags) = command.split_once(program)?;
    let is_ours = (folder.is_empty() || folder.ends_with('/'))
        && (flags.is_empty() || flags.starts_with(' '));
    is_ours.then_some(folder)
}

/// The settings with our command and its timeout in this handler. Its other members stay.
fn update(settings: &str, installed: &Installed<'_>, hook: &Hook) -> anyhow::Result<String> {
    let Installed { handler, folder } = installed;
    let [ours] = &hook.group.hooks;
    let command = format!("{folder}{}", ours.command);
    for (name, value) in [(COMMAND, json!(command)), (TIMEOUT, json!(ours.timeout))] {
        let changed = match handler.member(name)? {
            Some(it) if it.value() == value => continue,
            Some(it) => replaced(settings, it.place(), &value.to_string()),
            None => handler.append(&format!("\"{name}\": {value}"))?,
        };
        return add(&changed, hook);
    }
    Ok(settings.to_owned())
}

/// A value on lines, indented as the settings are.
fn pretty(settings: &str, value: &impl Serialize) -> String {
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(unit_of(settings).as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value.serialize(&mut serializer).expect("it has no maps with other keys than texts");
    String::from_utf8(text).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::install::settings::{Agent, hooks, tests::flags};

    fn added(settings: &str, agent: Agent, to: &[&str]) -> Result<String, String> {
        hooks(agent, &flags(to)).iter().try_fold(settings.to_owned(), |settings, hook| {
            add(&settings, hook).map_err(|err| format!("{err:#}"))
        })
    }

    const NEW: &str = r#"{
  "hooks": {
    "PermissionRequest": [
      {
        "hooks": [
          {
            "type": "command",
            "command": "answerback hook permission --to ada@example.com --wait 45s",
            "timeout": 75,
            "statusMessage": "Asking people (Answerback)"
          }
        ]
      }
    ]
  }
}
"#;

    #[test]
    fn empty_settings_get_the_hook() {
        for empty in ["", " \n", "{}\n"] {
            assert_eq!(added(empty, Agent::Codex, &["ada@example.com"]).as_deref(), Ok(NEW));
        }
    }

    #[test]
    fn other_settings_stay_byte_for_byte() {
        let settings = "{\r\n\t\"z\": 1.0,\r\n\t\"hooks\": { \"Stop\": [ {\"hooks\":[]} ] },\r\n\t\"a\":  [1,\"\\u00e9\"]\r\n}";
        let new = added(settings, Agent::Claude, &["ada@example.com"]).expect("valid settings");
        let [before, after] = [
            "{\r\n\t\"z\": 1.0,\r\n\t\"hooks\": { \"Stop\": [ {\"hooks\":[]} ], \"PermissionRequest\": [",
            " },\r\n\t\"a\":  [1,\"\\u00e9\"]\r\n}",
        ];
        assert!(new.starts_with(before) && new.ends_with(after), "{new}");
        assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
        let value: Value = serde_json::from_str(&new).expect("JSON");
        assert_eq!(value["hooks"]["PreToolUse"][0]["matcher"], "AskUserQuestion");
        assert_eq!(value["hooks"]["Stop"], json!([{ "hooks": [] }]));
    }

    #[test]
    fn second_install_changes_nothing_or_only_the_flags() {
        let first = added("", Agent::Claude, &["ada@example.com"]).expect("settings");
        assert_eq!(added(&first, Agent::Claude, &["ada@example.com"]).as_ref(), Ok(&first));
        let own = first
            .replace("\"timeout\": 75,", "\"timeout\": 60,\n            \"onFailure\": \"block\",")
            .replace("\"answerback hook", "\"/opt/bin/answerback hook");
        let second = added(&own, Agent::Claude, &["bob@example.com"]).expect("settings");
        let expected = own.replace("\"timeout\": 60", "\"timeout\": 75").replace("ada@", "bob@");
        assert_eq!(second, expected);
    }

    #[test]
    fn groups_of_others_stay_next_to_ours() {
        let theirs = NEW.replace("answerback hook permission", "answerback hook permissions");
        let new = added(&theirs, Agent::Codex, &["bob@example.com"]).expect("settings");
        let value: Value = serde_json::from_str(&new).expect("JSON");
        assert_eq!(value["hooks"]["PermissionRequest"].as_array().map(Vec::len), Some(2));
        assert_eq!(new[..theirs.len() - 14], theirs[..theirs.len() - 14]);
    }

    #[test]
    fn malformed_settings_are_refused_with_their_place() {
        for (settings, expected) in [
            (
                "{\n  // a comment\n}",
                "it is not valid JSON: key must be a string at line 2 column 3",
            ),
            ("{\"a\": 1,}", "it is not valid JSON: key must be a string at line 1 column 9"),
            ("[]", "the value at line 1 column 1 must be an object"),
            ("{\n  \"hooks\": []}", "the value at line 2 column 12 must be an object"),
            (
                "{\"hooks\": {\"PermissionRequest\": 1}}",
                "the value at line 1 column 33 must be an array",
            ),
            ("{\"hooks\": {}, \"hooks\": {}}", "`hooks` is duplicated"),
        ] {
            let error = added(settings, Agent::Codex, &[]).expect_err(settings);
            assert_eq!(error, expected);
        }
    }
}
