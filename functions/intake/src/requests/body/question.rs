//! The question, who asks it, its recipients, and the sender's own data.

use std::collections::BTreeSet;

use answerback::{
    api::{
        body::{DUPLICATED, Item, Object},
        json,
    },
    domain::{
        Action, EmailAddress, Locale, Question,
        action::{ACTION_ARGS_BYTES_MAX, ACTION_NAME_CHARS_MAX},
        limits::{EMAIL_CHARS_MAX, RECIPIENT_NAME_CHARS_MAX},
        question::{
            BODY_CHARS_MAX, METADATA_BYTES_MAX, QUESTION_BYTES_MAX, RECIPIENTS_MAX,
            REFERENCE_CHARS_MAX, Recipient, TITLE_CHARS_MAX,
        },
        slack::SlackIdKind,
        text::is_blank,
    },
};
use serde_json::Value;

use super::{
    super::{
        notify::{self, NotifierName},
        requester,
    },
    form,
};
use crate::notifiers::slack_id;

/// A question, and the notifiers that its recipients name.
pub(super) struct QuestionBody {
    pub(super) question: Question,
    pub(super) via: Vec<Vec<NotifierName>>,
}

/// A recipient, and the notifiers that it names.
pub(super) struct NamedRecipient {
    pub(super) recipient: Recipient,
    pub(super) via: Vec<NotifierName>,
}

/// The recipients so far.
#[derive(Default)]
pub(super) struct Seen {
    /// Canonical addresses.
    emails: BTreeSet<String>,
    /// Users of Slack.
    slack_users: BTreeSet<String>,
}

/// Reads the question.
pub(super) fn read(body: &mut Object<'_>) -> QuestionBody {
    let title = body.required_line("title", 1..=TITLE_CHARS_MAX).unwrap_or_default();
    let text = body.optional_text("body", BODY_CHARS_MAX);
    let action = body.object("action", action).flatten();
    let requester = requester::read(body);
    let (recipients, via) = recipients(body).into_iter().map(|it| (it.recipient, it.via)).unzip();
    let n_errors = body.errors().len();
    let options = form::options(body);
    let fields = form::fields(body, &options);
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
        action,
        asked_by: None,
        requester,
        is_requester_fixed: false,
        locale: body.word("locale", &Locale::ALL),
        external_reference_id: body.optional_text("external_reference_id", REFERENCE_CHARS_MAX),
        metadata: metadata(body),
    };
    QuestionBody { question, via }
}

impl Seen {
    pub(super) fn of(recipients: &[Recipient]) -> Self {
        let slack_users = recipients.iter().filter_map(|it| it.slack_user);
        Self {
            emails: recipients.iter().map(|it| it.email.canonical().to_owned()).collect(),
            slack_users: slack_users.map(|it| it.to_string()).collect(),
        }
    }
}

/// Adds an error if the question as a whole, with the recipients of its steps, is too large.
pub(super) fn check_size(body: &Object<'_>, question: &Question) {
    let n_bytes = question.n_bytes();
    if n_bytes > QUESTION_BYTES_MAX {
        let detail = format!(
            "must be smaller: title, body, action, requester, recipients, options, fields and metadata together must \
             be at most {QUESTION_BYTES_MAX} bytes (got {n_bytes})"
        );
        body.errors().add("", detail);
    }
}

/// Reads the action that will be carried out if people approve.
fn action(action: &mut Object<'_>) -> Option<Action> {
    let name = action.required_line("name", 1..=ACTION_NAME_CHARS_MAX);
    // `null` is a value, and has another digest than no arguments at all would have elsewhere.
    let Some(args) = action.any("args") else {
        action.error("args", "is required");
        return None;
    };
    let text = args.text_as_sent();
    if text.len() > ACTION_ARGS_BYTES_MAX {
        let n_bytes = text.len();
        args.error(format!("must be at most {ACTION_ARGS_BYTES_MAX} bytes (got {n_bytes})"));
        return None;
    }
    match json::read(&text) {
        Ok(value) => Some(Action::new(name?, text, value)),
        Err(inexact) => {
            let detail = "must be a number that a double holds; send it as a string";
            args.errors().add(format!("{}{}", args.pointer(), inexact.pointer), detail);
            None
        }
    }
}

fn recipients(body: &mut Object<'_>) -> Vec<NamedRecipient> {
    let mut seen = Seen::default();
    let entries = body.list("recipients", 0..=RECIPIENTS_MAX).unwrap_or_default();
    entries.into_iter().filter_map(|it| recipient(it, &mut seen)).collect()
}

/// A recipient: an object, or an e-mail address alone.
pub(super) fn recipient(entry: Item<'_>, seen: &mut Seen) -> Option<NamedRecipient> {
    if entry.value.is_string() {
        let (errors, pointer) = (entry.errors(), entry.pointer().to_owned());
        let text = entry.text(1..=EMAIL_CHARS_MAX)?;
        let email = email(&text, seen).map_err(|detail| errors.add(pointer, detail));
        let (email, via) = (email.ok()?, Vec::new());
        let recipient = Recipient { email, name: None, via, slack_user: None };
        return Some(NamedRecipient { recipient, via: Vec::new() });
    }
    entry.object(|entry| {
        let text = entry.required_text("email", 1..=EMAIL_CHARS_MAX);
        let name = entry.optional_text("name", RECIPIENT_NAME_CHARS_MAX);
        if name.as_deref().is_some_and(is_blank) {
            entry.error("name", "must not be blank");
        }
        let via = notify::via(entry);
        let slack_user = slack_id(entry, "slack_user", SlackIdKind::User);
        // One person would have two answers.
        if slack_user.is_some_and(|it| !seen.slack_users.insert(it.to_string())) {
            entry.error("slack_user", DUPLICATED);
        }
        let email = email(&text?, seen).map_err(|detail| entry.error("email", detail));
        let recipient = Recipient { email: email.ok()?, name, via: Vec::new(), slack_user };
        Some(NamedRecipient { recipient, via })
    })
}

/// The address, if it is the first of its mailbox.
fn email(text: &str, seen: &mut Seen) -> Result<EmailAddress, &'static str> {
    let email = EmailAddress::parse(text).ok_or("must be an e-mail address")?;
    if seen.emails.insert(email.canonical().to_owned()) { Ok(email) } else { Err(DUPLICATED) }
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
