//! Valid bodies with damage.

use answerback::api::pointer;

use super::*;

/// A change to one place of a body.
#[derive(Clone, Debug)]
pub(super) enum Damage {
    Replaced(Value),
    Gone,
    Renamed(String),
    Wrapped,
    Doubled,
    Longer(usize),
}

/// Up to two damages, each with its place.
pub(super) fn damages() -> impl Strategy<Value = Vec<(Index, Damage)>> {
    let words = vec![
        "",
        " ",
        "a",
        "yes",
        "all",
        "once",
        "number",
        "\u{0}",
        "\u{200b}",
        "\r",
        "é🦀",
        "__proto__",
        // `serde_json` reserves these names.
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
        "/~",
        "a@example.com",
        "https://10.0.0.1/",
        "request.created",
    ];
    let leaf = prop_oneof![
        select(vec![
            json!(null),
            json!(true),
            json!(0),
            json!(1),
            json!(-1),
            json!(60.0),
            json!([]),
            json!({})
        ]),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(words.clone()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let damage = prop_oneof![
        6 => leaf.prop_map(Damage::Replaced),
        2 => Just(Damage::Gone),
        2 => select(words).prop_map(|it| Damage::Renamed(it.to_owned())),
        1 => Just(Damage::Wrapped),
        1 => Just(Damage::Doubled),
        1 => select(vec![1_usize, 76, 201, 2_048, 20_000]).prop_map(Damage::Longer),
    ];
    prop::collection::vec((any::<Index>(), damage), 0..3)
}

/// Every place in a body as a JSON pointer, except the root.
fn places(value: &Value, at: &str) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(key, it)| (pointer::member(at, key), it)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(n, it)| (pointer::entry(at, n), it)).collect()
        }
        _ => Vec::new(),
    };
    inner.into_iter().flat_map(|(at, it)| [vec![at.clone()], places(it, &at)].concat()).collect()
}

/// The body with all damages, applied in order.
pub(super) fn damaged(mut body: Value, damages: Vec<(Index, Damage)>) -> Value {
    for (index, damage) in damages {
        let places = places(&body, "");
        let Some(place) = (!places.is_empty()).then(|| index.get(&places)) else { break };
        let (whole, name) = place.rsplit_once('/').expect("every place has a slash");
        let name = name.replace("~1", "/").replace("~0", "~");
        let value = body.pointer(place).expect("the place exists").clone();
        let whole = body.pointer_mut(whole).expect("the place exists");
        match (whole, damage) {
            (Value::Object(members), Damage::Gone) => _ = members.remove(&name),
            (Value::Object(members), Damage::Renamed(other)) => {
                members.remove(&name);
                members.insert(other, value);
            }
            (Value::Array(items), Damage::Gone) => {
                items.remove(name.parse::<usize>().expect("an index"));
            }
            (Value::Array(items), Damage::Doubled) => items.push(value),
            (whole, damage) => {
                let place = whole.pointer_mut(&place[place.rfind('/').expect("a slash")..]);
                *place.expect("the place exists") = match (damage, value) {
                    (Damage::Replaced(other), _) => other,
                    (Damage::Longer(n), Value::String(text)) => text.repeat(n).into(),
                    (_, value) => json!([value]),
                };
            }
        }
    }
    body
}
