//! A received message, its checksums, and the Lambda event that carries it.

use std::collections::BTreeMap;

use aws_lambda_events::sqs::SqsEvent;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::settings::arn;
use crate::{ACCOUNT, REGION};

/// A received message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The id, the same in every receive.
    pub id: String,
    /// The queue that it was received from.
    pub queue: String,
    /// The receipt handle. It becomes invalid when the message is received again.
    pub receipt: String,
    /// The body.
    pub body: String,
    /// The message attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// The message group of fair queues.
    pub group_id: Option<String>,
    /// The time of sending.
    pub sent_at: Timestamp,
    /// The time of the first receive.
    pub first_received_at: Option<Timestamp>,
    /// The number of receives.
    pub receive_count: u32,
}

/// The value of a message attribute.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, optionally followed by a dot and a custom label.
    pub data_type: String,
    /// The value, unless it is binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value in base64, if it is binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

impl Message {
    /// The system attributes, under SQS's names.
    pub(super) fn system_attributes(&self) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            ("ApproximateReceiveCount", self.receive_count.to_string()),
            ("SentTimestamp", self.sent_at.as_millisecond().to_string()),
            ("SenderId", ACCOUNT.to_owned()),
        ]);
        if let Some(at) = self.first_received_at {
            all.insert("ApproximateFirstReceiveTimestamp", at.as_millisecond().to_string());
        }
        if let Some(group_id) = &self.group_id {
            all.insert("MessageGroupId", group_id.clone());
        }
        all
    }

    /// The record of this message in a Lambda event.
    fn to_record(&self) -> Value {
        let mut attributes = Map::new();
        for (name, it) in &self.attributes {
            let mut attribute = json!({
                "dataType": it.data_type,
                "stringListValues": [],
                "binaryListValues": [],
            });
            if let Some(value) = &it.string_value {
                attribute["stringValue"] = json!(value);
            }
            if let Some(value) = &it.binary_value {
                attribute["binaryValue"] = json!(value);
            }
            attributes.insert(name.clone(), attribute);
        }
        let mut record = json!({
            "messageId": self.id,
            "receiptHandle": self.receipt,
            "body": self.body,
            "attributes": self.system_attributes(),
            "messageAttributes": attributes,
            "md5OfBody": md5_of_body(&self.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": arn(&self.queue),
            "awsRegion": REGION,
        });
        if let Some(md5) = md5_of_attributes(&self.attributes) {
            record["md5OfMessageAttributes"] = json!(md5);
        }
        record
    }
}

/// The event with which Lambda invokes a function for these messages.
pub fn sqs_event(messages: &[Message]) -> SqsEvent {
    let records: Vec<_> = messages.iter().map(Message::to_record).collect();
    // Built from JSON, so a function gets only what Lambda could send.
    serde_json::from_value(json!({ "Records": records }))
        .expect("the JSON has the shape that Lambda sends")
}

/// The checksum of a body. The SDKs compare it.
pub(super) fn md5_of_body(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// The checksum of the attributes, if there are any. It covers name, type and value of each
/// attribute in the order of names, each with its length before it, as SQS's developer guide
/// defines it.
pub(super) fn md5_of_attributes(attributes: &BTreeMap<String, Attribute>) -> Option<String> {
    const STRING: u8 = 1;
    const BINARY: u8 = 2;
    if attributes.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    let mut push = |kind: Option<u8>, part: &[u8]| {
        bytes.extend(kind);
        bytes.extend(u32::try_from(part.len()).expect("a message is short").to_be_bytes());
        bytes.extend(part);
    };
    for (name, it) in attributes {
        push(None, name.as_bytes());
        push(None, it.data_type.as_bytes());
        match (&it.string_value, it.binary()) {
            (Some(text), _) => push(Some(STRING), text.as_bytes()),
            (None, value) => push(Some(BINARY), &value.unwrap_or_default()),
        }
    }
    Some(format!("{:x}", md5::compute(bytes)))
}

impl Attribute {
    /// The bytes of a binary value.
    pub(super) fn binary(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.binary_value.as_ref()?).ok()
    }
}
