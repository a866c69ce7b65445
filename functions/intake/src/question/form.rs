//! Reads what can be chosen and filled in.

use std::collections::BTreeSet;

use answerback::{
    api::{Fields, body::FieldErrors},
    domain::question::{
        CHOICES_MAX, Choice, FIELDS_MAX, Field, FieldKind, FieldValue, KEY_CHARS_MAX,
        LABEL_CHARS_MAX, Style, VALUE_CHARS_MAX,
    },
};
use serde_json::Value;

/// Longest text that a text field may be made to take; an answer is smaller anyway.
const TEXT_CHARS_MAX: u32 = 2_048;

const STYLES: [(&str, Style); 3] = [
    ("primary", Style::Primary),
    ("secondary", Style::Secondary),
    ("destructive", Style::Destructive),
];

/// Takes values to choose from: the options, or the choices of a field, which have no style.
pub(super) fn choices(
    fields: &mut Fields,
    name: &str,
    count: std::ops::RangeInclusive<usize>,
    styled: bool,
    faults: &mut FieldErrors,
) -> Vec<Choice> {
    let mut seen = BTreeSet::new();
    let mut choices = Vec::new();
    for (pointer, value) in fields.list(name, count, faults).unwrap_or_default() {
        let mut entry = Fields::of(value, pointer, faults);
        let value = entry.required_line("value", 1..=VALUE_CHARS_MAX, faults);
        let label = entry.required_line("label", 1..=LABEL_CHARS_MAX, faults);
        let style = if styled { entry.word("style", &STYLES, faults) } else { None };
        if value.as_ref().is_some_and(|it| !seen.insert(it.clone())) {
            entry.fault("value", "is there twice", faults);
        }
        entry.finish(faults);
        if let Some(value) = value {
            // Without its label too it is one of the options, as far as others name them.
            choices.push(Choice { value, label: label.unwrap_or_default(), style });
        }
    }
    choices
}

/// Takes the fields.
pub(super) fn fields(fields: &mut Fields, faults: &mut FieldErrors) -> Vec<Field> {
    let mut seen = BTreeSet::new();
    let mut form = Vec::new();
    for (pointer, value) in fields.list("fields", 0..=FIELDS_MAX, faults).unwrap_or_default() {
        let mut entry = Fields::of(value, pointer, faults);
        let key = entry.required_line("key", 1..=KEY_CHARS_MAX, faults);
        if key.as_ref().is_some_and(|it| !seen.insert(it.clone())) {
            entry.fault("key", "is there twice", faults);
        }
        let label = entry.required_line("label", 1..=LABEL_CHARS_MAX, faults);
        let required = entry.flag("required", faults).unwrap_or(false);
        let kind = kind(&mut entry, faults);
        let default = entry.take("default").map(field_value);
        let (Some(key), Some(label), Some(kind)) = (key, label, kind) else {
            entry.finish(faults);
            continue;
        };
        let mut field = Field { key, label, is_required: required, kind, default: None };
        match default {
            None => (),
            Some(None) => entry.fault("default", "must be text, a number or a boolean", faults),
            Some(Some(value)) => {
                match (Field { is_required: false, ..field.clone() }).fit(Some(value)) {
                    Ok(value) => field.default = value,
                    Err(detail) => entry.fault("default", detail, faults),
                }
            }
        }
        entry.finish(faults);
        form.push(field);
    }
    form
}

fn kind(entry: &mut Fields, faults: &mut FieldErrors) -> Option<FieldKind> {
    #[derive(Clone, Copy)]
    enum Word {
        Text,
        Textarea,
        Number,
        Select,
        Toggle,
    }
    const WORDS: [(&str, Word); 5] = [
        ("text", Word::Text),
        ("textarea", Word::Textarea),
        ("number", Word::Number),
        ("select", Word::Select),
        ("toggle", Word::Toggle),
    ];
    // Which of these belong to it nobody knows without its type; and those that are null are
    // absent, whatever its type.
    let has_type = entry.has("type");
    for name in ["choices", "min", "max", "max_length"] {
        if !has_type || !entry.has(name) {
            entry.take(name);
        }
    }
    if !has_type {
        entry.fault("type", "is required", faults);
        return None;
    }
    let max_length = 1..=TEXT_CHARS_MAX;
    Some(match entry.word("type", &WORDS, faults)? {
        Word::Text => {
            FieldKind::Text { max_length: entry.integer("max_length", max_length, faults) }
        }
        Word::Textarea => {
            FieldKind::Textarea { max_length: entry.integer("max_length", max_length, faults) }
        }
        Word::Number => {
            let (min, max) = (entry.number("min", faults), entry.number("max", faults));
            if min.zip(max).is_some_and(|(min, max)| min > max) {
                entry.fault("max", "must not be less than min", faults);
            }
            FieldKind::Number { min, max }
        }
        Word::Select => {
            if !entry.has("choices") {
                entry.fault("choices", "is required", faults);
            }
            FieldKind::Select { choices: choices(entry, "choices", 1..=CHOICES_MAX, false, faults) }
        }
        Word::Toggle => FieldKind::Toggle,
    })
}

/// A value of a field, if it can be one.
pub(crate) fn field_value(value: Value) -> Option<FieldValue> {
    match value {
        Value::String(text) => Some(FieldValue::Text(text)),
        Value::Bool(toggle) => Some(FieldValue::Toggle(toggle)),
        Value::Number(number) => number.as_f64().map(FieldValue::Number),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
