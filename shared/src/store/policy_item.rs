//! The encoding of the policies of requests.

use serde::{Deserialize, Serialize};

use super::{reader::DecodeError, receiver_item::ReceiverItem};
use crate::domain::{
    Assurance, RequestEvent,
    approval::ConsumePolicy,
    consumption::{ReadMode, ReadPolicy},
    quorum::{Count, Quorum},
    request::{AnswerMode, Callback, OnDeadline, RequestPolicy},
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
}

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
            allows_self: item.allows_self,
            accepts_api_answers: !item.refuses_api_answers,
            consume: item.consume.map(|it| ConsumePolicy {
                option: it.option,
                within_seconds: it.within,
                count: it.count,
            }),
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
