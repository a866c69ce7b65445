//! JSON pointers (RFC 6901): the place of a value in a body.

/// The pointer of the member called `name` of the object at `whole`.
pub fn member(whole: &str, name: &str) -> String {
    format!("{whole}/{}", name.replace('~', "~0").replace('/', "~1"))
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
