//! Messages of a client: JSON-RPC 2.0, one a line.

use serde_json::Value;

/// The version that each message names, in the versions without a handshake.
const VERSION_MEMBER: &str = "io.modelcontextprotocol/protocolVersion";
const CANCELLED: &str = "notifications/cancelled";

/// A message, and the line that it was read from.
pub(super) struct Message {
    /// The text, in which numbers are as they were sent.
    pub(super) text: String,
    value: Value,
}

/// A kind of message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It wants a response.
    Request,
    /// It wants none.
    Notification,
    /// The end of the request with this id, in JSON.
    Cancellation(String),
    Response,
}

impl Message {
    /// Reads a line.
    pub(super) fn read(text: String) -> serde_json::Result<Self> {
        let value = serde_json::from_str(&text)?;
        Ok(Self { text, value })
    }

    pub(super) fn kind(&self) -> Kind {
        let has_method = self.value.get("method").is_some();
        match self.value.get("id") {
            // The server says what is wrong with a message that is none.
            Some(_) if has_method || !self.is_response() => Kind::Request,
            Some(_) => Kind::Response,
            None if self.method() == Some(CANCELLED) => {
                Kind::Cancellation(self.param("requestId").unwrap_or(&Value::Null).to_string())
            }
            None if has_method => Kind::Notification,
            None => Kind::Request,
        }
    }

    fn is_response(&self) -> bool {
        self.value.get("result").is_some() || self.value.get("error").is_some()
    }

    /// The id of a request. A message that is none gets null.
    pub(super) fn id(&self) -> Option<&Value> {
        match self.kind() {
            Kind::Request => Some(self.value.get("id").unwrap_or(&Value::Null)),
            Kind::Notification | Kind::Cancellation(_) | Kind::Response => None,
        }
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.value.get("method").and_then(Value::as_str)
    }

    fn param(&self, name: &str) -> Option<&Value> {
        self.value.get("params").and_then(|it| it.get(name))
    }

    /// The headers by which proxies see what the message says. `agreed` is the version of a handshake.
    pub(super) fn headers(&self, agreed: Option<&str>) -> Vec<(&'static str, String)> {
        let own = self.param("_meta").and_then(|it| it.get(VERSION_MEMBER)).and_then(Value::as_str);
        let Some(version) = own else {
            let version = agreed.filter(|_| self.method() != Some("initialize"));
            return version.map(|it| ("mcp-protocol-version", it.to_owned())).into_iter().collect();
        };
        let method = self.method().unwrap_or_default();
        let name = match method {
            "tools/call" | "prompts/get" => self.param("name"),
            "resources/read" => self.param("uri"),
            "tasks/get" | "tasks/update" | "tasks/cancel" => self.param("taskId"),
            _ => None,
        };
        let mut headers =
            vec![("mcp-protocol-version", version.to_owned()), ("mcp-method", method.to_owned())];
        headers.extend(name.and_then(Value::as_str).map(|it| ("mcp-name", it.to_owned())));
        headers
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(value: &Value) -> Message {
        Message::read(value.to_string()).expect("JSON")
    }

    #[test]
    fn message_without_a_handshake_names_version_method_and_tool() {
        let meta = json!({ VERSION_MEMBER: "2026-07-28" });
        let call = |method: &str, params: Value| {
            let mut params = params;
            params["_meta"] = meta.clone();
            message(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
                .headers(Some("2025-06-18"))
        };
        let pair = |name, value: &str| (name, value.to_owned());
        assert_eq!(
            call("tools/call", json!({ "name": "ask_human" })),
            [
                pair("mcp-protocol-version", "2026-07-28"),
                pair("mcp-method", "tools/call"),
                pair("mcp-name", "ask_human"),
            ]
        );
        assert_eq!(call("tasks/get", json!({ "taskId": "req_1" }))[2], pair("mcp-name", "req_1"));
        assert_eq!(call("tools/list", json!({ "name": "x" })).len(), 2);
    }

    #[test]
    fn message_after_a_handshake_names_the_agreed_version() {
        let list = message(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }));
        assert_eq!(list.headers(None), []);
        let expected = [("mcp-protocol-version", "2025-11-25".to_owned())];
        assert_eq!(list.headers(Some("2025-11-25")), expected);
        let again = message(&json!({ "jsonrpc": "2.0", "id": 2, "method": "initialize" }));
        assert_eq!(again.headers(Some("2025-11-25")), []);
    }

    #[test]
    fn messages_have_four_kinds() {
        let cancelled = json!({ "method": CANCELLED, "params": { "requestId": "a" } });
        for (value, kind) in [
            (json!({ "id": 1, "method": "ping" }), Kind::Request),
            (json!({ "id": 1 }), Kind::Request),
            (json!([]), Kind::Request),
            (json!({ "method": "notifications/initialized" }), Kind::Notification),
            (cancelled, Kind::Cancellation("\"a\"".to_owned())),
            (json!({ "id": 1, "result": {} }), Kind::Response),
        ] {
            assert_eq!(message(&value).kind(), kind, "{value}");
        }
        assert_eq!(message(&json!({ "id": "a", "method": "ping" })).id(), Some(&json!("a")));
        assert_eq!(message(&json!([])).id(), Some(&Value::Null));
    }
}
