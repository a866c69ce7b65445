//! The encoding of deliveries.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    attempt_item::FirstAttemptItem,
    item::{Encoded, Item, Layout},
    keys::{self, Key, Related},
    reader::{DecodeError, Reader},
    receiver_item::ReceiverItem,
    webhook_item,
};
use crate::domain::{
    Delivery, EmailAddress, EventType, NotifierKind, OpId,
    breaker::Authority,
    delivery::{
        CopyUpdate, DeliveryEnd, DeliveryState, FailureReason, Message, Purpose, Redeliveries,
        SkipReason, Target, TestMessage, WaitReason, Way,
    },
    slack::{SlackCopy, SlackId, SlackTs},
};

#[derive(Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
enum TargetItem {
    Https(Box<ReceiverItem>),
    Bus,
    #[serde(rename = "msg")]
    Message(MessageItem),
    Test(TestItem),
    Update(UpdateItem),
    Erased,
}

#[derive(Serialize, Deserialize)]
struct UpdateItem {
    #[serde(rename = "m")]
    message: String,
    #[serde(rename = "w")]
    way: WayItem,
}

/// The channel, the time and the user.
#[derive(Serialize, Deserialize)]
struct CopyItem(String, String, String);

#[derive(Serialize, Deserialize)]
struct TestItem {
    #[serde(rename = "w")]
    way: WayItem,
    to: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct MessageItem {
    #[serde(rename = "r")]
    row: usize,
    #[serde(rename = "p")]
    purpose: PurposeItem,
    #[serde(rename = "w")]
    ways: Vec<WayItem>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PurposeItem {
    Ask,
    Remind,
    Escalate,
    Code,
}

/// The notifier, its kind, and its host and port.
#[derive(Serialize, Deserialize)]
struct WayItem(String, String, Option<String>);

#[derive(Serialize, Deserialize)]
enum StateItem {
    /// The earliest time of the next attempt, and the reason.
    #[serde(rename = "w")]
    Waiting(i64, Option<WaitReasonItem>),
    /// The worker, and the end of its lease.
    #[serde(rename = "l")]
    Leased(u64, i64),
    /// The end, its reason, its time, and its operation.
    #[serde(rename = "d")]
    Done(EndItem, Option<ReasonItem>, i64, u64),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WaitReasonItem {
    BreakerOpen,
    SlowLane,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndItem {
    Delivered,
    Failed,
    DeadLettered,
    Cancelled,
    Skipped,
    Arrived,
    Bounced,
}

/// The reason for an end: of a failure, or of a message that was not sent.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReasonItem {
    Redirect,
    Gone,
    BlockedAddress,
    RetriesSpent,
    CrashLoop,
    NotAccepted,
    Disabled,
    Refused,
    Bounced,
    TestMode,
    MessageLimit,
}

impl Item for Delivery {
    const NAME: &'static str = "a delivery";
    const VERSION: u32 = super::item::version_with(1, &[super::receiver_item::VERSION]);

    fn key(&self) -> Key {
        keys::delivery(self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, layout: &Layout) -> Encoded {
        // Messages and their updates are listed with their request alone.
        let encoded = if let Target::Message(_) | Target::Update(_) = self.target {
            Encoded::default().unlisted(self.owner)
        } else {
            let shard = keys::list_shard(self.id, layout.n_list_shards);
            Encoded::default().text("list_pk", keys::listed_deliveries(self.owner, shard))
        };
        let of_webhook = self
            .webhook
            .as_ref()
            .map(|it| keys::related(&Related::WebhookDeliveries(self.owner, it.clone())));
        encoded
            .id("channel", self.channel)
            .text("event_type", self.event_type.to_string())
            .time("happened_at", self.happened_at)
            .trace(self.trace)
            .json("target", &TargetItem::from(&self.target))
            .deflated("body", self.body.as_deref())
            .optional_json(
                "first",
                self.first_attempt.as_deref().map(FirstAttemptItem::from).as_ref(),
            )
            .optional_flag("private", self.is_private)
            .time("created_at", self.created_at)
            .text("webhook", self.webhook.as_ref().map(ToString::to_string))
            .text("webhook_pk", of_webhook)
    }

    fn mutable(&self, layout: &Layout) -> Encoded {
        let ttl = match self.state {
            DeliveryState::Done { at, .. } => (!self.has_report).then(|| at + layout.retention),
            DeliveryState::Waiting { .. } | DeliveryState::Leased { .. } => None,
        };
        let breaker_wait_ms = i64::try_from(self.breaker_wait.as_millis()).ok();
        let encoded = Encoded::default()
            .number("revision", self.revision.cast_signed())
            .json("state", &StateItem::from(self.state))
            .count("attempt", self.attempt)
            .count("starts", self.starts)
            .count("failures", self.failures)
            .number("way", (self.way > 0).then_some(i64::try_from(self.way).unwrap_or(i64::MAX)))
            .optional_flag("report", self.has_report)
            .optional_json("copy", self.copy.as_ref().map(CopyItem::from).as_ref())
            .number("breaker_wait_ms", breaker_wait_ms.filter(|it| *it > 0))
            .op("expedited_by", self.expedited_by)
            .time("redelivered_since", self.redeliveries.map(|it| it.since))
            .number("redeliveries", self.redeliveries.map(|it| i64::from(it.count)))
            // Only errors in a row count.
            .number("n_errors", None)
            .due(&self.id.to_string(), self.due_at, layout)
            .ttl(ttl);
        // A callback has no webhook, so the index is free for it. No message is held.
        let encoded = match &self.webhook {
            Some(_) => encoded,
            None => self.held(encoded),
        };
        if self.body.is_some() {
            encoded
        } else {
            let first = self.first_attempt.as_deref().map(FirstAttemptItem::from);
            encoded
                .text("body", None)
                .json("target", &TargetItem::from(&self.target))
                .optional_json("first", first.as_ref())
        }
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let first: Option<FirstAttemptItem> = item.optional_json("first")?;
        let copy: Option<CopyItem> = item.optional_json("copy")?;
        let mut delivery = Self {
            copy: copy.map(|it| it.read().ok_or(DecodeError::of("copy"))).transpose()?,
            first_attempt: None,
            id: keys::delivery_at(&item.text("pk")?, &item.text("sk")?)
                .ok_or(DecodeError::of("sk"))?,
            owner: item.owner()?,
            channel: item.optional_id("channel")?,
            event_type: EventType::parse(&item.text("event_type")?)
                .ok_or(DecodeError::of("event_type"))?,
            happened_at: item.time("happened_at")?,
            trace: item.trace()?,
            target: item.json::<TargetItem>("target")?.try_into()?,
            webhook: webhook_item::read_reference(&mut item)?,
            body: item.inflated("body")?,
            created_at: item.time("created_at")?,
            state: item.json::<StateItem>("state")?.try_into()?,
            attempt: item.count("attempt")?,
            starts: item.count("starts")?,
            failures: item.count("failures")?,
            way: item.optional_number("way")?.unwrap_or(0),
            has_report: item.is_flagged("report")?,
            breaker_wait: Duration::from_millis(
                item.optional_number("breaker_wait_ms")?.unwrap_or(0),
            ),
            expedited_by: item.optional_op("expedited_by")?,
            redeliveries: redeliveries(&mut item)?,
            is_private: item.is_flagged("private")?,
            due_at: item.optional_time("due_at")?,
            revision: item.number("revision")?,
        };
        delivery.first_attempt = first.map(|it| it.read(&delivery)).transpose()?.map(Box::new);
        Ok(delivery)
    }
}

fn redeliveries(item: &mut Reader) -> Result<Option<Redeliveries>, DecodeError> {
    let since = item.optional_time("redelivered_since")?;
    let count = item.optional_number("redeliveries")?;
    Ok(since.zip(count).map(|(since, count)| Redeliveries { since, count }))
}

impl Delivery {
    /// The keys that list a callback while an open breaker holds it.
    fn held(&self, encoded: Encoded) -> Encoded {
        let authority = if self.is_held() { self.authority() } else { None };
        let pk = authority.map(|it| keys::related(&Related::HeldCallbacks(self.owner, it)));
        encoded.text("webhook_pk", pk)
    }
}

impl From<&Target> for TargetItem {
    fn from(target: &Target) -> Self {
        match target {
            Target::Https(receiver) => Self::Https(Box::new(ReceiverItem::from(receiver))),
            Target::Bus => Self::Bus,
            Target::Message(message) => Self::Message(MessageItem::from(message)),
            Target::Test(TestMessage { way, to }) => Self::Test(TestItem {
                way: WayItem::from(way),
                to: to.as_ref().map(|it| it.as_given().to_owned()),
            }),
            Target::Update(CopyUpdate { message, way }) => {
                Self::Update(UpdateItem { message: message.to_string(), way: WayItem::from(way) })
            }
            Target::Erased => Self::Erased,
        }
    }
}

impl From<&SlackCopy> for CopyItem {
    fn from(copy: &SlackCopy) -> Self {
        let SlackCopy { channel, ts, user } = copy;
        Self(channel.to_string(), ts.as_str().to_owned(), user.to_string())
    }
}

impl CopyItem {
    fn read(self) -> Option<SlackCopy> {
        let Self(channel, ts, user) = self;
        Some(SlackCopy {
            channel: SlackId::parse(&channel)?,
            ts: SlackTs::parse(&ts)?,
            user: SlackId::parse(&user)?,
        })
    }
}

impl From<&Message> for MessageItem {
    fn from(message: &Message) -> Self {
        Self {
            row: message.row,
            purpose: match message.purpose {
                Purpose::Ask => PurposeItem::Ask,
                Purpose::Remind => PurposeItem::Remind,
                Purpose::Escalate => PurposeItem::Escalate,
                Purpose::Code => PurposeItem::Code,
            },
            ways: message.ways.iter().map(WayItem::from).collect(),
        }
    }
}

impl MessageItem {
    /// The message, or `None` if only a newer version knows one of its ways.
    fn read(self) -> Option<Message> {
        Some(Message {
            row: self.row,
            purpose: match self.purpose {
                PurposeItem::Ask => Purpose::Ask,
                PurposeItem::Remind => Purpose::Remind,
                PurposeItem::Escalate => Purpose::Escalate,
                PurposeItem::Code => Purpose::Code,
            },
            ways: self.ways.into_iter().map(WayItem::read).collect::<Option<_>>()?,
        })
    }
}

impl From<&Way> for WayItem {
    fn from(way: &Way) -> Self {
        let authority = way.authority.as_ref().map(|it| it.as_str().to_owned());
        Self(way.notifier.to_string(), way.kind.as_str().to_owned(), authority)
    }
}

impl WayItem {
    fn read(self) -> Option<Way> {
        let Self(notifier, kind, authority) = self;
        Some(Way {
            notifier: notifier.parse().ok()?,
            kind: NotifierKind::parse(&kind)?,
            authority: authority.map(Authority::from_text),
        })
    }
}

impl TryFrom<TargetItem> for Target {
    type Error = DecodeError;

    fn try_from(item: TargetItem) -> Result<Self, DecodeError> {
        Ok(match item {
            TargetItem::Https(receiver) => {
                Self::Https(receiver.read().ok_or(DecodeError::of("target"))?)
            }
            TargetItem::Bus => Self::Bus,
            TargetItem::Message(message) => {
                Self::Message(message.read().ok_or(DecodeError::of("target"))?)
            }
            TargetItem::Test(TestItem { way, to }) => {
                let to = to.map(|it| EmailAddress::parse(&it).ok_or(DecodeError::of("target")));
                let way = way.read().ok_or(DecodeError::of("target"))?;
                Self::Test(TestMessage { way, to: to.transpose()? })
            }
            TargetItem::Update(UpdateItem { message, way }) => {
                let message = message.parse().map_err(|_| DecodeError::of("target"))?;
                let way = way.read().ok_or(DecodeError::of("target"))?;
                Self::Update(CopyUpdate { message, way })
            }
            TargetItem::Erased => Self::Erased,
        })
    }
}

impl From<DeliveryState> for StateItem {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Waiting { not_before, reason } => {
                let reason = reason.map(|it| match it {
                    WaitReason::BreakerOpen => WaitReasonItem::BreakerOpen,
                    WaitReason::SlowLane => WaitReasonItem::SlowLane,
                });
                Self::Waiting(not_before.as_millisecond(), reason)
            }
            DeliveryState::Leased { owner, until } => Self::Leased(owner.0, until.as_millisecond()),
            DeliveryState::Done { end, at, op } => {
                let (end, reason) = match end {
                    DeliveryEnd::Delivered => (EndItem::Delivered, None),
                    DeliveryEnd::Failed(reason) => (EndItem::Failed, Some(reason.into())),
                    DeliveryEnd::DeadLettered(reason) => {
                        (EndItem::DeadLettered, Some(reason.into()))
                    }
                    DeliveryEnd::Cancelled => (EndItem::Cancelled, None),
                    DeliveryEnd::Arrived => (EndItem::Arrived, None),
                    DeliveryEnd::Bounced => (EndItem::Bounced, None),
                    DeliveryEnd::Skipped(SkipReason::TestMode) => {
                        (EndItem::Skipped, Some(ReasonItem::TestMode))
                    }
                    DeliveryEnd::Skipped(SkipReason::MessageLimit) => {
                        (EndItem::Skipped, Some(ReasonItem::MessageLimit))
                    }
                };
                Self::Done(end, reason, at.as_millisecond(), op.0)
            }
        }
    }
}

impl TryFrom<StateItem> for DeliveryState {
    type Error = DecodeError;

    fn try_from(item: StateItem) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::of("state");
        let time = |it| Timestamp::from_millisecond(it).map_err(|_| wrong());
        Ok(match item {
            StateItem::Waiting(not_before, reason) => Self::Waiting {
                not_before: time(not_before)?,
                reason: reason.map(|it| match it {
                    WaitReasonItem::BreakerOpen => WaitReason::BreakerOpen,
                    WaitReasonItem::SlowLane => WaitReason::SlowLane,
                }),
            },
            StateItem::Leased(owner, until) => {
                Self::Leased { owner: OpId(owner), until: time(until)? }
            }
            StateItem::Done(end, reason, at, op) => {
                let failure =
                    |it: Option<ReasonItem>| it.and_then(ReasonItem::failure).ok_or_else(wrong);
                let end = match end {
                    EndItem::Delivered => DeliveryEnd::Delivered,
                    EndItem::Failed => DeliveryEnd::Failed(failure(reason)?),
                    EndItem::DeadLettered => DeliveryEnd::DeadLettered(failure(reason)?),
                    EndItem::Cancelled => DeliveryEnd::Cancelled,
                    EndItem::Arrived => DeliveryEnd::Arrived,
                    EndItem::Bounced => DeliveryEnd::Bounced,
                    EndItem::Skipped => DeliveryEnd::Skipped(match reason {
                        Some(ReasonItem::TestMode) => SkipReason::TestMode,
                        Some(ReasonItem::MessageLimit) => SkipReason::MessageLimit,
                        _ => return Err(wrong()),
                    }),
                };
                Self::Done { end, at: time(at)?, op: OpId(op) }
            }
        })
    }
}

impl From<FailureReason> for ReasonItem {
    fn from(reason: FailureReason) -> Self {
        match reason {
            FailureReason::Redirect => Self::Redirect,
            FailureReason::Gone => Self::Gone,
            FailureReason::BlockedAddress => Self::BlockedAddress,
            FailureReason::RetriesSpent => Self::RetriesSpent,
            FailureReason::CrashLoop => Self::CrashLoop,
            FailureReason::NotAccepted => Self::NotAccepted,
            FailureReason::Disabled => Self::Disabled,
            FailureReason::Refused => Self::Refused,
            FailureReason::Bounced => Self::Bounced,
        }
    }
}

impl ReasonItem {
    /// The reason of a failure, if it is one.
    pub(super) fn failure(self) -> Option<FailureReason> {
        Some(match self {
            Self::Redirect => FailureReason::Redirect,
            Self::Gone => FailureReason::Gone,
            Self::BlockedAddress => FailureReason::BlockedAddress,
            Self::RetriesSpent => FailureReason::RetriesSpent,
            Self::CrashLoop => FailureReason::CrashLoop,
            Self::NotAccepted => FailureReason::NotAccepted,
            Self::Disabled => FailureReason::Disabled,
            Self::Refused => FailureReason::Refused,
            Self::Bounced => FailureReason::Bounced,
            Self::TestMode | Self::MessageLimit => return None,
        })
    }
}
