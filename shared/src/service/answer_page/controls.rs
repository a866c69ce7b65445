//! The parts of a question and of a recorded answer, as the page shows them.

use std::borrow::Cow;

use crate::{
    domain::{
        Decimal,
        question::{self, FieldValue},
        request::Row,
    },
    page,
};

/// The texts that a form for a recorded answer starts with, by key of the field.
pub(super) fn values(row: &Row) -> Vec<(String, String)> {
    let text = |value: &FieldValue| match value {
        FieldValue::Text(text) => text.clone(),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Toggle(toggle) => toggle.to_string(),
    };
    row.answer.fields.iter().map(|(key, it)| (key.clone(), text(it))).collect()
}

/// A value as people see it.
pub(super) fn shown<'a>(field: &'a question::Field, value: &'a FieldValue) -> Cow<'a, str> {
    match (value, &field.kind) {
        (FieldValue::Text(text), question::FieldKind::Select { choices }) => {
            let choice = choices.iter().find(|it| it.value == *text);
            choice.map_or(text.as_str(), |it| &it.label).into()
        }
        (FieldValue::Text(text), _) => text.as_str().into(),
        (FieldValue::Number(number), _) => number.as_str().into(),
        (FieldValue::Toggle(true), _) => "Yes".into(),
        (FieldValue::Toggle(false), _) => "No".into(),
    }
}

pub(super) fn choice(choice: &question::Choice) -> page::Choice<'_> {
    let style = match choice.style {
        Some(question::Style::Primary) => page::Style::Primary,
        Some(question::Style::Destructive) => page::Style::Destructive,
        Some(question::Style::Secondary) | None => page::Style::Secondary,
    };
    page::Choice { value: &choice.value, label: &choice.label, style }
}

pub(super) fn field(field: &question::Field) -> page::Field<'_> {
    use question::FieldKind as Kind;
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
            Kind::Select { choices } => page::FieldKind::Select {
                choices: choices.iter().map(|it| (&*it.value, &*it.label)).collect(),
            },
            Kind::Toggle => page::FieldKind::Toggle,
        },
        is_required: field.is_required,
        default: field.default.as_ref().map(|it| match it {
            FieldValue::Text(text) => Cow::Borrowed(text.as_str()),
            FieldValue::Number(number) => Cow::Borrowed(number.as_str()),
            FieldValue::Toggle(toggle) => Cow::Owned(toggle.to_string()),
        }),
    }
}
