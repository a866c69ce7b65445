//! Reads what is asked, and of whom.

mod form;

use std::collections::BTreeSet;

use answerback::{
    api::{
        Fields,
        body::{FieldErrors, note},
    },
    domain::{
        Question,
        question::{
            BODY_CHARS_MAX, Choice, Field, FieldKind, FieldValue, METADATA_BYTES_MAX, OPTIONS_MAX,
            QUESTION_BYTES_MAX, RECIPIENTS_MAX, REFERENCE_CHARS_MAX, Recipient, TITLE_CHARS_MAX,
            fold_email,
        },
    },
};
pub(crate) use form::field_value;

/// Longest e-mail address (RFC 5321, section 4.5.3.1.3).
const EMAIL_CHARS_MAX: usize = 254;
/// Longest part before the at sign (RFC 5321, section 4.5.3.1.1).
const LOCAL_PART_BYTES_MAX: usize = 64;
/// Longest label of a host name (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// Longest name of a recipient, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Takes the question out of the body's members.
pub(crate) fn read(fields: &mut Fields, faults: &mut FieldErrors) -> Question {
    let title = fields.required_line("title", 1..=TITLE_CHARS_MAX, faults).unwrap_or_default();
    let body = optional_text(fields, "body", BODY_CHARS_MAX, faults);
    let recipients = recipients(fields, faults);
    let n_faults = faults.len();
    let options = form::choices(fields, "options", 0..=OPTIONS_MAX, true, faults);
    let form = form::fields(fields, faults);
    // Those that are there and cannot be read have been noted themselves.
    if options.is_empty() && form.is_empty() && faults.len() == n_faults {
        fields.fault("options", "must not be empty where there are no fields", faults);
    }
    let question = Question {
        title,
        body,
        recipients,
        options,
        fields: form,
        external_reference_id: optional_text(
            fields,
            "external_reference_id",
            REFERENCE_CHARS_MAX,
            faults,
        ),
        metadata: metadata(fields, faults),
    };
    if size(&question) > QUESTION_BYTES_MAX {
        let detail = format!(
            "must be smaller: title, body, recipients, options, fields and metadata together have more than {QUESTION_BYTES_MAX} bytes"
        );
        note(faults, "", detail);
    }
    question
}

/// A text that may be left out, or left empty.
/// A text that may be empty, and then is as good as none.
pub(crate) fn optional_text(
    fields: &mut Fields,
    name: &str,
    chars_max: usize,
    faults: &mut FieldErrors,
) -> Option<String> {
    fields.text(name, 0..=chars_max, faults).filter(|it| !it.is_empty())
}

fn recipients(fields: &mut Fields, faults: &mut FieldErrors) -> Vec<Recipient> {
    let mut seen = BTreeSet::new();
    let entries = fields.list("recipients", 0..=RECIPIENTS_MAX, faults).unwrap_or_default();
    let mut recipients = Vec::new();
    for (pointer, value) in entries {
        let bare = value.as_str().map(|it| serde_json::json!({ "email": it }));
        let mut entry = Fields::of(bare.clone().unwrap_or(value), pointer.clone(), faults);
        let at = if bare.is_some() { pointer } else { entry.pointer("email") };
        // A bare string is its own place.
        let mut own = FieldErrors::new();
        let email = entry.required_text("email", 1..=EMAIL_CHARS_MAX, &mut own);
        for fault in own {
            note(faults, at.clone(), fault.detail);
        }
        let name = optional_text(&mut entry, "name", NAME_CHARS_MAX, faults);
        entry.finish(faults);
        let Some(email) = email else { continue };
        if !is_email(&email) {
            note(faults, at, "is not an e-mail address");
            continue;
        }
        let email = fold_email(&email);
        if seen.insert(email.clone()) {
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
        && local.len() <= LOCAL_PART_BYTES_MAX
        && !local.contains(['@', '<', '>', ',', ';', '"', '\\'])
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.split('.').count() >= 2
        && domain.split('.').all(|label| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|it| it.is_alphanumeric() || it == '-')
        })
}

fn metadata(fields: &mut Fields, faults: &mut FieldErrors) -> Option<String> {
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
