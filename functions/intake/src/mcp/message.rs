//! Messages: JSON-RPC 2.0, and the versions of the protocol.

use answerback::api::{
    Problem,
    body::Source,
    http::{JsonText, header},
};
use axum::{
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The versions that this server knows, the latest first. All but the first begin with a handshake.
pub(super) const VERSIONS: [&str; 3] = ["2026-07-28", "2025-11-25", "2025-06-18"];
/// The extension for tasks.
pub(super) const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The type of a result that is no task.
pub(super) const COMPLETE: &str = "complete";

const VERSION_MEMBER: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_MEMBER: &str = "io.modelcontextprotocol/clientCapabilities";
const INFO_MEMBER: &str = "io.modelcontextprotocol/serverInfo";

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
const HEADER_MISMATCH: i32 = -32020;
const MISSING_CAPABILITY: i32 = -32021;
const UNSUPPORTED_VERSION: i32 = -32022;

/// The way in which client and server agree on a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// In each message.
    Stateless,
    /// By `initialize`, which this server does not remember.
    Handshake,
}

/// A message that wants a response.
pub(super) struct Message {
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
    /// The text of the message, in which numbers are as they were sent.
    pub(super) source: Source,
    pub(super) era: Era,
    /// The client takes a task in place of a result.
    pub(super) has_tasks: bool,
}

/// An error of the protocol.
pub(super) struct RpcError {
    status: StatusCode,
    code: i32,
    message: String,
    data: Option<Value>,
}

impl Message {
    /// The message in a body. `None`: a notification.
    pub(super) fn read(
        headers: &HeaderMap,
        body: JsonText,
    ) -> Result<Option<Self>, (Option<Value>, RpcError)> {
        let (value, source) = answerback::api::body::Sent::from(body).into_parts();
        let Value::Object(mut members) = value else {
            return Err((None, RpcError::invalid_request("must be one JSON-RPC message")));
        };
        let id = members.remove("id");
        let is_id = |it: &Value| it.is_string() || it.is_i64() || it.is_u64();
        if id.as_ref().is_some_and(|it| !is_id(it)) {
            return Err((None, RpcError::invalid_request("`id` must be a string or an integer")));
        }
        let refused = |err| Err((id.clone(), err));
        if members.get("jsonrpc") != Some(&json!("2.0")) {
            return refused(RpcError::invalid_request("`jsonrpc` must be 2.0"));
        }
        let Some(Value::String(method)) = members.remove("method") else {
            return refused(RpcError::invalid_request("`method` must be a string"));
        };
        let params = match members.remove("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return refused(RpcError::invalid_request("`params` must be an object")),
        };
        let Some(id) = id else { return Ok(None) };
        match agree(headers, &method, &params) {
            Ok((era, has_tasks)) => Ok(Some(Self { id, method, params, source, era, has_tasks })),
            Err(err) => Err((Some(id), err)),
        }
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Result<&str, RpcError> {
        let text = self.params.get(name).and_then(Value::as_str);
        text.ok_or_else(|| RpcError::invalid_params(format!("`{name}` must be a string")))
    }

    /// The response with this result.
    pub(super) fn respond(&self, mut result: Value) -> Response {
        if let (Era::Stateless, Some(members)) = (self.era, result.as_object_mut()) {
            members.entry("resultType").or_insert_with(|| COMPLETE.into());
            members.insert("_meta".to_owned(), meta());
        }
        self.result(result)
    }

    /// The response with this result as it is.
    pub(super) fn result(&self, result: impl Serialize) -> Response {
        axum::Json(Reply { jsonrpc: "2.0", id: &self.id, result }).into_response()
    }

    /// Refuses a call by a client that cannot handle tasks.
    pub(super) fn require_tasks(&self) -> Result<(), RpcError> {
        if self.has_tasks {
            return Ok(());
        }
        let data = json!({ "requiredCapabilities": { "extensions": { TASKS: {} } } });
        let message = "the client must declare the extension for tasks";
        Err(RpcError::of(MISSING_CAPABILITY, message).with(data))
    }
}

/// A response with a result.
#[derive(Serialize)]
struct Reply<'a, R> {
    jsonrpc: &'static str,
    id: &'a Value,
    result: R,
}

/// The members of every result without a handshake that are about this server.
pub(super) fn meta() -> Value {
    json!({ INFO_MEMBER: server_info() })
}

/// The name and version of this server.
pub(super) fn server_info() -> Value {
    json!({ "name": "answerback", "title": "Answerback", "version": env!("CARGO_PKG_VERSION") })
}

/// The version of a message, and whether its client takes tasks.
fn agree(
    headers: &HeaderMap,
    method: &str,
    params: &Map<String, Value>,
) -> Result<(Era, bool), RpcError> {
    let meta = params.get("_meta");
    let of_body = meta.and_then(|it| it.get(VERSION_MEMBER)).and_then(Value::as_str);
    let of_header = header(headers, "mcp-protocol-version");
    let Some(wanted) = of_body.or(of_header) else { return Ok((Era::Handshake, false)) };
    if of_body.is_some() && of_header.is_some_and(|it| it != wanted) {
        return Err(mismatch("MCP-Protocol-Version"));
    }
    if !VERSIONS.contains(&wanted) {
        let data = json!({ "supported": VERSIONS, "requested": wanted });
        return Err(RpcError::of(UNSUPPORTED_VERSION, "unsupported protocol version").with(data));
    }
    if wanted != VERSIONS[0] {
        return Ok((Era::Handshake, false));
    }
    if of_body.is_none() {
        let message = format!("`_meta` must have `{VERSION_MEMBER}`");
        return Err(RpcError::invalid_params(message).at(StatusCode::BAD_REQUEST));
    }
    // All of the following is required, so that proxies can trust the headers.
    if of_header.is_none() {
        return Err(mismatch("MCP-Protocol-Version"));
    }
    if header(headers, "mcp-method") != Some(method) {
        return Err(mismatch("Mcp-Method"));
    }
    let name = match method {
        "tools/call" => params.get("name"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.get("taskId"),
        _ => None,
    };
    if let Some(name) = name.and_then(Value::as_str)
        && header(headers, "mcp-name") != Some(name)
    {
        return Err(mismatch("Mcp-Name"));
    }
    let Some(Value::Object(capabilities)) = meta.and_then(|it| it.get(CAPABILITIES_MEMBER)) else {
        let message = format!("`_meta` must have the object `{CAPABILITIES_MEMBER}`");
        return Err(RpcError::invalid_params(message).at(StatusCode::BAD_REQUEST));
    };
    let extensions = capabilities.get("extensions").and_then(Value::as_object);
    Ok((Era::Stateless, extensions.is_some_and(|it| it.contains_key(TASKS))))
}

fn mismatch(name: &str) -> RpcError {
    RpcError::of(HEADER_MISMATCH, format!("the header `{name}` must say what the body says"))
}

impl RpcError {
    fn of(code: i32, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into(), data: None }
    }

    pub(super) fn invalid_request(message: &str) -> Self {
        Self::of(INVALID_REQUEST, message)
    }

    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self::of(INVALID_PARAMS, message).at(StatusCode::OK)
    }

    /// A body that could not be read.
    pub(super) fn unreadable(problem: &Problem) -> Self {
        let first = problem.errors().as_slice().first();
        let detail = first.map_or_else(|| problem.detail().to_owned(), |it| it.detail.clone());
        let status = match problem.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        Self::of(PARSE_ERROR, detail).at(status)
    }

    pub(super) fn no_method(era: Era, method: &str) -> Self {
        let err = Self::of(METHOD_NOT_FOUND, format!("unknown method {method:?}"));
        match era {
            Era::Stateless => err.at(StatusCode::NOT_FOUND),
            // Its clients take a 404 for a session that is over.
            Era::Handshake => err.at(StatusCode::OK),
        }
    }

    /// A call that failed for this reason.
    pub(super) fn failed(problem: &Problem) -> Self {
        let code = if problem.status().is_server_error() { INTERNAL_ERROR } else { INVALID_PARAMS };
        Self::of(code, problem.detail()).at(StatusCode::OK)
    }

    #[must_use]
    pub(super) fn at(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    fn with(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }

    /// The response to the message with this id.
    pub(super) fn respond(self, id: Option<&Value>) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = self.data {
            error["data"] = data;
        }
        let body = json!({ "jsonrpc": "2.0", "id": id, "error": error });
        (self.status, axum::Json(body)).into_response()
    }
}
