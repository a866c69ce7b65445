//! Noukai: the callback body of its profile.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::api::views::TruncatedData;

/// The callback body of one event.
#[derive(Debug, Serialize)]
pub struct NoukaiBody<'a> {
    event: &'a str,
    #[serde(rename = "executionId")]
    execution_id: Box<RawValue>,
    status: Box<RawValue>,
    payload: Box<RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
}

impl<'a> NoukaiBody<'a> {
    /// `executionId` and `status` of `data` move to the top, and the rest of `data`, or `truncated`
    /// in its place, is the payload. Without an `executionId` it is `source_id`.
    pub fn new(
        event: &'a str,
        data: &RawValue,
        source_id: &str,
        truncated: Option<&TruncatedData<'_>>,
    ) -> Self {
        // Raw values keep the spelling of the sender.
        let data: Result<BTreeMap<String, Box<RawValue>>, _> = serde_json::from_str(data.get());
        let mut data = data.expect("an event's data is an object");
        let execution_id = data.remove("executionId").unwrap_or_else(|| raw(source_id));
        let status = data.remove("status").unwrap_or_else(|| raw(&Value::Null));
        let payload = truncated.map_or_else(|| raw(&data), raw);
        Self { event, execution_id, status, payload, truncated: truncated.is_some(), test: false }
    }

    /// The body, marked as a test of the webhook if it is one.
    #[must_use]
    pub fn of_test(self, test: bool) -> Self {
        Self { test, ..self }
    }
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("plain data serializes")
}
