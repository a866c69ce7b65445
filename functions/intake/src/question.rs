//! Reads what is asked, and of whom.

use std::collections::BTreeSet;

use answerback::{
    domain::{
        Question,
        question::{
            BODY_CHARS_MAX, CHOICES_MAX, Choice, FIELDS_MAX, Field, FieldKind, FieldValue,
            KEY_CHARS_MAX, LABEL_CHARS_MAX, METADATA_BYTES_MAX, OPTIONS_MAX, QUESTION_BYTES_MAX,
            RECIPIENTS_MAX, REFERENCE_CHARS_MAX, Recipient, Style, TITLE_CHARS_MAX,
            VALUE_CHARS_MAX, fold_email,
        },
    },
    service::{
        Fields,
        fields::{Faults, note},
    },
};
use serde_json::Value;

/// Longest e-mail address (RFC 5321, section 4.5.3.1.3).
const EMAIL_CHARS_MAX: usize = 254;
/// Longest name of a recipient, in characters.
const NAME_CHARS_MAX: usize = 200;
/// Longest text that a text field may be made to take; an answer is smaller anyway.
const TEXT_CHARS_MAX: u32 = 2_048;

const STYLES: [(&str, Style); 3] = [
    ("primary", Style::Primary),
    ("secondary", Style::Secondary),
    ("destructive", Style::Destructive),
];

/// Takes the question out of the body's members.
pub(crate) fn read(fields: &mut Fields, faults: &mut Faults) -> Question {
    let question = Question {
        title: title(fields, faults),
        body: fields.text("body", 0..=BODY_CHARS_MAX, faults).filter(|it| !it.is_empty()),
        recipients: recipients(fields, faults),
        options: choices(fields, "options", 0..=OPTIONS_MAX, true, faults),
        fields: form(fields, faults),
        external_reference_id: fields.text(
            "external_reference_id",
            1..=REFERENCE_CHARS_MAX,
            faults,
        ),
        metadata: metadata(fields, faults),
    };
    if question.options.is_empty() && question.fields.is_empty() && faults.is_empty() {
        fields.fault("options", "or fields: at least one is required", faults);
    }
    if size(&question) > QUESTION_BYTES_MAX {
        let detail = format!(
            "must be smaller: title, body, recipients, options, fields and metadata together have more than {QUESTION_BYTES_MAX} bytes"
        );
        note(faults, "", detail);
    }
    question
}

fn title(fields: &mut Fields, faults: &mut Faults) -> String {
    let title = fields.required_text("title", 1..=TITLE_CHARS_MAX, faults).unwrap_or_default();
    if !title.is_empty() && title.trim().is_empty() {
        fields.fault("title", "must not be blank", faults);
    } else if title.contains(['\n', '\r']) {
        fields.fault("title", "must be one line", faults);
    }
    title
}

fn recipients(fields: &mut Fields, faults: &mut Faults) -> Vec<Recipient> {
    let mut seen = BTreeSet::new();
    let entries = fields.list("recipients", 0..=RECIPIENTS_MAX, faults).unwrap_or_default();
    let mut recipients = Vec::new();
    for (pointer, value) in entries {
        let bare = value.as_str().map(|it| serde_json::json!({ "email": it }));
        let mut entry = Fields::of(bare.clone().unwrap_or(value), pointer.clone(), faults);
        let at = if bare.is_some() { pointer } else { entry.pointer("email") };
        // A bare string is its own place.
        let mut own = Faults::new();
        let email = entry.required_text("email", 1..=EMAIL_CHARS_MAX, &mut own);
        for fault in own {
            note(faults, at.clone(), fault.detail);
        }
        let name = entry.text("name", 1..=NAME_CHARS_MAX, faults);
        entry.finish(faults);
        let Some(email) = email.map(|it| fold_email(&it)) else { continue };
        if !is_email(&email) {
            note(faults, at, "is not an e-mail address");
        } else if seen.insert(email.clone()) {
            recipients.push(Recipient { email, name });
        } else {
            note(faults, at, "is there twice");
        }
    }
    recipients
}

/// Whether it is shaped like an address: nobody can tell more without sending to it.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_word = |it: &str| !it.is_empty() && !it.contains(char::is_whitespace);
    is_word(local)
        && is_word(domain)
        && !local.contains(['@', '<', '>', ',', ';', '"', '\\'])
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.split('.').count() >= 2
        && domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|it| it.is_alphanumeric() || it == '-')
        })
}

fn choices(
    fields: &mut Fields,
    name: &str,
    count: std::ops::RangeInclusive<usize>,
    styled: bool,
    faults: &mut Faults,
) -> Vec<Choice> {
    let mut seen = BTreeSet::new();
    let mut choices = Vec::new();
    for (pointer, value) in fields.list(name, count, faults).unwrap_or_default() {
        let mut entry = Fields::of(value, pointer, faults);
        let value = entry.required_text("value", 1..=VALUE_CHARS_MAX, faults);
        let label = entry.required_text("label", 1..=LABEL_CHARS_MAX, faults);
        let style = if styled { entry.word("style", &STYLES, faults) } else { None };
        if value.as_ref().is_some_and(|it| !seen.insert(it.clone())) {
            entry.fault("value", "is there twice", faults);
        }
        entry.finish(faults);
        if let (Some(value), Some(label)) = (value, label) {
            choices.push(Choice { value, label, style });
        }
    }
    choices
}

fn form(fields: &mut Fields, faults: &mut Faults) -> Vec<Field> {
    let mut seen = BTreeSet::new();
    let mut form = Vec::new();
    for (pointer, value) in fields.list("fields", 0..=FIELDS_MAX, faults).unwrap_or_default() {
        let mut entry = Fields::of(value, pointer, faults);
        let key = entry.required_text("key", 1..=KEY_CHARS_MAX, faults);
        if key.as_ref().is_some_and(|it| !seen.insert(it.clone())) {
            entry.fault("key", "is there twice", faults);
        }
        let label = entry.required_text("label", 1..=LABEL_CHARS_MAX, faults);
        let required = entry.flag("required", faults).unwrap_or(false);
        let kind = kind(&mut entry, faults);
        let default = entry.take("default").map(field_value);
        let (Some(key), Some(label), Some(kind)) = (key, label, kind) else {
            entry.finish(faults);
            continue;
        };
        let mut field = Field { key, label, required, kind, default: None };
        match default {
            None => (),
            Some(None) => entry.fault("default", "must be text, a number or a boolean", faults),
            Some(Some(value)) => {
                match (Field { required: false, ..field.clone() }).fit(Some(value)) {
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

fn kind(entry: &mut Fields, faults: &mut Faults) -> Option<FieldKind> {
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
    if !entry.has("type") {
        entry.fault("type", "is required", faults);
        // Which of these belong to it nobody knows.
        for name in ["choices", "min", "max", "max_length"] {
            entry.take(name);
        }
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

fn metadata(fields: &mut Fields, faults: &mut Faults) -> Option<String> {
    let value = fields.take("metadata")?;
    if !value.is_object() {
        fields.fault("metadata", "must be an object", faults);
        return None;
    }
    let text = value.to_string();
    if text.len() > METADATA_BYTES_MAX {
        let detail = format!("must have at most {METADATA_BYTES_MAX} bytes, not {}", text.len());
        fields.fault("metadata", detail, faults);
        return None;
    }
    Some(text)
}

/// About as many bytes as the question takes where it is kept.
fn size(question: &Question) -> usize {
    /// What stands around a text: quotation marks, a name, a comma.
    const AROUND: usize = 12;
    let choice = |it: &Choice| it.value.len() + it.label.len() + 3 * AROUND;
    let field = |it: &Field| {
        let choices = match &it.kind {
            FieldKind::Select { choices } => choices.iter().map(choice).sum(),
            FieldKind::Text { .. }
            | FieldKind::Textarea { .. }
            | FieldKind::Number { .. }
            | FieldKind::Toggle => 0,
        };
        let default = match &it.default {
            Some(FieldValue::Text(text)) => text.len(),
            Some(FieldValue::Number(_) | FieldValue::Toggle(_)) | None => 0,
        };
        it.key.len() + it.label.len() + choices + default + 6 * AROUND
    };
    let recipient =
        |it: &Recipient| it.email.len() + it.name.as_ref().map_or(0, String::len) + 2 * AROUND;
    question.title.len()
        + question.body.as_ref().map_or(0, String::len)
        + question.metadata.as_ref().map_or(0, String::len)
        + question.recipients.iter().map(recipient).sum::<usize>()
        + question.options.iter().map(choice).sum::<usize>()
        + question.fields.iter().map(field).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in ["a@example.com", "a.b+c@mail.example.com", "björn@bücher.example"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@example.com",
            "a@localhost",
            "a b@example.com",
            "a@b@c.com",
            "<a@example.com>",
            "a@exa mple.com",
            "a@example..com",
            ".a@example.com",
            "a@-x.com",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
