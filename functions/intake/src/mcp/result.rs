//! Results of tools, and the time that a call waits for one.

use std::time::Duration;

use answerback::{
    api::{Code, FieldLocation, Problem, views::ToolView},
    domain::Request,
    service::{Hold, requests::wait_for_end},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::Call;

/// Longest time for which a call is held, in seconds. Clients of some versions give up after 30.
pub(super) const WAIT_SECONDS_MAX: u32 = 20;

/// The result of a tool.
pub(super) enum Done {
    /// This object.
    Value(Value),
    /// The task with this request.
    Task(Box<Request>),
}

/// The result of a tool that did what it was asked for.
pub(super) fn success(value: &impl Serialize) -> Value {
    let value = serde_json::to_value(value).expect("a view serializes");
    let text = value.to_string();
    json!({
        "content": [{ "type": "text", "text": text }],
        "structuredContent": value,
        "isError": false,
    })
}

/// The result of a tool that was refused. It says why, for the model.
pub(super) fn failure(problem: &Problem) -> Value {
    if problem.code() == Code::NoWayToReach {
        // The model cannot add a notifier, and would retry.
        let said = "The question was not sent: no notifier reaches this person, and this key must not see links. Ask the \
            operator of Answerback to add a notifier.";
        return json!({ "content": [{ "type": "text", "text": said }], "isError": true });
    }
    let said = problem.errors().as_slice().iter().map(|error| match &error.location {
        FieldLocation::Pointer(pointer) => {
            let place = pointer.strip_prefix("/params/arguments").unwrap_or(pointer);
            format!("`{}` {}", place.trim_start_matches('/'), error.detail)
        }
        FieldLocation::Parameter(_) => error.to_string(),
    });
    let said: Vec<String> = said.collect();
    let said = if said.is_empty() { problem.detail().to_owned() } else { said.join("; ") };
    let wait = problem.retry_after_seconds();
    let wait = wait.map(|it| format!(". Try again in {it} s")).unwrap_or_default();
    json!({ "content": [{ "type": "text", "text": format!("{said}{wait}") }], "isError": true })
}

/// The request once it has ended, or as it is after `wait` seconds.
pub(super) async fn wait_for(call: &Call<'_>, id: &str, wait: u32) -> Result<Request, Problem> {
    let core = &call.app.core;
    let mut hold = Hold::new(Duration::from_secs(wait.into()), core.now());
    Box::pin(wait_for_end(core, call.caller, id, &mut hold)).await
}

/// The request as the result of a tool.
pub(super) fn shown(call: &Call<'_>, request: &Request) -> Done {
    let view = ToolView::new(request, call.app.core.now());
    Done::Value(serde_json::to_value(view).expect("a view serializes"))
}
