//! What is spelled in a table, without what it says.

use std::collections::BTreeSet;

use serde_json::Value;

/// Every attribute of every kind of item with its type, the members of those that are JSON, and
/// the words that stand for something: `req.ended.outcome S = completed`.
pub(super) fn spelled(items: &[Value]) -> BTreeSet<String> {
    let mut spelled = BTreeSet::new();
    for item in items {
        let text = |name: &str| item[name]["S"].as_str().expect("a key");
        // What a key begins with says what lives there.
        let pk = text("pk").split(['_', '#']).next().unwrap_or_default();
        let sk = text("sk").split(['#', '-']).next().unwrap_or_default();
        for (name, value) in item.as_object().expect("an item") {
            let path = format!("{pk}{sk}.{name}");
            match value["S"].as_str() {
                Some(text) => look_at_text(&path, text, &mut spelled),
                None => look_at(&path, value, &mut spelled),
            }
        }
    }
    spelled
}

fn look_at(path: &str, value: &Value, spelled: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                look_at(&format!("{path}.{name}"), value, spelled);
            }
        }
        Value::Array(items) => {
            for item in items {
                look_at(&format!("{path}[]"), item, spelled);
            }
        }
        Value::String(text) => look_at_text(path, text, spelled),
        Value::Number(_) => drop(spelled.insert(format!("{path}: a number"))),
        Value::Bool(_) => drop(spelled.insert(format!("{path}: a flag"))),
        Value::Null => drop(spelled.insert(format!("{path}: nothing"))),
    }
}

fn look_at_text(path: &str, text: &str, spelled: &mut BTreeSet<String>) {
    let is_word = !text.is_empty() && text.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    match serde_json::from_str(text) {
        Ok(json @ (Value::Object(_) | Value::Array(_))) => look_at(path, &json, spelled),
        _ if is_word => drop(spelled.insert(format!("{path}: {text}"))),
        _ => drop(spelled.insert(format!("{path}: a text"))),
    }
}
