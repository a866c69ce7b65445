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
    Delivery, EventType, OpId,
    delivery::{DeliveryEnd, DeliveryState, FailureReason, Redeliveries, Target, WaitReason},
};

#[derive(Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
enum TargetItem {
    Https(Box<ReceiverItem>),
    Bus,
    Erased,
}

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
    Done(EndItem, Option<FailureReasonItem>, i64, u64),
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
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FailureReasonItem {
    Redirect,
    Gone,
    BlockedAddress,
    RetriesSpent,
    CrashLoop,
    NotAccepted,
    Disabled,
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
        let shard = keys::list_shard(self.id, layout.n_list_shards);
        let of_webhook = self
            .webhook
            .as_ref()
            .map(|it| keys::related(&Related::WebhookDeliveries(self.owner, it.clone())));
        Encoded::default()
            .text("list_pk", keys::listed_deliveries(self.owner, shard))
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
            DeliveryState::Done { at, .. } => Some(at + layout.retention),
            DeliveryState::Waiting { .. } | DeliveryState::Leased { .. } => None,
        };
        let breaker_wait_ms = i64::try_from(self.breaker_wait.as_millis()).ok();
        let encoded = Encoded::default()
            .number("revision", self.revision.cast_signed())
            .json("state", &StateItem::from(self.state))
            .count("attempt", self.attempt)
            .count("starts", self.starts)
            .count("failures", self.failures)
            .number("breaker_wait_ms", breaker_wait_ms.filter(|it| *it > 0))
            .op("expedited_by", self.expedited_by)
            .time("redelivered_since", self.redeliveries.map(|it| it.since))
            .number("redeliveries", self.redeliveries.map(|it| i64::from(it.count)))
            // Only errors in a row count.
            .number("n_errors", None)
            .due(&self.id.to_string(), self.due_at, layout)
            .ttl(ttl);
        // A callback has no webhook, so the index is free for it.
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
        let mut delivery = Self {
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
            Target::Erased => Self::Erased,
        }
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
                    DeliveryEnd::Failed(reason) => (EndItem::Failed, Some(reason)),
                    DeliveryEnd::DeadLettered(reason) => (EndItem::DeadLettered, Some(reason)),
                    DeliveryEnd::Cancelled => (EndItem::Cancelled, None),
                };
                let reason = reason.map(|it| match it {
                    FailureReason::Redirect => FailureReasonItem::Redirect,
                    FailureReason::Gone => FailureReasonItem::Gone,
                    FailureReason::BlockedAddress => FailureReasonItem::BlockedAddress,
                    FailureReason::RetriesSpent => FailureReasonItem::RetriesSpent,
                    FailureReason::CrashLoop => FailureReasonItem::CrashLoop,
                    FailureReason::NotAccepted => FailureReasonItem::NotAccepted,
                    FailureReason::Disabled => FailureReasonItem::Disabled,
                });
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
                let reason = reason.map(|it| match it {
                    FailureReasonItem::Redirect => FailureReason::Redirect,
                    FailureReasonItem::Gone => FailureReason::Gone,
                    FailureReasonItem::BlockedAddress => FailureReason::BlockedAddress,
                    FailureReasonItem::RetriesSpent => FailureReason::RetriesSpent,
                    FailureReasonItem::CrashLoop => FailureReason::CrashLoop,
                    FailureReasonItem::NotAccepted => FailureReason::NotAccepted,
                    FailureReasonItem::Disabled => FailureReason::Disabled,
                });
                let end = match end {
                    EndItem::Delivered => DeliveryEnd::Delivered,
                    EndItem::Failed => DeliveryEnd::Failed(reason.ok_or_else(wrong)?),
                    EndItem::DeadLettered => DeliveryEnd::DeadLettered(reason.ok_or_else(wrong)?),
                    EndItem::Cancelled => DeliveryEnd::Cancelled,
                };
                Self::Done { end, at: time(at)?, op: OpId(op) }
            }
        })
    }
}
