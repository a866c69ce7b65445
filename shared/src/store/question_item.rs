//! The encoding of questions.

use serde::{Deserialize, Serialize};

use super::{
    answer_item::{FieldValueItem, number},
    item::DecodeError,
};
use crate::domain::{
    Action, Decimal, EmailAddress, Locale, Question, Requester, RequesterKind,
    question::{Choice, Field, FieldKind, Recipient, Required, Style, parse_date},
};

/// The version of this encoding. A new type of field raises it, and with it that of requests.
pub(super) const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
pub(crate) struct QuestionItem {
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<ActionItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<RecipientItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    options: Vec<ChoiceItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requester: Option<RequesterItem>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    fixed_requester: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ActionItem {
    name: String,
    args: String,
    digest: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RequesterItem {
    kind: RequesterKindItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RequesterKindItem {
    Person,
    Service,
    Agent,
}

#[derive(Serialize, Deserialize)]
struct RecipientItem {
    email: String,
    /// The form that is compared, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canonical: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ChoiceItem {
    value: String,
    label: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    style: Option<StyleItem>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StyleItem {
    Primary,
    Secondary,
    Destructive,
}

#[derive(Serialize, Deserialize)]
struct FieldItem {
    key: String,
    label: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placeholder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required: Option<RequiredItem>,
    #[serde(flatten)]
    kind: FieldKindItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<FieldValueItem>,
}

/// Absent: never.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RequiredItem {
    Always,
    For(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FieldKindItem {
    Text { max_length: Option<u32> },
    Textarea { max_length: Option<u32> },
    Number { min: Option<String>, max: Option<String> },
    Select { choices: Vec<ChoiceItem> },
    MultiSelect { choices: Vec<ChoiceItem> },
    Date { min: Option<String>, max: Option<String> },
    Toggle,
}

impl From<&Question> for QuestionItem {
    fn from(question: &Question) -> Self {
        Self {
            title: question.title.clone(),
            body: question.body.clone(),
            recipients: question.recipients.iter().map(RecipientItem::from).collect(),
            options: question.options.iter().map(ChoiceItem::from).collect(),
            fields: question.fields.iter().map(FieldItem::from).collect(),
            asked_by: question.asked_by.clone(),
            action: question.action.as_ref().map(|it| ActionItem {
                name: it.name.clone(),
                args: it.args.clone(),
                digest: it.digest.to_string(),
            }),
            requester: question.requester.as_ref().map(RequesterItem::from),
            fixed_requester: question.is_requester_fixed,
            locale: question.locale.map(|it| it.as_str().to_owned()),
            reference: question.external_reference_id.clone(),
            metadata: question.metadata.clone(),
        }
    }
}

impl TryFrom<QuestionItem> for Question {
    type Error = DecodeError;

    fn try_from(item: QuestionItem) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::of("question");
        let fields = item.fields.into_iter().map(Field::try_from);
        Ok(Self {
            title: item.title,
            body: item.body,
            recipients: item.recipients.into_iter().map(Recipient::from).collect(),
            options: item.options.into_iter().map(Choice::from).collect(),
            fields: fields.collect::<Result<_, _>>()?,
            action: item.action.map(|it| it.read().ok_or_else(wrong)).transpose()?,
            asked_by: item.asked_by,
            requester: item.requester.map(Requester::from),
            is_requester_fixed: item.fixed_requester,
            locale: item.locale.map(|it| Locale::parse(&it).ok_or_else(wrong)).transpose()?,
            external_reference_id: item.reference,
            metadata: item.metadata,
        })
    }
}

impl ActionItem {
    /// The action, or `None` if it is malformed.
    fn read(self) -> Option<Action> {
        Some(Action { name: self.name, args: self.args, digest: self.digest.parse().ok()? })
    }
}

impl From<&Requester> for RequesterItem {
    fn from(requester: &Requester) -> Self {
        Self {
            kind: match requester.kind {
                RequesterKind::Person => RequesterKindItem::Person,
                RequesterKind::Service => RequesterKindItem::Service,
                RequesterKind::Agent => RequesterKindItem::Agent,
            },
            name: requester.name.clone(),
            email: requester.email.clone(),
            id: requester.id.clone(),
        }
    }
}

impl From<RequesterItem> for Requester {
    fn from(item: RequesterItem) -> Self {
        Self {
            kind: match item.kind {
                RequesterKindItem::Person => RequesterKind::Person,
                RequesterKindItem::Service => RequesterKind::Service,
                RequesterKindItem::Agent => RequesterKind::Agent,
            },
            name: item.name,
            email: item.email,
            id: item.id,
        }
    }
}

impl From<&Recipient> for RecipientItem {
    fn from(recipient: &Recipient) -> Self {
        let (given, canonical) = (recipient.email.as_given(), recipient.email.canonical());
        Self {
            email: given.to_owned(),
            canonical: (canonical != given).then(|| canonical.to_owned()),
            name: recipient.name.clone(),
        }
    }
}

impl From<RecipientItem> for Recipient {
    fn from(item: RecipientItem) -> Self {
        let canonical = item.canonical.unwrap_or_else(|| item.email.clone());
        Self { email: EmailAddress::stored(item.email, canonical), name: item.name }
    }
}

impl From<&Choice> for ChoiceItem {
    fn from(choice: &Choice) -> Self {
        Self {
            value: choice.value.clone(),
            label: choice.label.clone(),
            style: choice.style.map(|it| match it {
                Style::Primary => StyleItem::Primary,
                Style::Secondary => StyleItem::Secondary,
                Style::Destructive => StyleItem::Destructive,
            }),
        }
    }
}

impl From<ChoiceItem> for Choice {
    fn from(item: ChoiceItem) -> Self {
        Self {
            value: item.value,
            label: item.label,
            style: item.style.map(|it| match it {
                StyleItem::Primary => Style::Primary,
                StyleItem::Secondary => Style::Secondary,
                StyleItem::Destructive => Style::Destructive,
            }),
        }
    }
}

impl From<&Field> for FieldItem {
    fn from(field: &Field) -> Self {
        Self {
            key: field.key.clone(),
            label: field.label.clone(),
            help: field.help.clone(),
            placeholder: field.placeholder.clone(),
            required: match &field.required {
                Required::Never => None,
                Required::Always => Some(RequiredItem::Always),
                Required::For(options) => Some(RequiredItem::For(options.clone())),
            },
            kind: match &field.kind {
                FieldKind::Text { max_length } => FieldKindItem::Text { max_length: *max_length },
                FieldKind::Textarea { max_length } => {
                    FieldKindItem::Textarea { max_length: *max_length }
                }
                FieldKind::Number { min, max } => FieldKindItem::Number {
                    min: min.as_ref().map(Decimal::to_string),
                    max: max.as_ref().map(Decimal::to_string),
                },
                FieldKind::Select { choices } => FieldKindItem::Select {
                    choices: choices.iter().map(ChoiceItem::from).collect(),
                },
                FieldKind::MultiSelect { choices } => FieldKindItem::MultiSelect {
                    choices: choices.iter().map(ChoiceItem::from).collect(),
                },
                FieldKind::Date { min, max } => FieldKindItem::Date {
                    min: min.as_ref().map(ToString::to_string),
                    max: max.as_ref().map(ToString::to_string),
                },
                FieldKind::Toggle => FieldKindItem::Toggle,
            },
            default: field.default.as_ref().map(FieldValueItem::from),
        }
    }
}

impl TryFrom<FieldItem> for Field {
    type Error = DecodeError;

    fn try_from(item: FieldItem) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::of("question");
        let bound = |it: Option<String>| it.map(|it| number(&it).ok_or_else(wrong)).transpose();
        let day = |it: Option<String>| it.map(|it| parse_date(&it).ok_or_else(wrong)).transpose();
        Ok(Self {
            key: item.key,
            label: item.label,
            help: item.help,
            placeholder: item.placeholder,
            required: match item.required {
                None => Required::Never,
                Some(RequiredItem::Always) => Required::Always,
                Some(RequiredItem::For(options)) => Required::For(options),
            },
            kind: match item.kind {
                FieldKindItem::Text { max_length } => FieldKind::Text { max_length },
                FieldKindItem::Textarea { max_length } => FieldKind::Textarea { max_length },
                FieldKindItem::Number { min, max } => {
                    FieldKind::Number { min: bound(min)?, max: bound(max)? }
                }
                FieldKindItem::Select { choices } => {
                    FieldKind::Select { choices: choices.into_iter().map(Choice::from).collect() }
                }
                FieldKindItem::MultiSelect { choices } => FieldKind::MultiSelect {
                    choices: choices.into_iter().map(Choice::from).collect(),
                },
                FieldKindItem::Date { min, max } => {
                    FieldKind::Date { min: day(min)?, max: day(max)? }
                }
                FieldKindItem::Toggle => FieldKind::Toggle,
            },
            default: item.default.map(|it| it.read().ok_or_else(wrong)).transpose()?,
        })
    }
}
