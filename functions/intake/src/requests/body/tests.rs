//! Laws of the reader of `POST /v1/requests`.

use proptest::{prelude::*, test_runner::TestCaseError};

use answerback::domain::question::{FieldKind, FieldValue};
use serde_json::Value;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn read_text(text: &str) -> Result<NewRequestBody, Problem> {
    let value: Value = serde_json::from_str(text).expect("a test's JSON");
    read(Sent::new(value, text.to_owned().into()), NOW)
}

#[track_caller]
fn check_refused(text: &str, expected: &[&str]) {
    let Err(problem) = read_text(text) else { panic!("accepted {text}") };
    let errors: Vec<String> = problem.errors().as_slice().iter().map(ToString::to_string).collect();
    assert_eq!(errors, expected, "{text}");
}

#[test]
fn all_errors_are_listed_with_their_pointers() {
    check_refused(
        r#"{"timeout_second": 3, "options": [{"value": "a", "label": ""}, {"value": "a", "label": "A"}]}"#,
        &[
            "`/title` is required",
            "`/options/0/label` must not be empty",
            "`/options/1/value` is duplicated",
            "`/timeout_second` is not a known field",
        ],
    );
    check_refused(
        "[]",
        &[
            "`` must be an object",
            "`/title` is required",
            "`/options` must not be empty without fields",
        ],
    );
}

#[test]
fn numbers_and_metadata_keep_their_text() {
    let body = r#"{
        "title": "T",
        "metadata": {"wei": 1000000000000000000001, "price": 1.10, "a": [ 5.0 ]},
        "fields": [{"key": "n", "type": "number", "label": "N", "min": 0.50, "default": 9007199254740993}]
    }"#;
    let question = read_text(body).unwrap_or_else(|_| panic!("accepted")).question;
    let metadata = r#"{"wei": 1000000000000000000001, "price": 1.10, "a": [ 5.0 ]}"#;
    assert_eq!(question.metadata.as_deref(), Some(metadata));
    let FieldKind::Number { min: Some(min), max: None } = &question.fields[0].kind else {
        panic!("a number with a minimum")
    };
    assert_eq!(min.as_str(), "0.50");
    let Some(FieldValue::Number(default)) = &question.fields[0].default else { panic!("a number") };
    assert_eq!(default.as_str(), "9007199254740993");
}

proptest! {
    /// Each error points to a value in the body, or to a missing member of one.
    #[test]
    fn any_body_is_read_or_refused(body in any_json()) {
        check_errors(&body, read)?;
    }
}

/// Checks that `body` is read, or refused with pointers into it.
pub(crate) fn check_errors(
    body: &Value,
    read: impl Fn(Sent, Timestamp) -> Result<NewRequestBody, Problem>,
) -> Result<(), TestCaseError> {
    let text = body.to_string().into();
    let Err(problem) = read(Sent::new(body.clone(), text), NOW) else { return Ok(()) };
    prop_assert!(!problem.errors().is_empty());
    for error in problem.errors().as_slice() {
        let shown = serde_json::to_value(error).expect("plain data");
        let place = shown["pointer"].as_str().expect("it is in the body");
        let whole = place.rsplit_once('/').map_or("", |(whole, _)| whole);
        let is_there = body.pointer(place).or_else(|| body.pointer(whole)).is_some();
        prop_assert!(is_there, "{} in {}", error, body);
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
        "steps",
        "after_seconds",
        "do",
        "to",
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
        "remind",
        "escalate",
        "standard",
        "nextks",
        "request.finished",
        "a@example.com",
    ];
    json_of(NAMES, WORDS)
}

/// JSON of these names and words.
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
