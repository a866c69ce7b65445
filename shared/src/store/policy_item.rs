//! The encoding of the policies of requests.

use serde::{Deserialize, Serialize};

use super::{reader::DecodeError, receiver_item::ReceiverItem, step_item::StepItem};
use crate::domain::{
    Assurance, NotifierKind, RequestEvent,
    approval::ConsumePolicy,
    consumption::{ReadMode, ReadPolicy},
    notifier::NotifierChoice,
    quorum::{Count, Quorum},
    request::{AnswerMode, Callback, OnDeadline, OnUnreachable, RequestPolicy, Step},
    slack::SlackId,
};

/// Common values are left out.
#[derive(Serialize, Deserialize)]
pub(crate) struct PolicyItem {
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    on_timeout: bool,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    option: Option<String>,
    #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
    veto: Vec<String>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    default_option: Option<String>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    callback: Option<CallbackItem>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    read: Option<ReadModeItem>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<u32>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    assurance: Option<AssuranceItem>,
    #[serde(rename = "s", default, skip_serializing_if = "std::ops::Not::not")]
    allows_self: bool,
    #[serde(rename = "i", default, skip_serializing_if = "std::ops::Not::not")]
    refuses_api_answers: bool,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    consume: Option<ConsumeItem>,
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    notify: Vec<NotifierChoiceItem>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    on_unreachable: Option<OnUnreachableItem>,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    slack_channel: Option<String>,
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepItem>,
}

/// Absent: it waits.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnUnreachableItem {
    Expire,
}

/// A notifier and its kind.
#[derive(Serialize, Deserialize)]
pub(super) struct NotifierChoiceItem(String, String);

#[derive(Serialize, Deserialize)]
struct ConsumeItem {
    option: String,
    within: u32,
    count: u32,
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
    /// Absent: `request.finished` alone.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    events: Option<Vec<String>>,
    #[serde(flatten)]
    receiver: ReceiverItem,
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
            allows_self: policy.allows_self,
            refuses_api_answers: !policy.accepts_api_answers,
            consume: policy.consume.as_ref().map(|it| ConsumeItem {
                option: it.option.clone(),
                within: it.within_seconds,
                count: it.count,
            }),
            notify: policy.notify.iter().map(NotifierChoiceItem::from).collect(),
            on_unreachable: match policy.on_unreachable {
                OnUnreachable::Wait => None,
                OnUnreachable::Expire => Some(OnUnreachableItem::Expire),
            },
            slack_channel: policy.slack_channel.map(|it| it.to_string()),
            steps: policy.steps.iter().map(StepItem::from).collect(),
        }
    }
}

impl From<&NotifierChoice> for NotifierChoiceItem {
    fn from(choice: &NotifierChoice) -> Self {
        Self(choice.id.to_string(), choice.kind.as_str().to_owned())
    }
}

impl NotifierChoiceItem {
    /// The choice, or `None` if only a newer version knows the kind.
    pub(super) fn read(self) -> Option<NotifierChoice> {
        Some(NotifierChoice { id: self.0.parse().ok()?, kind: NotifierKind::parse(&self.1)? })
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
            allows_self: item.allows_self,
            accepts_api_answers: !item.refuses_api_answers,
            consume: item.consume.map(|it| ConsumePolicy {
                option: it.option,
                within_seconds: it.within,
                count: it.count,
            }),
            notify: item
                .notify
                .into_iter()
                .map(|it| it.read().ok_or(DecodeError::of("policy")))
                .collect::<Result<_, _>>()?,
            on_unreachable: match item.on_unreachable {
                None => OnUnreachable::Wait,
                Some(OnUnreachableItem::Expire) => OnUnreachable::Expire,
            },
            slack_channel: item
                .slack_channel
                .map(|it| SlackId::parse(&it).ok_or(DecodeError::of("policy")))
                .transpose()?,
            steps: item.steps.into_iter().map(Step::from).collect(),
        })
    }
}

impl From<&Callback> for CallbackItem {
    fn from(callback: &Callback) -> Self {
        let events = || callback.events.iter().map(|it| it.as_str().to_owned()).collect();
        Self {
            events: (callback.events != [RequestEvent::RequestFinished]).then(events),
            receiver: ReceiverItem::from(&callback.receiver),
        }
    }
}

impl TryFrom<CallbackItem> for Callback {
    type Error = DecodeError;

    fn try_from(item: CallbackItem) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::of("policy");
        let parse = |it: &String| RequestEvent::parse(it).ok_or_else(wrong);
        let events = match item.events {
            None => vec![RequestEvent::RequestFinished],
            Some(events) => events.iter().map(parse).collect::<Result<_, _>>()?,
        };
        Ok(Self { receiver: item.receiver.read().ok_or_else(wrong)?, events })
    }
}
