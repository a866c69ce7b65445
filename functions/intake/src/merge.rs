//! JSON Merge Patch (RFC 7396).

use serde_json::{Map, Value};

/// Merges `patch` into `whole`. A null removes a member.
pub(crate) fn merge(whole: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => _ = whole.remove(&name),
            Value::Object(patch) => {
                let member = whole.entry(name).or_insert(Value::Null);
                if !member.is_object() {
                    *member = Value::Object(Map::new());
                }
                merge(member.as_object_mut().expect("an object since then"), patch);
            }
            value => _ = whole.insert(name, value),
        }
    }
}
