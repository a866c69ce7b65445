//! The tools: what they are, and calls of them.

use answerback::{
    api::{
        Problem,
        body::{self, Object},
        cursor,
        views::{ToolEntry, request_status},
    },
    domain::{Request, Scope, question::REFERENCE_CHARS_MAX},
    service::requests::is_visible,
    store::{Cursor, Listed, Listing, keys},
};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    Call, TOOLS_TTL_MS, ask,
    message::{self, COMPLETE, Era, Message, RpcError},
    result::{Done, WAIT_SECONDS_MAX, failure, shown, success, wait_for},
    tasks,
};
use crate::requests::{cancel_reason, cancel_request, find_settled};

/// The tools, as clients get them.
const TOOLS: &str = include_str!(concat!(env!("OUT_DIR"), "/tools.json"));
/// Requests on a page of `list_requests`.
const PAGE_ENTRIES: usize = 20;
/// Requests that are read at a time.
const PAGE_READS: i32 = 100;
/// Most requests that a page looks at.
const LOOKED_AT_MAX: usize = 1_000;
/// Longest id of a request, in characters, and some more.
const ID_CHARS_MAX: usize = 40;
/// Longest cursor, in characters.
const CURSOR_CHARS_MAX: usize = 1_024;
const STATUSES: [(&str, &str); 3] =
    [("pending", "pending"), ("finished", "finished"), ("cancelled", "cancelled")];

/// The tools, always in the same order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolList {
    /// As text: clients list the tools when a function starts, and parsing them takes longer than the rest of a call.
    tools: &'static RawValue,
    #[serde(flatten)]
    stateless: Option<Stateless>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stateless {
    ttl_ms: u32,
    cache_scope: &'static str,
    result_type: &'static str,
    #[serde(rename = "_meta")]
    meta: Value,
}

/// Lists the tools.
pub(super) fn list(era: Era) -> ToolList {
    let tools = serde_json::from_str(TOOLS).expect("the build wrote it");
    let stateless = (era == Era::Stateless).then(|| Stateless {
        ttl_ms: TOOLS_TTL_MS,
        cache_scope: "public",
        result_type: COMPLETE,
        meta: message::meta(),
    });
    ToolList { tools, stateless }
}

/// Calls a tool. What is wrong with its arguments is a result, so that the model can mend it.
pub(super) async fn call(call: &Call<'_>, message: &Message) -> Result<Value, RpcError> {
    let arguments = match message.params.get("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(_) => return Err(RpcError::invalid_params("`arguments` must be an object")),
    };
    let done = match message.text("name")? {
        "ask_human" => Box::pin(ask::ask_human(call, message, arguments)).await,
        "request_approval" => Box::pin(ask::request_approval(call, message, arguments)).await,
        "check_request" => check(call, arguments).await,
        "cancel_request" => cancel(call, arguments).await,
        "list_requests" => list_requests(call, arguments).await,
        name => return Err(RpcError::invalid_params(format!("unknown tool {name:?}"))),
    };
    Ok(match done {
        Ok(Done::Value(value)) => success(&value),
        Ok(Done::Task(request)) => {
            let mut task = tasks::of_request(&request);
            task["resultType"] = "task".into();
            task
        }
        Err(problem) => failure(&problem),
    })
}

/// Shows a request. With `wait_seconds`, holds the call until it has ended.
async fn check(call: &Call<'_>, arguments: Map<String, Value>) -> Result<Done, Problem> {
    call.caller.require(Scope::RequestsRead)?;
    let (id, wait) = body::read(Value::Object(arguments), |body| {
        let wait = body.integer("wait_seconds", 0..=WAIT_SECONDS_MAX).unwrap_or(0);
        Some((request_id(body)?, wait))
    })?;
    let request = wait_for(call, &id, wait).await?;
    Ok(shown(call, &request))
}

/// Cancels a request.
async fn cancel(call: &Call<'_>, arguments: Map<String, Value>) -> Result<Done, Problem> {
    let (id, reason) = body::read(Value::Object(arguments), |body| {
        let reason = cancel_reason(body);
        Some((request_id(body)?, reason))
    })?;
    let request = find_settled(call.app, call.caller, &id).await?;
    let request = cancel_request(call.app, request, reason.as_deref()).await?;
    Ok(shown(call, &request))
}

fn request_id(body: &mut Object<'_>) -> Option<String> {
    body.required_text("request_id", 1..=ID_CHARS_MAX)
}

/// Lists the requests that the key sees, the latest first.
async fn list_requests(call: &Call<'_>, arguments: Map<String, Value>) -> Result<Done, Problem> {
    call.caller.require(Scope::RequestsRead)?;
    let (status, reference, mut cursor) = body::read(Value::Object(arguments), |body| {
        let status = body.word("status", &STATUSES);
        let reference = body.text("reference", 1..=REFERENCE_CHARS_MAX);
        let text = body.text("cursor", 1..=CURSOR_CHARS_MAX);
        let cursor = text.as_deref().and_then(cursor::parse);
        if text.is_some() && cursor.is_none() {
            body.error("cursor", "must be the `next_cursor` of a page");
        }
        Some((status, reference, cursor))
    })?;
    let core = &call.app.core;
    let now = core.now();
    let matches = |it: &Request| {
        is_visible(it, call.caller)
            && status.is_none_or(|status| status == request_status(it))
            && (reference.is_none() || it.question.external_reference_id == reference)
    };
    let (mut entries, mut next_cursor, mut n_looked_at) = (Vec::new(), None, 0);
    'pages: loop {
        let Listing { items, next } = core
            .store
            .list::<Request>(call.caller.owner(), Listed::Requests, PAGE_READS, cursor.as_ref())
            .await?;
        for request in &items {
            if entries.len() == PAGE_ENTRIES || n_looked_at == LOOKED_AT_MAX {
                break 'pages;
            }
            n_looked_at += 1;
            next_cursor = Some(after(request));
            if matches(request) {
                let entry = ToolEntry::new(request, now);
                entries.push(serde_json::to_value(entry).expect("a view serializes"));
            }
        }
        cursor = next;
        if cursor.is_none() {
            next_cursor = None;
            break;
        }
    }
    Ok(Done::Value(json!({ "requests": entries, "next_cursor": next_cursor })))
}

/// The cursor of the page that begins after `request`.
fn after(request: &Request) -> String {
    cursor::text(&Cursor::after(keys::request(request.id), request.created_at))
}
