//! JSON pointers (RFC 6901): the place of a value in a body.

/// The pointer of the member called `name` of the object at `whole`.
pub fn member(whole: &str, name: &str) -> String {
    // Every member of a body that is read has one, and few are ever shown.
    let mut pointer = String::with_capacity(whole.len() + 1 + name.len());
    pointer.push_str(whole);
    pointer.push('/');
    if name.bytes().any(|it| matches!(it, b'~' | b'/')) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
    pointer
}

/// The pointer of an entry of the array at `whole`.
pub fn entry(whole: &str, index: usize) -> String {
    format!("{whole}/{index}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    proptest! {
        #[test]
        fn a_pointer_leads_to_its_value(names in prop::collection::vec("[a/~01é]{0,4}", 1..4)) {
            let mut whole = json!([0, "found"]);
            for name in names.iter().rev() {
                whole = json!({ (name.as_str()): whole });
            }
            let place = names.iter().fold(String::new(), |place, name| member(&place, name));
            prop_assert_eq!(whole.pointer(&entry(&place, 1)), Some(&Value::from("found")));
        }
    }
}
