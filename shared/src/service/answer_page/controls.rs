//! The parts of a question and of a recorded answer, as the page shows them.

use std::borrow::Cow;

use crate::{
    domain::{
        Decimal,
        question::{self, FieldValue},
        request::Row,
    },
    page::{self, Words},
};

/// The texts that a form for a recorded answer starts with, by key of the field.
pub(super) fn values(row: &Row) -> Vec<(String, String)> {
    let text = |value: &FieldValue| match value {
        FieldValue::Text(text) => text.clone(),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Toggle(toggle) => toggle.to_string(),
        FieldValue::Choices(values) => values.join("\n"),
    };
    row.answer.fields.iter().map(|(key, it)| (key.clone(), text(it))).collect()
}

/// A value as people see it.
pub(super) fn shown<'a>(
    field: &'a question::Field,
    value: &'a FieldValue,
    words: &'static Words,
) -> Cow<'a, str> {
    match value {
        FieldValue::Text(text) => label(field, text).into(),
        FieldValue::Number(number) => number.as_str().into(),
        FieldValue::Toggle(true) => words.answer.yes.into(),
        FieldValue::Toggle(false) => words.answer.no.into(),
        FieldValue::Choices(values) => labels(field, values.iter().map(String::as_str)).into(),
    }
}

/// The text of a control as people see it.
pub(super) fn written<'a>(
    field: &'a question::Field,
    text: &'a str,
    words: &'static Words,
) -> Cow<'a, str> {
    match &field.kind {
        question::FieldKind::Toggle if text == "true" => words.answer.yes.into(),
        question::FieldKind::Toggle => words.answer.no.into(),
        question::FieldKind::MultiSelect { .. } => labels(field, text.lines()).into(),
        question::FieldKind::Text { .. }
        | question::FieldKind::Textarea { .. }
        | question::FieldKind::Number { .. }
        | question::FieldKind::Select { .. }
        | question::FieldKind::Date { .. } => label(field, text).into(),
    }
}

/// The label of a choice, or the text itself.
fn label<'a>(field: &'a question::Field, text: &'a str) -> &'a str {
    let (question::FieldKind::Select { choices } | question::FieldKind::MultiSelect { choices }) =
        &field.kind
    else {
        return text;
    };
    choices.iter().find(|it| it.value == text).map_or(text, |it| &it.label)
}

/// The labels of choices, each in a line.
fn labels<'a>(field: &'a question::Field, values: impl Iterator<Item = &'a str>) -> String {
    values.filter(|it| !it.is_empty()).map(|it| label(field, it)).collect::<Vec<_>>().join("\n")
}

pub(super) fn choice(choice: &question::Choice) -> page::Choice<'_> {
    let style = match choice.style {
        Some(question::Style::Primary) => page::Style::Primary,
        Some(question::Style::Destructive) => page::Style::Destructive,
        Some(question::Style::Secondary) | None => page::Style::Secondary,
    };
    page::Choice { value: &choice.value, label: &choice.label, style }
}

pub(super) fn field<'a>(
    field: &'a question::Field,
    options: &'a [question::Choice],
) -> page::Field<'a> {
    use question::FieldKind as Kind;
    let pairs = |choices: &'a [question::Choice]| -> Vec<(&'a str, &'a str)> {
        choices.iter().map(|it| (&*it.value, &*it.label)).collect()
    };
    page::Field {
        key: &field.key,
        label: &field.label,
        kind: match &field.kind {
            Kind::Text { max_length } => page::FieldKind::Text { max_length: *max_length },
            Kind::Textarea { max_length } => page::FieldKind::Textarea { max_length: *max_length },
            Kind::Number { min, max } => page::FieldKind::Number {
                min: min.as_ref().map(Decimal::as_str),
                max: max.as_ref().map(Decimal::as_str),
            },
            Kind::Select { choices } => page::FieldKind::Select { choices: pairs(choices) },
            Kind::MultiSelect { choices } => {
                page::FieldKind::MultiSelect { choices: pairs(choices) }
            }
            Kind::Date { min, max } => page::FieldKind::Date {
                min: min.map(|it| it.to_string()),
                max: max.map(|it| it.to_string()),
            },
            Kind::Toggle => page::FieldKind::Toggle,
        },
        help: field.help.as_deref(),
        placeholder: field.placeholder.as_deref(),
        required: match &field.required {
            question::Required::Never => page::Required::Never,
            question::Required::Always => page::Required::Always,
            question::Required::For(values) => {
                let is_named = |it: &&question::Choice| values.contains(&it.value);
                let named = options.iter().filter(is_named);
                page::Required::For(named.map(|it| it.label.as_str()).collect())
            }
        },
        default: field.default.as_ref().map(|it| match it {
            FieldValue::Text(text) => Cow::Borrowed(text.as_str()),
            FieldValue::Number(number) => Cow::Borrowed(number.as_str()),
            FieldValue::Toggle(toggle) => Cow::Owned(toggle.to_string()),
            FieldValue::Choices(values) => Cow::Owned(values.join("\n")),
        }),
    }
}
