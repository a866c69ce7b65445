//! The form: options to choose from and fields to fill in.

use std::{collections::BTreeSet, ops::RangeInclusive};

use answerback::{
    api::body::{DUPLICATED, Item, Object},
    domain::{
        limits::FIELD_TEXT_CHARS_MAX,
        question::{
            CHOICES_MAX, Choice, FIELDS_MAX, Field, FieldKind, HELP_CHARS_MAX, KEY_CHARS_MAX,
            LABEL_CHARS_MAX, OPTIONS_MAX, PLACEHOLDER_CHARS_MAX, Required, Style, VALUE_CHARS_MAX,
        },
    },
};

use serde_json::Value;

use super::NOT_AN_OPTION;
use crate::answers::field_value;

/// The type of a field, as it is written.
#[derive(Clone, Copy)]
enum FieldType {
    Text,
    Textarea,
    Number,
    Select,
    MultiSelect,
    Date,
    Toggle,
}

const TYPES: [(&str, FieldType); 7] = [
    ("text", FieldType::Text),
    ("textarea", FieldType::Textarea),
    ("number", FieldType::Number),
    ("select", FieldType::Select),
    ("multi_select", FieldType::MultiSelect),
    ("date", FieldType::Date),
    ("toggle", FieldType::Toggle),
];

/// The members that only some types of fields have.
const SPECIFIC: [&str; 5] = ["choices", "min", "max", "max_length", "placeholder"];

const STYLES: [(&str, Style); 3] = [
    ("primary", Style::Primary),
    ("secondary", Style::Secondary),
    ("destructive", Style::Destructive),
];

/// Reads the options, which may have a style.
pub(super) fn options(body: &mut Object<'_>) -> Vec<Choice> {
    choices_of(body, "options", 0..=OPTIONS_MAX, |entry| entry.word("style", &STYLES))
}

/// Reads the choices of a field.
fn choices(field: &mut Object<'_>) -> Vec<Choice> {
    field.require("choices");
    choices_of(field, "choices", 1..=CHOICES_MAX, |_| None)
}

fn choices_of(
    whole: &mut Object<'_>,
    name: &str,
    count: RangeInclusive<usize>,
    style: impl Fn(&mut Object<'_>) -> Option<Style>,
) -> Vec<Choice> {
    let mut seen = BTreeSet::new();
    let mut choice = |entry: &mut Object<'_>| {
        let value = entry.required_line("value", 1..=VALUE_CHARS_MAX);
        let label = entry.required_line("label", 1..=LABEL_CHARS_MAX);
        let style = style(entry);
        if value.as_ref().is_some_and(|it| !seen.insert(it.clone())) {
            entry.error("value", DUPLICATED);
        }
        // An option without its label still counts where others name it.
        Some(Choice { value: value?, label: label.unwrap_or_default(), style })
    };
    let entries = whole.list(name, count).unwrap_or_default();
    entries.into_iter().filter_map(|it| it.object(&mut choice)).collect()
}

/// Reads the fields, which some `options` may require.
pub(super) fn fields(body: &mut Object<'_>, options: &[Choice]) -> Vec<Field> {
    let mut seen = BTreeSet::new();
    let entries = body.list("fields", 0..=FIELDS_MAX).unwrap_or_default();
    let mut read = |it: Item<'_>| it.object(|field| read_field(field, options, &mut seen));
    entries.into_iter().filter_map(&mut read).collect()
}

fn read_field(
    entry: &mut Object<'_>,
    options: &[Choice],
    seen: &mut BTreeSet<String>,
) -> Option<Field> {
    let key = entry.required_line("key", 1..=KEY_CHARS_MAX);
    if key.as_ref().is_some_and(|it| !seen.insert(it.clone())) {
        entry.error("key", DUPLICATED);
    }
    let label = entry.required_line("label", 1..=LABEL_CHARS_MAX);
    let help = entry.optional_text("help", HELP_CHARS_MAX);
    let required = required(entry, options);
    let kind = kind(entry);
    let placeholder = match kind {
        Some(FieldKind::Text { .. } | FieldKind::Textarea { .. } | FieldKind::Number { .. }) => {
            entry.optional_line("placeholder", PLACEHOLDER_CHARS_MAX)
        }
        Some(_) | None => None,
    };
    let default = entry.item("default");
    let (key, label, kind) = (key?, label?, kind?);
    let mut field = Field { key, label, help, placeholder, required, kind, default: None };
    if let Some(item) = default {
        set_default(&mut field, &item);
    }
    Some(field)
}

/// Reads the answers that need a value: true, false, or a list of options.
fn required(entry: &mut Object<'_>, options: &[Choice]) -> Required {
    if entry.is_list("required") {
        let values = entry.distinct("required", 1..=OPTIONS_MAX, |value| match value.as_str() {
            Some(it) if options.iter().any(|option| option.value == it) => Ok(it.to_owned()),
            _ => Err(NOT_AN_OPTION.to_owned()),
        });
        return values.map_or(Required::Never, Required::For);
    }
    let Some(item) = entry.item("required") else { return Required::Never };
    match item.value {
        Value::Bool(true) => Required::Always,
        Value::Bool(false) => Required::Never,
        _ => {
            item.error("must be true, false or a list of options");
            Required::Never
        }
    }
}

fn set_default(field: &mut Field, item: &Item<'_>) {
    let Some(value) = field_value(item) else { return };
    // The default of a required toggle may be off.
    let optional = Field { required: Required::Never, ..field.clone() };
    match optional.fit(Some(value), None) {
        Ok(value) => field.default = value,
        Err(fault) => item.error(fault.to_string()),
    }
}

fn kind(entry: &mut Object<'_>) -> Option<FieldKind> {
    entry.require("type");
    let has_type = entry.has("type");
    for name in SPECIFIC {
        // Without a type, nothing says which of these belong to the field. Null is absent.
        if !has_type || !entry.has(name) {
            entry.take(name);
        }
    }
    let max_length = 1..=FIELD_TEXT_CHARS_MAX;
    Some(match entry.word("type", &TYPES)? {
        FieldType::Text => FieldKind::Text { max_length: entry.integer("max_length", max_length) },
        FieldType::Textarea => {
            FieldKind::Textarea { max_length: entry.integer("max_length", max_length) }
        }
        FieldType::Number => {
            let (min, max) = (entry.decimal("min"), entry.decimal("max"));
            let is_reversed =
                min.as_ref().zip(max.as_ref()).is_some_and(|(min, max)| min.compare(max).is_gt());
            if is_reversed {
                entry.error("max", "must not be less than `min`");
            }
            FieldKind::Number { min, max }
        }
        FieldType::Date => {
            let (min, max) = (entry.date("min"), entry.date("max"));
            if min.zip(max).is_some_and(|(min, max)| min > max) {
                entry.error("max", "must not be before `min`");
            }
            FieldKind::Date { min, max }
        }
        FieldType::Select => FieldKind::Select { choices: choices(entry) },
        FieldType::MultiSelect => FieldKind::MultiSelect { choices: choices(entry) },
        FieldType::Toggle => FieldKind::Toggle,
    })
}
