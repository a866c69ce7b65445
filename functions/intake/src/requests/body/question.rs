//! The question, its recipients, and the sender's own data.

use std::collections::BTreeSet;

use answerback::{
    api::body::{DUPLICATED, Item, Object},
    domain::{
        Question,
        limits::{
            EMAIL_CHARS_MAX, EMAIL_LOCAL_PART_BYTES_MAX, HOST_LABEL_BYTES_MAX,
            RECIPIENT_NAME_CHARS_MAX,
        },
        question::{
            BODY_CHARS_MAX, METADATA_BYTES_MAX, QUESTION_BYTES_MAX, RECIPIENTS_MAX,
            REFERENCE_CHARS_MAX, Recipient, TITLE_CHARS_MAX, fold_email,
        },
    },
};
use serde_json::Value;

use super::form;

/// Reads the question.
pub(super) fn read(body: &mut Object<'_>) -> Question {
    let title = body.required_line("title", 1..=TITLE_CHARS_MAX).unwrap_or_default();
    let text = body.optional_text("body", BODY_CHARS_MAX);
    let recipients = recipients(body);
    let n_errors = body.errors().len();
    let options = form::options(body);
    let fields = form::fields(body);
    // Unreadable options and fields have errors already.
    if options.is_empty() && fields.is_empty() && body.errors().len() == n_errors {
        body.error("options", "must not be empty without fields");
    }
    let question = Question {
        title,
        body: text,
        recipients,
        options,
        fields,
        external_reference_id: body.optional_text("external_reference_id", REFERENCE_CHARS_MAX),
        metadata: metadata(body),
    };
    let n_bytes = question.n_bytes();
    if n_bytes > QUESTION_BYTES_MAX {
        let detail = format!(
            "must be smaller: title, body, recipients, options, fields and metadata together must \
             be at most {QUESTION_BYTES_MAX} bytes (got {n_bytes})"
        );
        body.errors().add("", detail);
    }
    question
}

fn recipients(body: &mut Object<'_>) -> Vec<Recipient> {
    let mut seen = BTreeSet::new();
    let entries = body.list("recipients", 0..=RECIPIENTS_MAX).unwrap_or_default();
    entries.into_iter().filter_map(|it| recipient(it, &mut seen)).collect()
}

/// A recipient: an object, or an e-mail address alone.
fn recipient(entry: Item<'_>, seen: &mut BTreeSet<String>) -> Option<Recipient> {
    if entry.value.is_string() {
        let (errors, pointer) = (entry.errors(), entry.pointer().to_owned());
        let text = entry.text(1..=EMAIL_CHARS_MAX)?;
        let email = email(&text, seen).map_err(|detail| errors.add(pointer, detail));
        return Some(Recipient { email: email.ok()?, name: None });
    }
    entry.object(|entry| {
        let text = entry.required_text("email", 1..=EMAIL_CHARS_MAX);
        let name = entry.optional_text("name", RECIPIENT_NAME_CHARS_MAX);
        let email = email(&text?, seen).map_err(|detail| entry.error("email", detail));
        Some(Recipient { email: email.ok()?, name })
    })
}

/// The address as it is compared, if it is the first of its kind.
fn email(text: &str, seen: &mut BTreeSet<String>) -> Result<String, &'static str> {
    if !is_email(text) {
        return Err("must be an e-mail address");
    }
    let email = fold_email(text);
    if seen.insert(email.clone()) { Ok(email) } else { Err(DUPLICATED) }
}

/// Looks like an address. Only sending to it would prove that it is one.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_word = |it: &str| !it.is_empty() && !it.contains(char::is_whitespace);
    is_word(local)
        && is_word(domain)
        && local.len() <= EMAIL_LOCAL_PART_BYTES_MAX
        && !local.contains(['@', '<', '>', ',', ';', '"', '\\'])
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.split('.').count() >= 2
        && domain.split('.').all(|label| {
            (1..=HOST_LABEL_BYTES_MAX).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|it| it.is_alphanumeric() || it == '-')
        })
}

/// The metadata as it was sent: numbers keep their digits, and members their order.
fn metadata(body: &mut Object<'_>) -> Option<String> {
    let item = body.item("metadata")?;
    let Value::Object(_) = item.value else {
        item.error("must be an object");
        return None;
    };
    let text = item.text_as_sent();
    let n_bytes = text.len();
    if n_bytes > METADATA_BYTES_MAX {
        item.error(format!("must be at most {METADATA_BYTES_MAX} bytes (got {n_bytes})"));
        return None;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_like_addresses_are_accepted() {
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
