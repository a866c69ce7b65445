//! One message to the server, and its response as a message.

use std::sync::Mutex;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{INTERNAL_ERROR, message::Message};
use crate::{
    client::{Client, Exchange, Exchanged, Problem},
    printable::{printable, write_line},
};

/// The path of the server.
const PATH: &str = "/mcp";

/// Forwards the messages of one client.
pub(super) struct Forwarder {
    client: Client,
    /// The version of the handshake, if there was one.
    agreed: Mutex<Option<String>>,
}

impl Forwarder {
    pub(super) fn new(client: Client) -> Self {
        Self { client, agreed: Mutex::default() }
    }

    /// Forwards a message. Returns the response to a request.
    pub(super) async fn forward(&self, message: &Message) -> Option<Value> {
        let agreed = self.agreed.lock().expect("no holder panics").clone();
        let exchange = Exchange {
            path: PATH,
            headers: message.headers(agreed.as_deref()),
            body: message.text.clone(),
        };
        let exchanged = self.client.exchange(&exchange).await;
        let Some(id) = message.id() else {
            let failure = match exchanged {
                Ok(it) if it.status.is_success() => return None,
                Ok(it) => Problem::read(it.status, &it.body).to_string(),
                Err(failure) => failure,
            };
            write_line(&printable(&format!("could not forward a notification: {failure}")));
            return None;
        };
        let response = match exchanged {
            Ok(exchanged) => response(id, &exchanged),
            Err(failure) => unreachable(id, &failure),
        };
        if message.method() == Some("initialize")
            && let Some(version) = response["result"]["protocolVersion"].as_str()
        {
            *self.agreed.lock().expect("no holder panics") = Some(version.to_owned());
        }
        Some(response)
    }
}

/// The server's message for the request with this id.
fn response(id: &Value, exchanged: &Exchanged) -> Value {
    let message: Option<Value> = serde_json::from_slice(&exchanged.body).ok();
    match message.filter(is_response) {
        Some(mut message) => {
            // The server names no id if it could not read the message. The client knows which it was.
            if message["id"].is_null() {
                message["id"] = id.clone();
            }
            if message["id"] == *id {
                message
            } else {
                let text = "the server responded to another message; try again";
                rpc_error(id, INTERNAL_ERROR, text)
            }
        }
        None => refused(id, exchanged),
    }
}

fn is_response(message: &Value) -> bool {
    message["jsonrpc"] == "2.0"
        && (message.get("result").is_some() || message.get("error").is_some())
}

/// The error for a response that is no message: the server or a proxy before it refused the call.
fn refused(id: &Value, exchanged: &Exchanged) -> Value {
    let status = exchanged.status;
    let advice = match status {
        StatusCode::UNAUTHORIZED => "check the API key, or run `answerback login` again",
        StatusCode::FORBIDDEN => {
            "the key needs `requests:ask`; create one for agents by \
            `answerback keys create --agent`"
        }
        StatusCode::TOO_MANY_REQUESTS => "wait, and try again",
        it if it.is_server_error() => "try again later; an equal question is not asked twice",
        _ => "is the address the base URL of an Answerback API?",
    };
    let text = if status.is_success() {
        "the server responded with something other than a message".to_owned()
    } else {
        Problem::read(status, &exchanged.body).to_string()
    };
    rpc_error(id, INTERNAL_ERROR, &format!("{text}; {advice}"))
}

fn unreachable(id: &Value, failure: &str) -> Value {
    let text = format!("{failure}; try again later: an equal question is not asked twice");
    rpc_error(id, INTERNAL_ERROR, &printable(&text))
}

/// An error of the protocol, as the response to the request with this id.
pub(super) fn rpc_error(id: &Value, code: i32, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchanged(status: u16, body: &str) -> Exchanged {
        let status = StatusCode::from_u16(status).expect("a status");
        Exchanged { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn response_of_the_server_is_passed_on_with_its_id() {
        let id = json!("a");
        let body = r#"{"jsonrpc": "2.0", "id": "a", "result": {"n": 1}}"#;
        let expected = json!({ "jsonrpc": "2.0", "id": "a", "result": { "n": 1 } });
        assert_eq!(response(&id, &exchanged(200, body)), expected);
        let body = r#"{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no"}}"#;
        let expected = rpc_error(&id, -32_600, "no");
        assert_eq!(response(&id, &exchanged(400, body)), expected);
    }

    #[test]
    fn other_responses_become_errors_that_say_what_to_do() {
        let id = json!(7);
        let problem = r#"{"code": "unauthorized", "detail": "invalid API key", "title": "x"}"#;
        for (status, body, expected) in [
            (
                401,
                problem,
                "the server refused (401 unauthorized): invalid API key; check the API key",
            ),
            (403, "", "`answerback keys create --agent`"),
            (502, "<h1>Bad gateway</h1>", "(502): <h1>Bad gateway</h1>; try again later"),
            (200, "<h1>Hello</h1>", "something other than a message; is the address the base URL"),
            (200, r#"{"jsonrpc": "2.0", "id": 8, "result": {}}"#, "to another message"),
        ] {
            let response = response(&id, &exchanged(status, body));
            let text = response["error"]["message"].as_str().expect("an error");
            assert!(text.contains(expected), "{text}");
            assert_eq!(response["id"], 7);
        }
    }
}
