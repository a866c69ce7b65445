//! A stored message.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attribute, Message};

/// A message in a queue. The journal stores these fields as its head, and the content as its body.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Stored {
    pub(super) queue: String,
    pub(super) visible_at: Timestamp,
    pub(super) receive_count: u32,
    pub(super) first_received_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) content: Arc<Sent>,
}

/// The part of a message that never changes.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Sent {
    pub(super) body: String,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) group_id: Option<String>,
    pub(super) at: Timestamp,
}

/// A message to send.
pub(super) struct NewMessage {
    pub(super) body: String,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) group_id: Option<String>,
    pub(super) delay: Option<Duration>,
}

impl Stored {
    /// The head as the journal stores it.
    pub(super) fn head(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings make JSON")
    }

    /// The message as a receive returns it.
    pub(super) fn received(&self, id: &str) -> Message {
        let Sent { body, attributes, group_id, at } = &*self.content;
        Message {
            id: id.to_owned(),
            queue: self.queue.clone(),
            receipt: format!("{id}/{}", self.receive_count),
            body: body.clone(),
            attributes: attributes.clone(),
            group_id: group_id.clone(),
            sent_at: *at,
            first_received_at: self.first_received_at,
            receive_count: self.receive_count,
        }
    }
}
