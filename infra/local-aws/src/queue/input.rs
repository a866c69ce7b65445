//! The inputs of SQS operations, and their validation.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{Attribute, Error, stored::NewMessage};

/// SQS's limit on entries in a batch, and on messages in one receive.
pub(super) const ENTRIES_MAX: usize = 10;
/// SQS's limit on the total size of a batch's messages.
pub(super) const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The longest delay of a message.
pub(super) const DELAY_SECONDS_MAX: u64 = 900;
/// The longest visibility timeout.
pub(super) const VISIBILITY_SECONDS_MAX: u64 = 43_200;
/// The longest long poll.
pub(super) const WAIT_SECONDS_MAX: u64 = 20;

/// The queue's name, parsed from its URL.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct QueueUrl(pub(super) String);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueName {
    pub(super) queue_name: String,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(super) struct ListQueues {
    pub(super) queue_name_prefix: String,
}

/// The input of an operation on one queue.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OnQueue<T> {
    pub(super) queue_url: QueueUrl,
    #[serde(flatten)]
    pub(super) input: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NoInput {}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetAttributes {
    #[serde(default)]
    pub(super) attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAttributes {
    pub(super) attributes: BTreeMap<String, String>,
}

/// One message to send.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    pub(super) message_body: String,
    pub(super) delay_seconds: Option<i64>,
    pub(super) message_group_id: Option<String>,
    #[serde(default)]
    pub(super) message_attributes: BTreeMap<String, Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    pub(super) max_number_of_messages: Option<usize>,
    pub(super) visibility_timeout: Option<i64>,
    pub(super) wait_time_seconds: Option<i64>,
    // Newer clients use this name for the system attributes, older ones the name below.
    #[serde(default)]
    pub(super) message_system_attribute_names: Vec<String>,
    #[serde(default)]
    pub(super) attribute_names: Vec<String>,
    #[serde(default)]
    pub(super) message_attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    pub(super) receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeVisibility {
    pub(super) receipt_handle: String,
    pub(super) visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    pub(super) entries: Vec<BatchEntry<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchEntry<T> {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) input: T,
}

impl From<String> for QueueUrl {
    /// Only the name counts: the port may have changed since the client stored the URL.
    fn from(url: String) -> Self {
        Self(url.rsplit('/').next().unwrap_or_default().to_owned())
    }
}

impl SendMessage {
    /// The message's size as SQS counts it.
    pub(super) fn bytes(&self) -> usize {
        let attributes = self.message_attributes.iter().map(|(name, it)| {
            let value = it.string_value.as_ref().map(String::len);
            let value = value.unwrap_or_else(|| it.binary().map_or(0, |it| it.len()));
            name.len() + it.data_type.len() + value
        });
        self.message_body.len() + attributes.sum::<usize>()
    }

    /// Validates the message.
    pub(super) fn into_message(self, bytes_max: u32) -> Result<NewMessage, Error> {
        if self.message_body.is_empty() {
            return Err(invalid("MessageBody", String::new(), "Message body must not be empty."));
        }
        if self.bytes() > bytes_max as usize {
            return Err(Error::MessageTooLong(bytes_max));
        }
        let legal = |it: char| matches!(it, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        if !self.message_body.chars().all(legal) {
            return Err(Error::InvalidMessageContents);
        }
        let delay = self.delay_seconds.map(|it| duration("DelaySeconds", it, DELAY_SECONDS_MAX));
        Ok(NewMessage {
            delay: delay.transpose()?,
            body: self.message_body,
            attributes: self.message_attributes,
            group_id: self.message_group_id,
        })
    }
}

impl<T> Batch<T> {
    /// The entries, if their number and ids are valid.
    pub(super) fn checked(self) -> Result<Vec<BatchEntry<T>>, Error> {
        match self.entries.len() {
            0 => return Err(Error::EmptyBatchRequest),
            1..=ENTRIES_MAX => (),
            more => return Err(Error::TooManyEntriesInBatchRequest(more)),
        }
        let mut ids = HashSet::new();
        match self.entries.iter().find(|it| !ids.insert(&it.id)) {
            Some(repeated) => Err(Error::BatchEntryIdsNotDistinct(repeated.id.clone())),
            None => Ok(self.entries),
        }
    }
}

pub(super) fn parse<T: DeserializeOwned>(input: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(input).map_err(Error::Malformed)
}

/// Parses a number of seconds from 0 to `max`.
pub(super) fn duration(name: &'static str, seconds: i64, max: u64) -> Result<Duration, Error> {
    match u64::try_from(seconds) {
        Ok(seconds) if seconds <= max => Ok(Duration::from_secs(seconds)),
        _ => {
            let reason = format!("{name} must be >= 0 and <= {max}.");
            Err(invalid(name, seconds.to_string(), &reason))
        }
    }
}

pub(super) fn invalid(name: &'static str, value: String, reason: &str) -> Error {
    Error::InvalidParameterValue { name, value, reason: reason.to_owned() }
}
