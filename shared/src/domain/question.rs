//! A question, its recipients, and the answers that fit it.
//!
//! A question never changes after it was asked. `intake` checks its parts when they come in. This
//! module has the limits, and the one rule that is applied again and again: does an answer fit?

mod fault;
mod fields;

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, EmailAddress, Locale, Requester, notifier::NotifierChoice, slack::SlackId};

pub use fault::Fault;
pub use fields::{Field, FieldKind, FieldValue, Required, parse_date};

/// Longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 200;
/// Longest body, in characters.
pub const BODY_CHARS_MAX: usize = 10_000;
/// Most recipients of one request. With their answers they must fit into one item.
pub const RECIPIENTS_MAX: usize = 100;
/// Most options. More do not fit on a page of buttons.
pub const OPTIONS_MAX: usize = 10;
/// Longest value of an option or choice, in characters.
pub const VALUE_CHARS_MAX: usize = 100;
/// Longest label of an option, field or choice, in characters.
pub const LABEL_CHARS_MAX: usize = 75;
/// Longest help for a field, in characters.
pub const HELP_CHARS_MAX: usize = 300;
/// Longest placeholder of a field, in characters.
pub const PLACEHOLDER_CHARS_MAX: usize = 75;
/// Most fields of a form.
pub const FIELDS_MAX: usize = 20;
/// Longest key of a field, in characters.
pub const KEY_CHARS_MAX: usize = 50;
/// Most choices of a field.
pub const CHOICES_MAX: usize = 50;
/// Longest external reference, in characters.
pub const REFERENCE_CHARS_MAX: usize = 200;
/// Largest metadata, in bytes of JSON.
pub const METADATA_BYTES_MAX: usize = 4 * 1024;
/// Largest answer, in bytes of JSON: room for a field of 10,000 characters in every language.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024;
/// Largest answer that is stored in the item of its request, in bytes of JSON. A hundred of them
/// leave a request far below DynamoDB's limit of 400 KB per item. Longer answers have items of
/// their own.
pub const ANSWER_INLINE_BYTES_MAX: usize = 2 * 1024;
/// Largest question as a whole, in bytes of JSON, for the same reason.
pub const QUESTION_BYTES_MAX: usize = 64 * 1024;
/// Largest question that is stored in the item of its request, in bytes as they are stored. With a
/// larger one, each later write of the request would cost a unit more, for every kilobyte.
pub const QUESTION_INLINE_BYTES_MAX: usize = 500;

/// The option of a form without options.
pub const SUBMIT: &str = "submit";

/// Bytes around a text: quotation marks, its name, a comma.
pub(super) const TEXT_OVERHEAD_BYTES: usize = 12;

/// A question and its recipients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// The question in one line.
    pub title: String,
    /// The question in detail, in Markdown.
    pub body: Option<String>,
    /// The action that will be carried out if people approve.
    pub action: Option<Action>,
    /// The recipients, in the sender's order. Empty: one anonymous recipient, who has the link.
    pub recipients: Vec<Recipient>,
    /// The options. Empty: the form can only be submitted.
    pub options: Vec<Choice>,
    /// The form fields.
    pub fields: Vec<Field>,
    /// The names of the account and key that ask, as they were then.
    pub asked_by: Option<String>,
    /// Who asks by the account, according to the account.
    pub requester: Option<Requester>,
    /// The requester is that of the key that asks, and not the claim of this request.
    pub is_requester_fixed: bool,
    /// The language of the page's own words. `None`: the reader's.
    pub locale: Option<Locale>,
    /// The sender's own name for the request.
    pub external_reference_id: Option<String>,
    /// The sender's own data: a JSON object, as text. Recipients never see it.
    pub metadata: Option<String>,
}

/// A person who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The e-mail address, unique within the request.
    pub email: EmailAddress,
    /// The name to address them by.
    pub name: Option<String>,
    /// The notifiers for them, in the order in which they are tried. Empty: those of the request.
    pub via: Vec<NotifierChoice>,
    /// Their user in Slack. `None`: the one with their address.
    pub slack_user: Option<SlackId>,
}

/// A value to choose, and its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The recorded value.
    pub value: String,
    /// The text that people see.
    pub label: String,
    /// The style of an option's button. Choices of a select field have none.
    pub style: Option<Style>,
}

/// The style of an option's button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The expected choice.
    Primary,
    /// Another choice.
    Secondary,
    /// A choice that destroys something.
    Destructive,
}

/// One recipient's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The chosen option.
    pub option: Option<String>,
    /// The values of the form fields, by key.
    pub fields: BTreeMap<String, FieldValue>,
}

/// A part of an answer that does not fit the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key of the field. `None` is the option.
    pub field: Option<String>,
    /// The fault.
    pub fault: Fault,
}

impl Question {
    /// The number of answers that it can get: one per recipient, and at least one.
    pub fn n_rows(&self) -> usize {
        self.recipients.len().max(1)
    }

    /// The row of the recipient with this e-mail address. `None` is the anonymous recipient.
    pub fn row_of(&self, email: Option<&str>) -> Option<usize> {
        match email {
            None => self.recipients.is_empty().then_some(0),
            Some(email) => {
                let email = EmailAddress::parse(email.trim())?;
                self.recipients.iter().position(|it| it.email == email)
            }
        }
    }

    /// The requester is one of the recipients, and so would approve its own question.
    pub fn asks_its_requester(&self) -> bool {
        let email = self.requester.as_ref().and_then(|it| it.email.as_deref());
        let requester = email.and_then(EmailAddress::parse);
        requester.is_some_and(|it| self.recipients.iter().any(|recipient| recipient.email == it))
    }

    /// `value` is one of the options.
    pub fn has_option(&self, value: &str) -> bool {
        if self.options.is_empty() {
            value == SUBMIT
        } else {
            self.options.iter().any(|it| it.value == value)
        }
    }

    /// The answer in the form in which it is recorded, with defaults filled in, or all its faults.
    pub fn fit(&self, answer: Answer) -> Result<Answer, Vec<Misfit>> {
        let mut misfits = Vec::new();
        let option = self.fit_option(answer.option).unwrap_or_else(|fault| {
            misfits.push(Misfit { field: None, fault });
            None
        });

        let known: BTreeSet<&str> = self.fields.iter().map(|it| it.key.as_str()).collect();
        for key in answer.fields.keys().filter(|it| !known.contains(it.as_str())) {
            misfits.push(Misfit { field: Some(key.clone()), fault: Fault::UnknownField });
        }

        let mut given: BTreeMap<String, FieldValue> =
            answer.fields.into_iter().map(|(key, value)| (key, value.cleaned())).collect();
        let mut fields = BTreeMap::new();
        for field in &self.fields {
            match field.fit(given.remove(&field.key), option.as_deref()) {
                Ok(Some(value)) => _ = fields.insert(field.key.clone(), value),
                Ok(None) => (),
                Err(fault) => misfits.push(Misfit { field: Some(field.key.clone()), fault }),
            }
        }
        if !misfits.is_empty() {
            return Err(misfits);
        }
        let answer = Answer { option, fields };
        let n_bytes = answer.n_bytes();
        if n_bytes > ANSWER_BYTES_MAX {
            let longest = answer.fields.iter().max_by_key(|(_, value)| value.n_bytes());
            let field = longest.map(|(key, _)| key.clone());
            return Err(vec![Misfit { field, fault: Fault::AnswerTooLong { n_bytes } }]);
        }
        Ok(answer)
    }

    fn fit_option(&self, option: Option<String>) -> Result<Option<String>, Fault> {
        match option.filter(|it| !it.is_empty()) {
            None if self.options.is_empty() => Ok(Some(SUBMIT.to_owned())),
            None => Err(Fault::NoOption),
            Some(option) if self.has_option(&option) => Ok(Some(option)),
            Some(_) if self.options.is_empty() => {
                Err(Fault::UnknownOption { options: vec![SUBMIT.to_owned()] })
            }
            Some(_) => {
                let options = self.options.iter().map(|it| it.value.clone()).collect();
                Err(Fault::UnknownOption { options })
            }
        }
    }
}

impl Answer {
    /// Both say the same.
    pub fn is_equal(&self, other: &Self) -> bool {
        let is_same = |((key, value), (other_key, other)): (
            (&String, &FieldValue),
            (&String, &FieldValue),
        )| { key == other_key && value.is_equal(other) };
        self.option == other.option
            && self.fields.len() == other.fields.len()
            && self.fields.iter().zip(&other.fields).all(is_same)
    }

    /// Too long for the item of its request.
    pub fn is_long(&self) -> bool {
        self.n_bytes() > ANSWER_INLINE_BYTES_MAX
    }
}

impl Choice {
    /// Its approximate bytes in the table.
    pub fn n_bytes(&self) -> usize {
        self.value.len() + self.label.len() + 3 * TEXT_OVERHEAD_BYTES
    }
}

/// The bytes of a text as a JSON string.
pub(super) fn json_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => "\\u0000".len(),
        _ => 1,
    };
    "\"\"".len() + text.bytes().map(escaped).sum::<usize>()
}

#[cfg(test)]
mod tests;
