//! `POST /mcp`: questions to people as tools of AI agents, by the Model Context Protocol (streamable HTTP).
//!
//! ```text
//!   call ─▶ origin ─▶ key ─▶ message ─▶ version ─▶ method ─┬─▶ initialize, server/discover, ping
//!                                                          ├─▶ tools/list, tools/call
//!                                                          └─▶ tasks/get, tasks/update, tasks/cancel
//! ```
//!
//! - Nothing is kept between calls, so any process answers any of them. A response is one JSON object.
//! - A question is an ordinary request. A task is one too: its identifier is the request's.
//! - **No result has a link or a code.** The agent that asks must not be able to answer.
//! - **Silence is not consent.** An approval is one only if recipients chose it in time.
//! - A call that waits is held for seconds, because clients give up without a word. Then the result says
//!   what to do next, which models follow.
//!
//! Versions: 2026-07-28, and the handshake of 2025-11-25 and 2025-06-18.
//! <https://modelcontextprotocol.io/specification/2026-07-28>

mod ask;
mod message;
mod result;
mod tasks;
mod tools;

use answerback::{
    api::{
        Problem,
        http::{CalledHost, JsonText, header},
    },
    domain::Scope,
    service::Caller,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use self::message::{Era, Message, RpcError, VERSIONS};
use crate::App;

/// The path of this endpoint.
const PATH: &str = "/mcp";
/// What the server says of itself, for the model.
const INSTRUCTIONS: &str = "Asks people and brings their answers. Ask with ask_human; before a risky action, call \
    request_approval and go on only if `approved` is true. If a result is pending, do what its `next_action` says. \
    No answer is not a yes.";
/// Time for which clients may keep the list of tools, in milliseconds.
const TOOLS_TTL_MS: u32 = 60 * 60 * 1_000;

/// A call of this endpoint.
struct Call<'a> {
    app: &'a App,
    caller: &'a Caller,
    host: &'a CalledHost,
    headers: &'a HeaderMap,
}

/// Answers one message.
pub(crate) async fn serve(
    State(app): State<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Result<Response, Problem> {
    if !is_own_origin(&headers, &host) {
        let refused = RpcError::invalid_request("the origin of the call is another site");
        return Ok(refused.at(StatusCode::FORBIDDEN).respond(None));
    }
    let caller = app.core.accounts.caller(&headers, Scope::RequestsAsk).await?;
    let body = match body {
        Ok(body) => body,
        Err(problem) => return Ok(RpcError::unreadable(&problem).respond(None)),
    };
    let message = match Message::read(&headers, body) {
        Ok(Some(message)) => message,
        // A notification. Nothing follows from any.
        Ok(None) => return Ok(StatusCode::ACCEPTED.into_response()),
        Err((id, err)) => return Ok(err.respond(id.as_ref())),
    };
    if message.method == "tools/list" {
        return Ok(message.result(tools::list(message.era)));
    }
    let call = Call { app: &app, caller: &caller, host: &host, headers: &headers };
    Ok(match Box::pin(call.answer(&message)).await {
        Ok(result) => message.respond(result),
        Err(err) => err.respond(Some(&message.id)),
    })
}

impl Call<'_> {
    async fn answer(&self, message: &Message) -> Result<Value, RpcError> {
        match (message.era, &*message.method) {
            (Era::Handshake, "initialize") => Ok(initialized(message)),
            (Era::Handshake, "ping") => Ok(json!({})),
            (Era::Stateless, "server/discover") => Ok(discovered()),
            (_, "tools/call") => tools::call(self, message).await,
            (Era::Stateless, "tasks/get") => tasks::get(self, message).await,
            (Era::Stateless, "tasks/update") => tasks::update(self, message).await,
            (Era::Stateless, "tasks/cancel") => tasks::cancel(self, message).await,
            (era, method) => Err(RpcError::no_method(era, method)),
        }
    }
}

/// The result of the handshake: the client's version if it is known, or else the latest with a handshake.
fn initialized(message: &Message) -> Value {
    let wanted = message.params.get("protocolVersion").and_then(Value::as_str);
    let known = VERSIONS[1..].iter().find(|it| Some(**it) == wanted);
    json!({
        "protocolVersion": known.unwrap_or(&VERSIONS[1]),
        "capabilities": { "tools": {} },
        "serverInfo": message::server_info(),
        "instructions": INSTRUCTIONS,
    })
}

fn discovered() -> Value {
    json!({
        "supportedVersions": VERSIONS,
        "capabilities": { "tools": {}, "extensions": { message::TASKS: {} } },
        "instructions": INSTRUCTIONS,
        "ttlMs": TOOLS_TTL_MS,
        "cacheScope": "public",
    })
}

/// Browsers name the site that calls, which must be this one (the transport's specification, "Security").
fn is_own_origin(headers: &HeaderMap, CalledHost(host): &CalledHost) -> bool {
    let Some(origin) = headers.get("origin") else { return true };
    let origin = origin.to_str().unwrap_or_default();
    let origin = origin.split_once("://").map_or("", |(_, rest)| rest);
    origin.eq_ignore_ascii_case(host) && header(headers, "origin").is_some()
}
