//! Events as the API shows them.

use serde::Serialize;

use super::{EventBody, ProbeView};
use crate::domain::{Event, OutboxEvent, Request};

/// A posted event, as the call that posts it shows it.
#[derive(Debug, Serialize)]
pub struct AcceptedEventView<'a> {
    #[serde(flatten)]
    event: EventView<'a>,
    callback: Option<AcceptedCallbackView<'a>>,
}

#[derive(Debug, Serialize)]
struct AcceptedCallbackView<'a> {
    url: &'a str,
    profile: &'static str,
    probe: Option<ProbeView>,
}

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

impl<'a> AcceptedEventView<'a> {
    /// The view of a posted event, with the result of probing its callback's receiver.
    pub fn new(event: &'a Event, probe: Option<ProbeView>) -> Self {
        let callback = event.callback.as_ref().map(|it| AcceptedCallbackView {
            url: &it.url,
            profile: it.profile.spec().name,
            probe,
        });
        Self { event: EventView::new(event), callback }
    }
}
