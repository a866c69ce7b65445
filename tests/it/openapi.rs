//! The OpenAPI document is valid, and matches the code and the template.

mod bundle;
mod contract;
mod examples;
mod routes;
mod serving;

use std::collections::BTreeSet;

use answerback::api::pointer;
use serde_json::{Map, Value};
use system_tests::contract::Contract;

/// The members of a path item that are operations.
const METHODS: [&str; 7] = ["delete", "get", "head", "options", "patch", "post", "put"];

#[test]
fn every_operation_has_a_summary_and_error_responses() {
    let contract = Contract::of_the_api();
    let mut names = BTreeSet::new();
    for (route, operation) in operations(contract) {
        for field in ["operationId", "summary", "description"] {
            assert!(operation[field].as_str().is_some_and(|it| !it.is_empty()), "{route}: {field}");
        }
        let name = operation["operationId"].to_string();
        assert!(names.insert(name.clone()), "{route}: {name} is duplicated");
        assert!(operation["tags"].as_array().is_some_and(|it| !it.is_empty()), "{route}: tags");
        let statuses: Vec<&String> =
            operation["responses"].as_object().into_iter().flat_map(|it| it.keys()).collect();
        assert!(statuses.iter().any(|it| it.starts_with('2')), "{route}: no 2xx");
        for status in ["429", "500"] {
            assert!(statuses.iter().any(|it| *it == status), "{route}: no {status}");
        }
        for status in ["401", "403"] {
            let is_documented = statuses.iter().any(|it| *it == status);
            // An answer link may need a code, or be locked.
            let is_of_link =
                route.ends_with("/a/{token}") || route.ends_with("/v1/answers/{token}");
            if is_of_link && status == "403" && route.starts_with("POST") {
                continue;
            }
            // Every key may look at itself.
            let is_for_any_key = status == "401" && route == "GET /v1/key";
            let is_signed = status == "401" && route == "POST /v1/slack/{notifier_id}";
            let is_expected = is_for_any_key || is_signed || !operation["x-scope"].is_null();
            assert_eq!(is_documented, is_expected, "{route}: {status}");
        }
    }
}

#[test]
fn error_responses_are_problems_pages_or_of_a_front() {
    let contract = Contract::of_the_api();
    let responses = contract.document()["components"]["responses"].as_object().expect("responses");
    for (name, response) in responses {
        let media_types: Vec<&String> =
            response["content"].as_object().into_iter().flat_map(|it| it.keys()).collect();
        let is_known = match media_types[..] {
            [] => ["PageHead", "PageRecorded"].contains(&&**name),
            [only] if name.starts_with("Nextks") || name.starts_with("Ping") => {
                only == "application/json"
            }
            [only] => only == "application/problem+json" || only == "text/html",
            _ => false,
        };
        assert!(is_known, "{name}: {media_types:?}");
    }
}

#[test]
fn every_reference_resolves() {
    let document = Contract::of_the_api().document();
    let mut n_references = 0;
    visit(document, "", &mut |pointer, value| {
        let Some(target) = value.get("$ref").and_then(Value::as_str) else { return };
        n_references += 1;
        let found = target.strip_prefix('#').and_then(|it| document.pointer(it));
        assert!(found.is_some(), "{pointer} refers to {target}");
    });
    assert!(n_references > 100, "only {n_references} were found");
}

/// Generators ignore keywords next to a reference.
#[test]
fn references_have_no_other_keywords() {
    visit(Contract::of_the_api().document(), "", &mut |pointer, value| {
        let is_alone = value.get("$ref").is_none() || value.as_object().map(Map::len) == Some(1);
        assert!(is_alone, "{pointer} has keywords next to its reference");
    });
}

/// Generators need the type to name a constant. Conditions need none.
#[test]
fn enums_and_constants_have_a_type() {
    visit(Contract::of_the_api().document(), "", &mut |pointer, value| {
        let is_condition = pointer.contains("/if/") || pointer.contains("/then/");
        let is_named = pointer.ends_with("/properties");
        let is_constant = value.get("enum").or(value.get("const")).is_some();
        let has_type = value.get("type").is_some() || is_named || is_condition;
        assert!(has_type || !is_constant, "{pointer} has no type");
    });
}

#[test]
fn every_example_matches_its_schema() {
    let contract = Contract::of_the_api();
    let mut n_examples = 0;
    let mut check = |pointer: &str, example: &Value| {
        n_examples += 1;
        let valid = contract.validate(pointer, example);
        valid.unwrap_or_else(|fault| panic!("the example {example} is invalid: {fault}"));
    };
    visit(contract.document(), "", &mut |pointer, value| {
        let is_schema = !pointer.ends_with("/properties");
        for example in value["examples"].as_array().filter(|_| is_schema).into_iter().flatten() {
            check(pointer, example);
        }
        if let (Some(example), Some(_)) = (value.get("example"), value.get("schema")) {
            check(&format!("{pointer}/schema"), example);
        }
    });
    assert!(n_examples > 100, "only {n_examples} were found");
}

#[test]
fn every_schema_compiles_and_our_objects_are_closed() {
    let contract = Contract::of_the_api();
    let schemas = contract.document()["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        let pointer = format!("/components/schemas/{name}");
        contract.validate(&pointer, &Value::Null).expect_err("no named schema takes null");
        if name.ends_with("Problem") {
            // Composed of parts, so the whole is closed. `Problem` itself is only a part.
            let is_closed = schema["unevaluatedProperties"] == false;
            assert!(is_closed || name == "Problem", "{name} takes undocumented members");
            continue;
        }
        visit(schema, &pointer, &mut |pointer, value| {
            let is_open = value["type"] == "object" && value.get("additionalProperties").is_none();
            assert!(!is_open, "{pointer} takes undocumented members");
        });
    }
}

fn operations(contract: &Contract) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in contract.document()["paths"].as_object().expect("paths") {
        for method in METHODS {
            let operation = item.get(method);
            found.extend(operation.map(|it| (format!("{} {path}", method.to_uppercase()), it)));
        }
    }
    found
}

/// Calls `look` with every object in the document and its JSON Pointer.
fn visit(value: &Value, whole: &str, look: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            look(whole, value);
            for (name, member) in members {
                visit(member, &pointer::member(whole, name), look);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(item, &pointer::entry(whole, index), look);
            }
        }
        _ => {}
    }
}
