//! Events as the API and `standard` receivers see them.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{ResultData, Time};
use crate::domain::{Event, OutboxEvent, Request};

/// An event in full, as `standard` receivers and the event bus get it.
#[derive(Debug, Serialize)]
pub struct EventBody<'a> {
    pub(super) id: String,
    pub(super) r#type: &'a str,
    pub(super) timestamp: Time,
    pub(super) livemode: bool,
    pub(super) data: Box<RawValue>,
}

/// An event as the API shows it.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    #[serde(flatten)]
    body: EventBody<'a>,
    external_reference_id: Option<&'a str>,
}

impl<'a> EventBody<'a> {
    /// What `event` of `request` looks like.
    pub fn new(request: &Request, event: &'a OutboxEvent) -> Self {
        let data = to_raw_value(&ResultData::of_event(request, event));
        Self {
            id: event.id(request.id).to_string(),
            r#type: event.kind.as_str(),
            timestamp: Time(event.at),
            livemode: request.owner.mode.is_live(),
            data: data.expect("plain data serializes"),
        }
    }

    /// What `event` looks like.
    pub fn of_posted(event: &'a Event) -> Self {
        let data = RawValue::from_string(event.data.clone());
        Self {
            id: event.id.to_string(),
            r#type: event.event_type.as_str(),
            timestamp: Time(event.created_at),
            livemode: event.owner.mode.is_live(),
            data: data.expect("it was JSON when it came in"),
        }
    }

    /// As the bytes that are sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data serializes")
    }
}

impl<'a> EventView<'a> {
    /// The view of `event`.
    pub fn new(event: &'a Event) -> Self {
        let external_reference_id = event.external_reference_id.as_deref();
        Self { body: EventBody::of_posted(event), external_reference_id }
    }

    /// The view of an event of a request's.
    pub fn of_request(request: &'a Request, event: &'a OutboxEvent) -> Self {
        let external_reference_id = request.question.external_reference_id.as_deref();
        Self { body: EventBody::new(request, event), external_reference_id }
    }
}
