//! What a body is read as, or refused for.

use proptest::{prelude::*, test_runner::TestCaseError};

use super::*;

fn read_text(text: &str) -> Result<Draft, Problem> {
    let value: Value = serde_json::from_str(text).expect("a test's JSON");
    read(value)
}

#[track_caller]
fn check_faults(text: &str, expected: &[&str]) {
    let Err(problem) = read_text(text) else { panic!("accepted {text}") };
    let faults: Vec<String> = problem.faults().iter().map(ToString::to_string).collect();
    assert_eq!(faults, expected, "{text}");
}

#[test]
fn every_fault_is_listed_with_its_place() {
    check_faults(
        r#"{"timeout_second": 3, "options": [{"value": "a", "label": ""}, {"value": "a", "label": "A"}]}"#,
        &[
            "`/title` is required",
            "`/options/0/label` must have 1 to 75 characters, not 0",
            "`/options/1/value` is there twice",
            "`/timeout_second` is not a known field",
        ],
    );
    check_faults(
        "[]",
        &[
            "`` must be an object",
            "`/title` is required",
            "`/options` must not be empty where there are no fields",
        ],
    );
}

proptest! {
    /// Whatever JSON comes in, it is read or refused, and what is refused has a reason, which
    /// stands in the body, or is missing where it says.
    #[test]
    fn no_body_makes_the_reader_panic(body in any_json()) {
        check_reasons(&body, read)?;
    }
}

/// Checks that `body` is read, or refused with reasons that stand in it.
pub(crate) fn check_reasons(
    body: &Value,
    read: impl Fn(Value) -> Result<Draft, Problem>,
) -> Result<(), TestCaseError> {
    let Err(problem) = read(body.clone()) else { return Ok(()) };
    prop_assert!(!problem.faults().is_empty());
    for fault in problem.faults() {
        let shown = serde_json::to_value(fault).expect("plain data");
        let place = shown["pointer"].as_str().expect("it is in the body");
        let whole = place.rsplit_once('/').map_or("", |(whole, _)| whole);
        let is_there = body.pointer(place).or_else(|| body.pointer(whole)).is_some();
        prop_assert!(is_there, "{} in {}", fault, body);
    }
    Ok(())
}

fn any_json() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "title",
        "body",
        "recipients",
        "options",
        "fields",
        "mode",
        "quorum",
        "count",
        "veto",
        "option",
        "value",
        "label",
        "style",
        "key",
        "type",
        "choices",
        "default",
        "min",
        "max",
        "callback_url",
        "callback",
        "profile",
        "events",
        "retry",
        "delays_seconds",
        "read",
        "ttl_seconds",
        "lease_seconds",
        "on_deadline",
        "kind",
        "metadata",
        "email",
        "other",
    ];
    const WORDS: &[&str] = &[
        "",
        "a",
        "all",
        "any",
        "select",
        "number",
        "toggle",
        "text",
        "on_timeout",
        "default",
        "once",
        "lease",
        "standard",
        "nextks",
        "request.finished",
        "a@example.com",
    ];
    json_of(NAMES, WORDS)
}

/// Any JSON in which these names and words stand.
pub(crate) fn json_of(
    names: &'static [&'static str],
    words: &'static [&'static str],
) -> impl Strategy<Value = Value> {
    let names = prop::sample::select(names);
    let words = prop::sample::select(words);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..8).prop_map(|members| {
                members.into_iter().map(|(name, it)| (name.to_owned(), it)).collect()
            }),
        ]
    })
}
