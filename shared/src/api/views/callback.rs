//! The standard envelope of callbacks: an event in full, or a link to one that is too large.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{ResultData, Time, notification::FailedNotificationData};
use crate::domain::{Event, OutboxEvent, Request, request::EventDetail};

/// An event in full, as `standard` receivers and the event bus get it.
#[derive(Debug, Serialize)]
pub struct EventBody<'a> {
    pub(crate) id: String,
    pub(crate) r#type: &'a str,
    timestamp: Time,
    livemode: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) test: bool,
    /// Posted data, or the state of the request.
    pub(crate) data: Box<RawValue>,
}

/// An event whose data does not fit.
#[derive(Debug, Serialize)]
pub struct TruncatedEventBody<'a> {
    id: &'a str,
    r#type: &'a str,
    timestamp: Time,
    livemode: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    #[serde(flatten)]
    data: &'a TruncatedData<'a>,
}

/// Replaces data that does not fit.
#[derive(Debug, Serialize)]
pub struct TruncatedData<'a> {
    truncated: bool,
    data_url: &'a str,
}

impl<'a> EventBody<'a> {
    /// The body of `event` of `request`.
    pub fn new(request: &Request, event: &'a OutboxEvent) -> Self {
        let data = match &event.detail {
            EventDetail::Message(failed) => {
                to_raw_value(&FailedNotificationData::new(request, failed))
            }
            EventDetail::None
            | EventDetail::Answered(_)
            | EventDetail::Recipient(_)
            | EventDetail::Step { .. } => to_raw_value(&ResultData::of_event(request, event)),
        };
        Self {
            id: event.id(request.id).to_string(),
            r#type: event.kind.as_str(),
            timestamp: Time(event.at),
            livemode: request.owner.mode.is_live(),
            sequence: Some(event.number),
            test: false,
            data: data.expect("plain data serializes"),
        }
    }

    /// The event as people see it: without answers that only a reader of the result gets.
    pub(crate) fn shown(request: &Request, event: &'a OutboxEvent) -> Self {
        let full = Self::new(request, event);
        if let EventDetail::Message(_) = &event.detail {
            return full;
        }
        let data = to_raw_value(&ResultData::shown_of_event(request, event));
        Self { data: data.expect("plain data serializes"), ..full }
    }

    /// The body of a posted event.
    pub fn of_posted(event: &'a Event) -> Self {
        let data = RawValue::from_string(event.data.clone());
        Self {
            id: event.id.to_string(),
            r#type: event.event_type.as_str(),
            timestamp: Time(event.created_at),
            livemode: event.owner.mode.is_live(),
            sequence: None,
            test: event.is_test(),
            data: data.expect("posted data is valid JSON"),
        }
    }

    /// The same event with a link instead of its data.
    pub fn truncated(&'a self, data: &'a TruncatedData<'a>) -> TruncatedEventBody<'a> {
        TruncatedEventBody {
            id: &self.id,
            r#type: self.r#type,
            timestamp: self.timestamp,
            livemode: self.livemode,
            sequence: self.sequence,
            test: self.test,
            data,
        }
    }

    /// The bytes that are sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data serializes")
    }
}

impl<'a> TruncatedData<'a> {
    /// Data that is at `data_url` instead.
    pub fn at(data_url: &'a str) -> Self {
        Self { truncated: true, data_url }
    }
}
