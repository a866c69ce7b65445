//! The encoding of webhooks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    idempotency_item::{self, CALLS},
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    reader::{DecodeError, Reader},
    receiver_item::ReceiverItem,
    secret_item::{self, SECRETS},
};
use crate::domain::{
    Filter, Webhook, WebhookId, WebhookRef,
    webhook::{DisableReason, Disabled, Settings},
};

/// Time from the deletion of a webhook to the deletion of its item.
const DELETED_RETENTION: std::time::Duration = std::time::Duration::from_hours(24);

#[derive(Serialize, Deserialize)]
struct SettingsItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    receiver: ReceiverItem,
    event_types: Vec<String>,
    max_payload_bytes: u32,
}

#[derive(Serialize, Deserialize)]
struct DisabledItem {
    reason: DisableReasonItem,
    at: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisableReasonItem {
    ByHand,
    Gone,
    Failing,
}

impl Item for Webhook {
    const NAME: &'static str = "a webhook";
    const VERSION: u32 = super::item::version_with(1, &[super::receiver_item::VERSION]);

    fn key(&self) -> Key {
        keys::webhook(self.owner, &self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    /// Nothing, because a new webhook may replace a deleted one of the same name.
    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .text("id", self.id.to_string())
            .owner(self.owner)
            .op("created_by", self.created_by)
            .json(CALLS, &idempotency_item::encode(&self.calls))
            .time("created_at", self.created_at)
            .op("updated_by", self.updated_by)
            .time("updated_at", self.updated_at)
            .json("settings", &SettingsItem::from(&self.settings))
            .optional_json("disabled", self.disabled.map(DisabledItem::from).as_ref())
            .time("failing_since", self.failing_since)
            .time("disabled_for", self.disabled_for)
            .json(SECRETS, &secret_item::encode(&self.secrets))
            .time("deleted_at", self.deleted_at)
            .number("revision", self.revision.cast_signed())
            .ttl(self.deleted_at.map(|it| it + DELETED_RETENTION))
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let disabled: Option<DisabledItem> = item.optional_json("disabled")?;
        Ok(Self {
            id: WebhookId::parse(&item.text("id")?).ok_or(DecodeError::of("id"))?,
            owner: item.owner()?,
            created_by: item.op("created_by")?,
            calls: idempotency_item::decode(item.json(CALLS)?)?,
            created_at: item.time("created_at")?,
            updated_by: item.op("updated_by")?,
            updated_at: item.time("updated_at")?,
            settings: item
                .json::<SettingsItem>("settings")?
                .read()
                .ok_or(DecodeError::of("settings"))?,
            disabled: disabled.map(Disabled::try_from).transpose()?,
            failing_since: item.optional_time("failing_since")?,
            disabled_for: item.optional_time("disabled_for")?,
            secrets: secret_item::decode(item.json(SECRETS)?)?,
            deleted_at: item.optional_time("deleted_at")?,
            revision: item.number("revision")?,
        })
    }
}

/// The webhook of a delivery, attempt or event, if it has one.
pub(crate) fn read_reference(item: &mut Reader) -> Result<Option<WebhookRef>, DecodeError> {
    let read = |it: String| WebhookRef::parse(&it).ok_or(DecodeError::of("webhook"));
    item.optional_text("webhook")?.map(read).transpose()
}

impl From<&Settings> for SettingsItem {
    fn from(settings: &Settings) -> Self {
        Self {
            description: settings.description.clone(),
            receiver: ReceiverItem::from(&settings.receiver),
            event_types: settings.event_types.iter().map(|it| it.as_str().to_owned()).collect(),
            max_payload_bytes: settings.max_payload_bytes,
        }
    }
}

impl SettingsItem {
    /// The settings, or `None` if only a newer version knows a part of them.
    fn read(self) -> Option<Settings> {
        Some(Settings {
            description: self.description,
            receiver: self.receiver.read()?,
            event_types: self
                .event_types
                .iter()
                .map(|it| Filter::parse(it))
                .collect::<Option<_>>()?,
            max_payload_bytes: self.max_payload_bytes,
        })
    }
}

impl From<Disabled> for DisabledItem {
    fn from(disabled: Disabled) -> Self {
        Self { reason: disabled.reason.into(), at: disabled.at.as_millisecond() }
    }
}

impl TryFrom<DisabledItem> for Disabled {
    type Error = DecodeError;

    fn try_from(item: DisabledItem) -> Result<Self, DecodeError> {
        let at = Timestamp::from_millisecond(item.at).map_err(|_| DecodeError::of("disabled"))?;
        Ok(Self { reason: item.reason.into(), at })
    }
}

impl From<DisableReason> for DisableReasonItem {
    fn from(reason: DisableReason) -> Self {
        match reason {
            DisableReason::ByHand => Self::ByHand,
            DisableReason::Gone => Self::Gone,
            DisableReason::Failing => Self::Failing,
        }
    }
}

impl From<DisableReasonItem> for DisableReason {
    fn from(item: DisableReasonItem) -> Self {
        match item {
            DisableReasonItem::ByHand => Self::ByHand,
            DisableReasonItem::Gone => Self::Gone,
            DisableReasonItem::Failing => Self::Failing,
        }
    }
}
