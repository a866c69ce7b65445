//! The encoding of a table, without its content.

use std::collections::BTreeSet;

use serde_json::Value;

use super::plain;

/// Every attribute of every kind of item, the members of attributes that are JSON, and the words of
/// enumerations: `req.ended.outcome: completed`.
pub(super) fn encoding(items: &[Value]) -> BTreeSet<String> {
    let mut encoding = BTreeSet::new();
    for item in items {
        let text = |name: &str| item[name]["S"].as_str().expect("a key");
        // The prefix of a key is the kind of item.
        let pk = text("pk").split(['_', '#']).next().unwrap_or_default();
        // Webhooks and notifiers have a prefix in common.
        let sk = text("sk").trim_start_matches("to#");
        let sk = sk.split(['#', '-']).next().unwrap_or_default();
        for (name, value) in item.as_object().expect("an item") {
            let path = format!("{pk}{sk}.{name}");
            match plain(value) {
                Some(text) => add_text(&path, &text, &mut encoding),
                None => add(&path, value, &mut encoding),
            }
        }
    }
    encoding
}

fn add(path: &str, value: &Value, encoding: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                add(&format!("{path}.{name}"), value, encoding);
            }
        }
        Value::Array(items) => {
            for item in items {
                add(&format!("{path}[]"), item, encoding);
            }
        }
        Value::String(text) => add_text(path, text, encoding),
        Value::Number(_) => drop(encoding.insert(format!("{path}: a number"))),
        Value::Bool(_) => drop(encoding.insert(format!("{path}: a flag"))),
        Value::Null => drop(encoding.insert(format!("{path}: nothing"))),
    }
}

fn add_text(path: &str, text: &str, encoding: &mut BTreeSet<String>) {
    let is_word = !text.is_empty() && text.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    match serde_json::from_str(text) {
        Ok(json @ (Value::Object(_) | Value::Array(_))) => add(path, &json, encoding),
        _ if is_word => drop(encoding.insert(format!("{path}: {text}"))),
        _ => drop(encoding.insert(format!("{path}: a text"))),
    }
}
