//! `answerback mcp` as an agent starts it: messages on stdin and stdout, against the local stack.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    asking::command::{Place, stack},
    stack::{Stack, call, until},
};

/// Longest wait for a line. A call is held for 20 seconds.
const LINE_TIMEOUT: Duration = Duration::from_mins(1);

/// A running `answerback mcp`.
struct Server {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Server {
    fn start(place: &Place) -> Self {
        let mut command = place.command(&["mcp"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built with this test");
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, stdin, lines }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").expect("the program reads its input");
    }

    fn receive(&self) -> Value {
        let line = self.lines.recv_timeout(LINE_TIMEOUT).expect("a line");
        serde_json::from_str(&line).expect("each line is a message")
    }

    fn call(&mut self, message: &Value) -> Value {
        self.send(message);
        self.receive()
    }

    /// Ends stdin. Returns the rest of stdout, and stderr.
    async fn end(self) -> (Vec<String>, String) {
        let Self { mut child, stdin, lines } = self;
        drop(stdin);
        let status =
            until("the program ends", async || child.try_wait().expect("it is our child process"))
                .await;
        let mut stderr = String::new();
        let piped = child.stderr.as_mut().expect("stderr is piped");
        piped.read_to_string(&mut stderr).expect("UTF-8");
        assert_eq!(status.code(), Some(0), "{stderr}");
        (lines.iter().collect(), stderr)
    }
}

fn request(id: u32, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn initialize(version: &str) -> Value {
    let client = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
    request(1, "initialize", &params)
}

fn approval(id: u32) -> Value {
    let arguments = json!({
        "action": { "name": "deploy", "args": { "share": 0.50 } },
        "reason": "The tests have passed.", "to": ["ada@example.com"],
    });
    request(id, "tools/call", &json!({ "name": "request_approval", "arguments": arguments }))
}

async fn agent(stack: &Stack) -> Place {
    let key = json!({ "name": "agent", "scopes": ["requests:read", "requests:ask"] });
    let (status, key) = stack.call(Method::POST, "/v1/keys", key).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    Place::with(&stack.base_url, key["key"].as_str().expect("a key"))
}

/// The request that is pending, once there is one.
async fn pending(stack: &Stack) -> Value {
    until("the question is asked", async || {
        let (_, list) = stack.call(Method::GET, "/v1/requests?status=pending", Value::Null).await;
        list["data"].get(0).cloned()
    })
    .await
}

#[tokio::test]
async fn held_approval_blocks_no_other_message() {
    let stack = stack();
    let mut server = Server::start(&agent(&stack).await);
    let hello = server.call(&initialize("2025-11-25"));
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    server.send(&approval(2));
    let asked = pending(&stack).await;
    let pong = server.call(&request(3, "ping", &json!({})));
    assert_eq!(pong, json!({ "jsonrpc": "2.0", "id": 3, "result": {} }));

    let path = format!("/v1/requests/{}", asked["id"].as_str().expect("an id"));
    let (_, asked) = stack.call(Method::GET, &path, Value::Null).await;
    let link = asked["recipients"][0]["answer_url"].as_str().expect("a link");
    let url = link.replace("/a/", "/v1/answers/");
    let (status, _) = call(Method::POST, &url, &[], r#"{"option": "approve"}"#).await;
    assert_eq!(status, StatusCode::OK);
    let approved = server.receive();
    assert_eq!(approved["id"], 2);
    assert_eq!(approved["result"]["structuredContent"]["approved"], true, "{approved}");
    let digest = &approved["result"]["structuredContent"]["digest"];
    assert_eq!(*digest, asked["action"]["digest"]);
    let (rest, stderr) = server.end().await;
    assert_eq!((rest, stderr.as_str()), (vec![], ""));
}

#[tokio::test]
async fn message_without_a_handshake_gets_the_headers_it_needs() {
    let stack = stack();
    let mut server = Server::start(&agent(&stack).await);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let tools = server.call(&request(1, "tools/list", &json!({ "_meta": meta })));
    assert_eq!(tools["result"]["tools"][0]["name"], "ask_human", "{tools}");
    let params = json!({ "_meta": meta, "name": "list_requests", "arguments": {} });
    let list = server.call(&request(2, "tools/call", &params));
    let expected = json!({ "requests": [], "next_cursor": null });
    assert_eq!(list["result"]["structuredContent"], expected, "{list}");
    let unknown = server.call(&request(3, "unknown", &json!({ "_meta": meta })));
    assert_eq!(unknown["error"]["code"], -32601);
    server.end().await;
}

#[tokio::test]
async fn cancelled_call_is_dropped() {
    let stack = stack();
    let mut server = Server::start(&agent(&stack).await);
    server.call(&initialize("2025-06-18"));
    server.send(&approval(2));
    pending(&stack).await;
    let params = json!({ "requestId": 2, "reason": "The user pressed Escape." });
    let cancelled = "notifications/cancelled";
    server.send(&json!({ "jsonrpc": "2.0", "method": cancelled, "params": params }));
    let pong = server.call(&request(3, "ping", &json!({})));
    assert_eq!(pong["id"], 3);
    // Without a call in flight, it ends without a word.
    let (rest, stderr) = server.end().await;
    assert_eq!((rest, stderr.as_str()), (vec![], ""));
}

#[tokio::test]
async fn call_that_fails_says_why_and_what_to_do() {
    let stack = stack();
    let port = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let nowhere = format!("http://{}", port.local_addr().expect("it listens"));
    drop(port);
    let key = "ab_live_00000000000000000000000000_wrong";
    for (url, expected) in [
        (&stack.base_url, "(401 unauthorized)"),
        (&stack.base_url, "check the API key, or run `answerback login` again"),
        (&nowhere, "no response from http://127.0.0.1"),
        (&nowhere, "try again later"),
    ] {
        let mut server = Server::start(&Place::with(url, key));
        let failed = server.call(&initialize("2025-11-25"));
        let text = failed["error"]["message"].as_str().expect("an error");
        assert!(text.contains(expected) && !text.contains(key), "{text}");
        assert_eq!(failed["id"], 1);
        let malformed = server.call(&json!(null));
        assert_eq!(malformed["id"], Value::Null);
        server.stdin.write_all(b"{\n\n").expect("the program reads its input");
        assert_eq!(server.receive()["error"]["code"], -32700);
        server.end().await;
    }
}
