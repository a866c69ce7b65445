//! The encoding of posted events.

use super::{
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    reader::{DecodeError, Reader},
    receiver_item::ReceiverItem,
    webhook_item,
};
use crate::domain::{
    BodyHash, Event, EventType, OpId, WebhookRef,
    posted_event::{Disables, EventState},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum DisablesItem {
    Webhook { webhook: String, reason: webhook_item::DisableReasonItem, failing_since: i64 },
    Notifier { notifier: String, settings_by: u64 },
}

/// The names of states in the table.
const STATES: [&str; 4] = ["conditional", "waiting", "dispatched", "void"];

impl Item for Event {
    const NAME: &'static str = "an event";
    const VERSION: u32 = super::item::version_with(1, &[super::receiver_item::VERSION]);

    fn key(&self) -> Key {
        keys::event(self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        let receiver = self.callback.as_ref().map(ReceiverItem::from);
        Encoded::default()
            .op("created_by", self.created_by)
            .bytes("body_hash", self.body_hash.map(|it| it.0.to_vec()))
            .time("created_at", self.created_at)
            .trace(self.trace)
            .text("event_type", self.event_type.to_string())
            .long_text("data", self.data.clone())
            .text("reference", self.external_reference_id.clone())
            .text("base_url", self.base_url.clone())
            .optional_json("callback", receiver.as_ref())
            .optional_json("disables", self.disables.as_ref().map(DisablesItem::from).as_ref())
            .text("webhook", self.webhook.as_ref().map(ToString::to_string))
    }

    fn mutable(&self, layout: &Layout) -> Encoded {
        let [conditional, waiting, dispatched, void] = STATES;
        let (state, is_over) = match self.state {
            EventState::Conditional { .. } => (conditional, false),
            EventState::Waiting { .. } => (waiting, false),
            EventState::Dispatched => (dispatched, true),
            EventState::Void => (void, true),
        };
        let encoded = Encoded::default()
            .number("revision", self.revision.cast_signed())
            .text("status", state.to_owned())
            // Only errors in a row count.
            .number("n_errors", None)
            .due(&self.id.to_string(), self.due_at(), layout)
            .ttl(is_over.then(|| self.created_at + layout.retention));
        if self.is_announced() {
            encoded.listed(self.owner, keys::Listed::Events)
        } else {
            encoded.unlisted(self.owner)
        }
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let receiver: Option<ReceiverItem> = item.optional_json("callback")?;
        let callback = receiver.map(|it| it.read().ok_or(DecodeError::of("callback")));
        let due_at = item.optional_time("due_at")?;
        let due_at = || due_at.ok_or(DecodeError::of("due_at"));
        let state = item.text("status")?;
        let [conditional, waiting, dispatched, void] = STATES;
        let state = match &*state {
            it if it == conditional => EventState::Conditional { due_at: due_at()? },
            it if it == waiting => EventState::Waiting { due_at: due_at()? },
            it if it == dispatched => EventState::Dispatched,
            it if it == void => EventState::Void,
            _ => return Err(DecodeError::of("status")),
        };
        Ok(Self {
            id: item.parsed("pk")?,
            owner: item.owner()?,
            created_by: item.op("created_by")?,
            body_hash: item.array("body_hash")?.map(BodyHash),
            created_at: item.time("created_at")?,
            trace: item.trace()?,
            event_type: EventType::parse(&item.text("event_type")?)
                .ok_or(DecodeError::of("event_type"))?,
            data: item.long_text("data")?,
            external_reference_id: item.optional_text("reference")?,
            base_url: item.text("base_url")?,
            callback: callback.transpose()?,
            webhook: webhook_item::read_reference(&mut item)?,
            disables: item
                .optional_json::<DisablesItem>("disables")?
                .map(Disables::try_from)
                .transpose()?,
            state,
            revision: item.number("revision")?,
        })
    }
}

impl From<&Disables> for DisablesItem {
    fn from(disables: &Disables) -> Self {
        match disables {
            Disables::Webhook { webhook, reason, failing_since } => Self::Webhook {
                webhook: webhook.to_string(),
                reason: (*reason).into(),
                failing_since: failing_since.as_millisecond(),
            },
            Disables::Notifier { notifier, settings_by } => {
                Self::Notifier { notifier: notifier.to_string(), settings_by: settings_by.0 }
            }
        }
    }
}

impl TryFrom<DisablesItem> for Disables {
    type Error = DecodeError;

    fn try_from(item: DisablesItem) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::of("disables");
        Ok(match item {
            DisablesItem::Webhook { webhook, reason, failing_since } => Self::Webhook {
                webhook: WebhookRef::parse(&webhook).ok_or_else(wrong)?,
                reason: reason.into(),
                failing_since: Timestamp::from_millisecond(failing_since).map_err(|_| wrong())?,
            },
            DisablesItem::Notifier { notifier, settings_by } => Self::Notifier {
                notifier: notifier.parse().map_err(|_| wrong())?,
                settings_by: OpId(settings_by),
            },
        })
    }
}
