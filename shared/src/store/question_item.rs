//! The encoding of questions, answers and policies.

use serde::{Deserialize, Serialize};

use super::{
    answer_item::{FieldValueItem, number},
    item::DecodeError,
    receiver_item::ReceiverItem,
};
use crate::domain::{
    Assurance, Decimal, EmailAddress, Question, RequestEvent,
    consumption::{ReadMode, ReadPolicy},
    question::{Choice, Field, FieldKind, Recipient, Style},
    quorum::{Count, Quorum},
    request::{AnswerMode, Callback, OnDeadline, RequestPolicy},
};

#[derive(Serialize, Deserialize)]
pub(crate) struct QuestionItem {
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<RecipientItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    options: Vec<ChoiceItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
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
    required: bool,
    #[serde(flatten)]
    kind: FieldKindItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<FieldValueItem>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FieldKindItem {
    Text { max_length: Option<u32> },
    Textarea { max_length: Option<u32> },
    Number { min: Option<String>, max: Option<String> },
    Select { choices: Vec<ChoiceItem> },
    Toggle,
}

/// The version of this encoding. A new type of field raises it, and with it that of requests.
pub(super) const VERSION: u32 = 1;

/// Common values are left out.
#[derive(Serialize, Deserialize)]
pub(crate) struct PolicyItem {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    on_timeout: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    option: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    veto: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_option: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    callback: Option<CallbackItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read: Option<ReadModeItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assurance: Option<AssuranceItem>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AssuranceItem {
    Confirm,
    Code,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReadModeItem {
    Once,
    Lease(u32),
}

#[derive(Serialize, Deserialize)]
struct CallbackItem {
    events: Vec<String>,
    #[serde(flatten)]
    receiver: ReceiverItem,
}

impl From<&Question> for QuestionItem {
    fn from(question: &Question) -> Self {
        Self {
            title: question.title.clone(),
            body: question.body.clone(),
            recipients: question.recipients.iter().map(RecipientItem::from).collect(),
            options: question.options.iter().map(ChoiceItem::from).collect(),
            fields: question.fields.iter().map(FieldItem::from).collect(),
            reference: question.external_reference_id.clone(),
            metadata: question.metadata.clone(),
        }
    }
}

impl TryFrom<QuestionItem> for Question {
    type Error = DecodeError;

    fn try_from(item: QuestionItem) -> Result<Self, DecodeError> {
        let fields = item.fields.into_iter().map(Field::try_from);
        Ok(Self {
            title: item.title,
            body: item.body,
            recipients: item.recipients.into_iter().map(Recipient::from).collect(),
            options: item.options.into_iter().map(Choice::from).collect(),
            fields: fields.collect::<Result<_, _>>()?,
            external_reference_id: item.reference,
            metadata: item.metadata,
        })
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
            required: field.is_required,
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
        Ok(Self {
            key: item.key,
            label: item.label,
            is_required: item.required,
            kind: match item.kind {
                FieldKindItem::Text { max_length } => FieldKind::Text { max_length },
                FieldKindItem::Textarea { max_length } => FieldKind::Textarea { max_length },
                FieldKindItem::Number { min, max } => {
                    FieldKind::Number { min: bound(min)?, max: bound(max)? }
                }
                FieldKindItem::Select { choices } => {
                    FieldKind::Select { choices: choices.into_iter().map(Choice::from).collect() }
                }
                FieldKindItem::Toggle => FieldKind::Toggle,
            },
            default: item.default.map(|it| it.read().ok_or_else(wrong)).transpose()?,
        })
    }
}

impl From<&RequestPolicy> for PolicyItem {
    fn from(policy: &RequestPolicy) -> Self {
        Self {
            on_timeout: policy.mode == AnswerMode::OnTimeout,
            count: match policy.quorum.count {
                Count::All => None,
                Count::AtLeast(count) => Some(count),
            },
            option: policy.quorum.option.clone(),
            veto: policy.quorum.veto.clone(),
            default_option: match &policy.on_deadline {
                OnDeadline::Expire => None,
                OnDeadline::Default(option) => Some(option.clone()),
            },
            callback: policy.callback.as_ref().map(CallbackItem::from),
            read: match policy.read.mode {
                ReadMode::Repeat => None,
                ReadMode::Once => Some(ReadModeItem::Once),
                ReadMode::Lease { seconds } => Some(ReadModeItem::Lease(seconds)),
            },
            ttl_seconds: policy.read.ttl_seconds,
            assurance: match policy.assurance {
                Assurance::Link => None,
                Assurance::Confirm => Some(AssuranceItem::Confirm),
                Assurance::Code => Some(AssuranceItem::Code),
            },
        }
    }
}

impl TryFrom<PolicyItem> for RequestPolicy {
    type Error = DecodeError;

    fn try_from(item: PolicyItem) -> Result<Self, DecodeError> {
        Ok(Self {
            mode: if item.on_timeout { AnswerMode::OnTimeout } else { AnswerMode::OnUserAction },
            quorum: Quorum {
                count: item.count.map_or(Count::All, Count::AtLeast),
                option: item.option,
                veto: item.veto,
            },
            on_deadline: item.default_option.map_or(OnDeadline::Expire, OnDeadline::Default),
            callback: item.callback.map(Callback::try_from).transpose()?,
            read: ReadPolicy {
                mode: match item.read {
                    None => ReadMode::Repeat,
                    Some(ReadModeItem::Once) => ReadMode::Once,
                    Some(ReadModeItem::Lease(seconds)) => ReadMode::Lease { seconds },
                },
                ttl_seconds: item.ttl_seconds,
            },
            assurance: match item.assurance {
                None => Assurance::Link,
                Some(AssuranceItem::Confirm) => Assurance::Confirm,
                Some(AssuranceItem::Code) => Assurance::Code,
            },
        })
    }
}

impl From<&Callback> for CallbackItem {
    fn from(callback: &Callback) -> Self {
        Self {
            events: callback.events.iter().map(|it| it.as_str().to_owned()).collect(),
            receiver: ReceiverItem::from(&callback.receiver),
        }
    }
}

impl TryFrom<CallbackItem> for Callback {
    type Error = DecodeError;

    fn try_from(item: CallbackItem) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::of("policy");
        let events = item.events.iter().map(|it| RequestEvent::parse(it).ok_or_else(wrong));
        let events = events.collect::<Result<_, _>>()?;
        Ok(Self { receiver: item.receiver.read().ok_or_else(wrong)?, events })
    }
}
