//! Copies of a template, each with one change in a statement of a role.

use serde_json::{Value, json};
use system_tests::template::Template;

/// A copy without it for each action and each resource that a statement names.
pub(super) fn with_one_less(template: &Template) -> Vec<Template> {
    let mut copies = Vec::new();
    each(template, |copy, statement, part| {
        for left_out in 0..list(copy, &format!("{statement}/{part}")).len() {
            let mut copy = copy.clone();
            let mut names = list(&copy, &format!("{statement}/{part}"));
            names.remove(left_out);
            let place = copy.pointer_mut(statement).expect("the place exists");
            if names.is_empty() {
                *place = json!({ "Ref": "AWS::NoValue" });
            } else {
                place[part] = Value::Array(names);
            }
            copies.push(Template::from_json(copy));
        }
    });
    copies
}

/// A copy for each statement, with one more value in this part of it.
pub(super) fn with_one_more(template: &Template, wanted: &str, name: &Value) -> Vec<Template> {
    let mut copies = Vec::new();
    each(template, |copy, statement, part| {
        if part == wanted {
            let mut copy = copy.clone();
            let mut names = list(&copy, &format!("{statement}/{part}"));
            names.push(name.clone());
            copy.pointer_mut(statement).expect("the place exists")[part] = Value::Array(names);
            copies.push(Template::from_json(copy));
        }
    });
    copies
}

/// Calls `alter` with the template, the place of a statement, and the name of a part of it.
fn each(template: &Template, mut alter: impl FnMut(&Value, &str, &str)) {
    let resources = template.as_json()["Resources"].as_object().expect("resources");
    let functions = resources.values().filter(|it| it["Type"] == "AWS::Serverless::Function");
    let roles = functions.map(|it| it["Properties"]["Role"]["Fn::GetAtt"].as_str());
    for role in roles.map(|it| it.expect("a function names its role").trim_end_matches(".Arn")) {
        let policies = format!("/Resources/{role}/Properties/Policies");
        let mut statements = Vec::new();
        find(template.as_json().pointer(&policies), &policies, &mut statements);
        assert!(!statements.is_empty(), "{role} allows something");
        for statement in statements {
            for part in ["Action", "Resource"] {
                alter(template.as_json(), &statement, part);
            }
        }
    }
}

/// The places of statements below `at`.
fn find(value: Option<&Value>, at: &str, found: &mut Vec<String>) {
    match value {
        Some(Value::Object(parts)) if parts.contains_key("Effect") => found.push(at.to_owned()),
        Some(Value::Object(parts)) => {
            parts.iter().for_each(|(name, it)| find(Some(it), &format!("{at}/{name}"), found));
        }
        Some(Value::Array(values)) => {
            let values = values.iter().enumerate();
            values.for_each(|(number, it)| find(Some(it), &format!("{at}/{number}"), found));
        }
        _ => (),
    }
}

fn list(template: &Value, at: &str) -> Vec<Value> {
    let value = template.pointer(at).expect("a statement has it");
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}
