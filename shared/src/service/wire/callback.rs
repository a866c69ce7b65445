//! The bodies of callbacks: what an event of a request looks like to a receiver of each profile.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{EventBody, ResponseView, ResultData, Time, answer_fields};
use crate::domain::{
    Event, MessageId, Request,
    profile::{Behaviour, Body},
};

#[derive(Serialize)]
struct NextKs<'a> {
    request_id: &'a str,
    external_reference_id: Option<&'a str>,
    status: &'a str,
    responses: Vec<ResponseView<'a>>,
}

#[derive(Serialize)]
struct Ping<'a> {
    message_id: String,
    channel_id: Option<&'a str>,
    timestamp: Time,
    triggered_by: Option<&'a str>,
    responses: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Noukai<'a> {
    event: &'a str,
    execution_id: Value,
    status: Value,
    payload: Map<String, Value>,
}

/// What `event` of `request` looks like to a receiver that expects this.
pub fn callback_body(behaviour: &Behaviour, request: &Request, event: &Event) -> Vec<u8> {
    let body = match behaviour.body {
        Body::Envelope => serde_json::to_vec(&EventBody::new(request, event)),
        Body::Data => serde_json::to_vec(&ResultData::of_event(request, event)),
        Body::NextKs => {
            let data = ResultData::of_event(request, event).without_fields();
            serde_json::to_vec(&NextKs {
                request_id: &data.request_id,
                external_reference_id: data.external_reference_id,
                status: data.status,
                responses: data.responses,
            })
        }
        Body::Ping => {
            let answer = event.answered.as_ref().map(|it| &it.answer);
            serde_json::to_vec(&Ping {
                message_id: MessageId::of(request.id).to_string(),
                channel_id: None,
                timestamp: Time(event.at),
                triggered_by: answer.and_then(|it| it.option.as_deref()),
                responses: answer.map(answer_fields).unwrap_or_default(),
            })
        }
        Body::Noukai => {
            let name = behaviour.event_name(event.kind.as_str());
            let data = serde_json::to_value(ResultData::of_event(request, event));
            let Ok(Value::Object(data)) = data else { unreachable!("a result is an object") };
            serde_json::to_vec(&noukai(name, data, request.id.to_string().into()))
        }
    };
    body.expect("plain data serializes")
}

/// `executionId` and `status` stand outside; where there is no execution, `other_id` does.
fn noukai(event: &str, mut payload: Map<String, Value>, other_id: Value) -> Noukai<'_> {
    let execution_id = payload.remove("executionId").unwrap_or(other_id);
    let status = payload.remove("status").unwrap_or(Value::Null);
    Noukai { event, execution_id, status, payload }
}
