//! Callback bodies. The receiver's profile decides the format.

use serde::Serialize;

use crate::{
    api::views::{EventBody, TruncatedData},
    domain::{
        Event, OutboxEvent, Request,
        profile::{Body, Spec},
    },
    fronts::{nextks::NextKsView, noukai::NoukaiBody, ping::PingView},
};

/// The body of `event` of `request`. Above `max_bytes`, a link replaces the data.
pub fn callback_body(
    spec: &Spec,
    max_bytes: u32,
    request: &Request,
    event: &OutboxEvent,
) -> Vec<u8> {
    match spec.body {
        Body::NextKs => bytes(&NextKsView::of_event(request, event)),
        Body::Ping => bytes(&PingView::of_event(request, event)),
        Body::Envelope | Body::Data | Body::Noukai => {
            let full = EventBody::new(request, event);
            let source = Source { id: &request.id.to_string(), base_url: &request.base_url };
            data_body(spec, max_bytes, &full, &source)
        }
    }
}

/// The body of a posted event. Above `max_bytes`, a link replaces the data.
///
/// The bodies `nextks` and `ping` describe requests only. Their receivers get no posted events, and
/// a test event in the standard envelope, which nobody takes for the result of a request.
pub fn posted_body(spec: &Spec, max_bytes: u32, event: &Event) -> Vec<u8> {
    let full = EventBody::of_posted(event);
    let source = Source { id: &full.id, base_url: &event.base_url };
    data_body(spec, max_bytes, &full, &source)
}

/// Largest body on the event bus, in bytes. EventBridge takes 256 KiB, with the entry's other parts.
const BUS_BYTES_MAX: usize = 250_000;

/// The body of `event` of `request` on the event bus.
pub fn bus_body(request: &Request, event: &OutboxEvent) -> Vec<u8> {
    let full = EventBody::new(request, event);
    let body = full.to_bytes();
    if body.len() <= BUS_BYTES_MAX {
        return body;
    }
    let data_url = format!("{}/v1/events/{}", request.base_url, full.id);
    bytes(&full.truncated(&TruncatedData::at(&data_url)))
}

/// The item that an event comes from.
struct Source<'a> {
    id: &'a str,
    base_url: &'a str,
}

fn data_body(spec: &Spec, max_bytes: u32, full: &EventBody<'_>, source: &Source<'_>) -> Vec<u8> {
    let name = spec.event_name(full.r#type);
    let body = match spec.body {
        Body::Envelope | Body::NextKs | Body::Ping => full.to_bytes(),
        Body::Noukai => {
            bytes(&NoukaiBody::new(name, &full.data, source.id, None).of_test(full.test))
        }
        Body::Data if full.test => marked_as_test(full.data.get()).into_bytes(),
        Body::Data => full.data.get().as_bytes().to_vec(),
    };
    if u32::try_from(body.len()).is_ok_and(|it| it <= max_bytes) {
        return body;
    }
    let data_url = format!("{}/v1/events/{}", source.base_url, full.id);
    let data = TruncatedData::at(&data_url);
    match spec.body {
        Body::Envelope | Body::NextKs | Body::Ping => bytes(&full.truncated(&data)),
        Body::Noukai => {
            bytes(&NoukaiBody::new(name, &full.data, source.id, Some(&data)).of_test(full.test))
        }
        Body::Data if full.test => {
            let data = serde_json::to_string(&data).expect("plain data serializes");
            marked_as_test(&data).into_bytes()
        }
        Body::Data => bytes(&data),
    }
}

/// The JSON object `data` with the member `"test": true` at its end.
fn marked_as_test(data: &str) -> String {
    let inside = data.trim().trim_start_matches('{').trim_end();
    let inside = inside.strip_suffix('}').unwrap_or(inside).trim_end();
    let comma = if inside.trim().is_empty() { "" } else { "," };
    format!("{{{inside}{comma}\"test\":true}}")
}

fn bytes(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain data serializes")
}
