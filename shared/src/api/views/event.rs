//! Events as the API shows them.

use serde::Serialize;

use super::EventBody;
use crate::domain::{Event, OutboxEvent, Request};

/// An event.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    #[serde(flatten)]
    body: EventBody<'a>,
    external_reference_id: Option<&'a str>,
}

impl<'a> EventView<'a> {
    /// The view of a posted event.
    pub fn new(event: &'a Event) -> Self {
        let external_reference_id = event.external_reference_id.as_deref();
        Self { body: EventBody::of_posted(event), external_reference_id }
    }

    /// The view of an event of `request`.
    pub fn of_request(request: &'a Request, event: &'a OutboxEvent) -> Self {
        let external_reference_id = request.question.external_reference_id.as_deref();
        Self { body: EventBody::shown(request, event), external_reference_id }
    }
}
