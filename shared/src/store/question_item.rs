//! The encoding of questions.

use serde::{Deserialize, Serialize};

use super::{
    answer_item::{FieldValueItem, number},
    policy_item::NotifierChoiceItem,
    reader::DecodeError,
};
use crate::domain::{
    Action, Decimal, EmailAddress, Locale, Question, Requester, RequesterKind,
    question::{Choice, Field, FieldKind, Recipient, Required, Style, parse_date},
    slack::SlackId,
};

/// The version of this encoding. A new type of field raises it, and with it that of requests.
pub(super) const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
pub(crate) struct QuestionItem {
    #[serde(rename = "t")]
    title: String,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    action: Option<ActionItem>,
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<RecipientItem>,
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    options: Vec<ChoiceItem>,
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldItem>,
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    asked_by: Option<String>,
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    requester: Option<RequesterItem>,
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    fixed_requester: bool,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
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

/// Most recipients are only an address.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RecipientItem {
    Email(String),
    Full {
        #[serde(rename = "e")]
        email: String,
        /// The form that is compared, if it differs.
        #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
        canonical: Option<String>,
        #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
        via: Vec<NotifierChoiceItem>,
        #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
        slack_user: Option<String>,
    },
}

/// Value, label and style.
#[derive(Serialize, Deserialize)]
struct ChoiceItem(
    String,
    String,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<StyleItem>,
);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StyleItem {
    Primary,
    Secondary,
    Destructive,
}

#[derive(Serialize, Deserialize)]
struct FieldItem {
    #[serde(rename = "k")]
    key: String,
    #[serde(rename = "l")]
    label: String,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    placeholder: Option<String>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    required: Option<RequiredItem>,
    #[serde(flatten)]
    kind: FieldKindItem,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
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
    Text {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<u32>,
    },
    Textarea {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<u32>,
    },
    Number {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<String>,
    },
    Select {
        choices: Vec<ChoiceItem>,
    },
    MultiSelect {
        choices: Vec<ChoiceItem>,
    },
    Date {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<String>,
    },
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
            recipients: item
                .recipients
                .into_iter()
                .map(|it| it.read().ok_or_else(wrong))
                .collect::<Result<_, _>>()?,
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
        let (email, canonical) =
            (given.to_owned(), (canonical != given).then(|| canonical.to_owned()));
        let via: Vec<_> = recipient.via.iter().map(NotifierChoiceItem::from).collect();
        let slack_user = recipient.slack_user.map(|it| it.to_string());
        match (canonical, recipient.name.clone()) {
            (None, None) if via.is_empty() && slack_user.is_none() => Self::Email(email),
            (canonical, name) => Self::Full { email, canonical, name, via, slack_user },
        }
    }
}

impl RecipientItem {
    /// The recipient, or `None` if it is malformed, or only a newer version knows one of the notifiers.
    fn read(self) -> Option<Recipient> {
        let (email, canonical, name, via, slack_user) = match self {
            Self::Email(email) => (email, None, None, Vec::new(), None),
            Self::Full { email, canonical, name, via, slack_user } => {
                (email, canonical, name, via, slack_user)
            }
        };
        let canonical = canonical.unwrap_or_else(|| email.clone());
        let via = via.into_iter().map(NotifierChoiceItem::read).collect::<Option<_>>()?;
        let slack_user = match slack_user {
            Some(text) => Some(SlackId::parse(&text)?),
            None => None,
        };
        Some(Recipient { email: EmailAddress::stored(email, canonical), name, via, slack_user })
    }
}

impl From<&Choice> for ChoiceItem {
    fn from(choice: &Choice) -> Self {
        let style = choice.style.map(|it| match it {
            Style::Primary => StyleItem::Primary,
            Style::Secondary => StyleItem::Secondary,
            Style::Destructive => StyleItem::Destructive,
        });
        Self(choice.value.clone(), choice.label.clone(), style)
    }
}

impl From<ChoiceItem> for Choice {
    fn from(ChoiceItem(value, label, style): ChoiceItem) -> Self {
        Self {
            value,
            label,
            style: style.map(|it| match it {
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
