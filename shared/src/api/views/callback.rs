//! The bodies of callbacks: what an event looks like to a receiver of each profile.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue, value::to_raw_value};

use super::{EventBody, ResponseView, ResultData, Time, answer_fields};
use crate::domain::{
    Answer, Event, MessageId, OutboxEvent, Request,
    profile::{Body, Spec},
};

/// An event whose data does not fit.
#[derive(Serialize)]
struct Truncated<'a> {
    id: &'a str,
    r#type: &'a str,
    timestamp: Time,
    livemode: bool,
    #[serde(flatten)]
    elsewhere: Elsewhere<'a>,
}

/// In place of data that does not fit: where it is.
#[derive(Serialize)]
struct Elsewhere<'a> {
    truncated: bool,
    data_url: &'a str,
}

/// What became of a request, as `NextKS` tells it.
#[derive(Debug, Serialize)]
pub struct NextKsView<'a> {
    request_id: String,
    external_reference_id: Option<&'a str>,
    status: &'static str,
    responses: Vec<ResponseView<'a>>,
}

/// An answer, as Ping tells it.
#[derive(Debug, Serialize)]
pub struct PingView<'a> {
    message_id: String,
    channel_id: Option<String>,
    timestamp: Time,
    triggered_by: Option<&'a str>,
    responses: Map<String, Value>,
}

#[derive(Serialize)]
struct Noukai<'a> {
    event: &'a str,
    #[serde(rename = "executionId")]
    execution_id: Box<RawValue>,
    status: Box<RawValue>,
    payload: Box<RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> PingView<'a> {
    /// The first answer to `request`, if there is one.
    pub fn of_request(request: &'a Request) -> Option<Self> {
        let row = request.rows.iter().flatten().next()?;
        Some(Self::new(request, row.at, Some(&row.answer)))
    }

    fn new(request: &Request, at: Timestamp, answer: Option<&'a Answer>) -> Self {
        Self {
            message_id: MessageId::of(request.id).to_string(),
            channel_id: request.channel.map(|it| it.to_string()),
            timestamp: Time(at),
            triggered_by: answer.and_then(|it| it.option.as_deref()),
            responses: answer.map(answer_fields).unwrap_or_default(),
        }
    }
}

impl<'a> NextKsView<'a> {
    /// How `request` stands at `now`.
    pub fn of_request(request: &'a Request, now: Timestamp) -> Self {
        Self::new(ResultData::of_now(request, now))
    }

    fn new(data: ResultData<'a>) -> Self {
        let data = data.without_fields();
        Self {
            request_id: data.request_id,
            external_reference_id: data.external_reference_id,
            status: data.status,
            responses: data.responses,
        }
    }
}

/// What `event` of `request` looks like to a receiver that expects this, and takes so many bytes.
pub fn callback_body(
    spec: &Spec,
    max_bytes: u32,
    request: &Request,
    event: &OutboxEvent,
) -> Vec<u8> {
    match spec.body {
        Body::NextKs => bytes(&NextKsView::new(ResultData::of_event(request, event))),
        Body::Ping => {
            let answer = event.answered.as_ref().map(|it| &it.answer);
            bytes(&PingView::new(request, event.at, answer))
        }
        Body::Envelope | Body::Data | Body::Noukai => {
            let whole = EventBody::new(request, event);
            of_data(spec, max_bytes, &whole, &request.id.to_string(), &request.base_url)
        }
    }
}

/// What `event` looks like to a receiver that expects this, and takes so many bytes. One that
/// expects what becomes of a request gets the data as it was posted.
pub fn posted_body(spec: &Spec, max_bytes: u32, event: &Event) -> Vec<u8> {
    let whole = EventBody::of_posted(event);
    of_data(spec, max_bytes, &whole, &whole.id, &event.base_url)
}

/// `other_id` stands for the execution where there is none.
fn of_data(
    spec: &Spec,
    max_bytes: u32,
    whole: &EventBody<'_>,
    other_id: &str,
    base_url: &str,
) -> Vec<u8> {
    let name = spec.event_name(whole.r#type);
    let body = match spec.body {
        Body::Envelope => whole.to_bytes(),
        Body::Noukai => bytes(&noukai(name, &whole.data, other_id, None)),
        Body::Data | Body::NextKs | Body::Ping => whole.data.get().as_bytes().to_vec(),
    };
    if u32::try_from(body.len()).is_ok_and(|it| it <= max_bytes) {
        return body;
    }
    let data_url = format!("{base_url}/v1/events/{}", whole.id);
    let elsewhere = Elsewhere { truncated: true, data_url: &data_url };
    match spec.body {
        Body::Envelope => bytes(&Truncated {
            id: &whole.id,
            r#type: whole.r#type,
            timestamp: whole.timestamp,
            livemode: whole.livemode,
            elsewhere,
        }),
        Body::Noukai => bytes(&noukai(name, &whole.data, other_id, Some(&elsewhere))),
        Body::Data | Body::NextKs | Body::Ping => bytes(&elsewhere),
    }
}

/// `executionId` and `status` stand outside, and the rest of the data in the payload.
fn noukai<'a>(
    event: &'a str,
    data: &RawValue,
    other_id: &str,
    elsewhere: Option<&Elsewhere<'_>>,
) -> Noukai<'a> {
    // Raw, so that everything is passed on as it was written.
    let data: Result<BTreeMap<String, Box<RawValue>>, _> = serde_json::from_str(data.get());
    let mut data = data.expect("an event's data is an object");
    let execution_id = data.remove("executionId").unwrap_or_else(|| raw(other_id));
    let status = data.remove("status").unwrap_or_else(|| raw(&Value::Null));
    let payload = elsewhere.map_or_else(|| raw(&data), raw);
    Noukai { event, execution_id, status, payload, truncated: elsewhere.is_some() }
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("plain data serializes")
}

fn bytes(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain data serializes")
}
