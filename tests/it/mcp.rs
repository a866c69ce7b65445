//! The Model Context Protocol: AI agents ask, and never get what would let them answer.

use std::time::Duration;

use answerback::domain::Scope;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World};

const LATEST: &str = "2026-07-28";
const META: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// An agent, with a key that only asks and reads.
struct Agent<'a> {
    world: &'a World,
    key: String,
    /// It declares the extension for tasks.
    has_tasks: bool,
}

impl<'a> Agent<'a> {
    async fn of(world: &'a World) -> Self {
        let key = world.key_with(&[Scope::RequestsAsk, Scope::RequestsRead]).await;
        Self { world, key, has_tasks: false }
    }

    /// Sends a message with these headers, besides its key.
    async fn post(&self, headers: &[(&str, &str)], body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let headers = [&[("authorization", &*bearer)], headers].concat();
        self.world.as_time_passes(self.world.call_with(Method::POST, "/mcp", &headers, body)).await
    }

    /// Calls a method of the latest version, and returns the response.
    async fn send(&self, method: &str, mut params: Value) -> Value {
        let extensions = if self.has_tasks {
            json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } })
        } else {
            json!({})
        };
        params["_meta"] = json!({ META: LATEST, CAPABILITIES: extensions });
        let name = params.get("name").or(params.get("taskId")).and_then(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        let mut headers = vec![("mcp-protocol-version", LATEST), ("mcp-method", method)];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let answer = self.post(&headers, body).await.json();
        assert_eq!(answer["id"], 7);
        answer
    }

    /// The result of a tool.
    async fn tool(&self, name: &str, arguments: Value) -> Value {
        let answer = self.send("tools/call", json!({ "name": name, "arguments": arguments })).await;
        answer["result"].clone()
    }

    /// The result of a tool that is called with arguments in this text.
    async fn raw_tool(&self, name: &str, arguments: &str) -> Value {
        let meta = json!({
            META: LATEST,
            CAPABILITIES: { "extensions": { "io.modelcontextprotocol/tasks": {} } },
        });
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments},"_meta":{meta}}}}}"#
        );
        let bearer = format!("Bearer {}", self.key);
        let headers = [
            ("authorization", &*bearer),
            ("content-type", "application/json"),
            ("mcp-protocol-version", LATEST),
            ("mcp-method", "tools/call"),
            ("mcp-name", name),
        ];
        let sent = self.world.send(Method::POST, "/mcp", &headers, body.into());
        self.world.as_time_passes(sent).await.json()["result"].clone()
    }

    /// The object that a tool that succeeded returned.
    async fn done(&self, name: &str, arguments: Value) -> Value {
        let result = self.tool(name, arguments).await;
        assert_eq!(result["isError"], false, "{result}");
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), result["structuredContent"]);
        result["structuredContent"].clone()
    }

    /// The text of a tool that was refused.
    async fn refused(&self, name: &str, arguments: Value) -> String {
        let result = self.tool(name, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().expect("a text").to_owned()
    }
}

/// A world in which a notifier brings questions to people.
async fn world() -> World {
    let world = World::start().await;
    let settings = json!({ "url": "https://people.acme.com/reach" });
    let notifier = json!({ "kind": "webhook", "default": true, "settings": settings });
    let made = world.call(Method::POST, "/v1/notifiers", notifier).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    world
}

/// The request as its account sees it, with its links.
async fn as_owner(world: &World, id: &Value) -> Value {
    let path = format!("/v1/requests/{}", id.as_str().expect("an id"));
    world.call(Method::GET, &path, Value::Null).await.json()
}

fn approval() -> Value {
    json!({
        "action": { "name": "deploy", "args": { "version": "2.4.1" } },
        "reason": "The tests have passed.", "to": ["ada@example.com"],
    })
}

#[tokio::test]
async fn handshake_of_earlier_versions_is_answered() {
    let world = world().await;
    let agent = Agent::of(&world).await;
    for (wanted, agreed) in
        [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2024-11-05", "2025-11-25")]
    {
        let params = json!({
            "protocolVersion": wanted, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let body = json!({ "jsonrpc": "2.0", "id": "a", "method": "initialize", "params": params });
        let answer = agent.post(&[], body).await;
        assert_eq!(answer.status, StatusCode::OK);
        let result = answer.json()["result"].clone();
        assert_eq!(result["protocolVersion"], agreed);
        assert_eq!(result["capabilities"], json!({ "tools": {} }));
    }
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let accepted = agent.post(&[("mcp-protocol-version", "2025-11-25")], initialized).await;
    assert_eq!((accepted.status, &*accepted.text()), (StatusCode::ACCEPTED, ""));
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let listed = agent.post(&[("mcp-protocol-version", "2025-11-25")], list).await.json();
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(5));
    assert_eq!(listed["result"].get("resultType"), None);
    let unknown = json!({ "jsonrpc": "2.0", "id": 1, "method": "prompts/list" });
    let unknown = agent.post(&[], unknown).await;
    assert_eq!(
        (unknown.status, &unknown.json()["error"]["code"]),
        (StatusCode::OK, &json!(-32601))
    );
}

#[tokio::test]
async fn latest_version_needs_no_handshake_and_checks_its_headers() {
    let world = world().await;
    let agent = Agent::of(&world).await;
    let discovered = agent.send("server/discover", json!({})).await["result"].clone();
    assert_eq!(discovered["supportedVersions"], json!([LATEST, "2025-11-25", "2025-06-18"]));
    assert_eq!(discovered["resultType"], "complete");
    let listed = agent.send("tools/list", json!({})).await["result"].clone();
    assert_eq!(listed, agent.send("tools/list", json!({})).await["result"]);
    assert_eq!(listed["cacheScope"], "public");

    let body = |version: &str| {
        let meta = json!({ META: version, CAPABILITIES: {} });
        let params = json!({ "name": "list_requests", "_meta": meta });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
    };
    let version = ("mcp-protocol-version", LATEST);
    let method = ("mcp-method", "tools/call");
    let name = ("mcp-name", "list_requests");
    for (headers, version, status, code) in [
        (vec![method, name], LATEST, 400, -32020),
        (vec![version, name], LATEST, 400, -32020),
        (vec![version, method], LATEST, 400, -32020),
        (vec![version, method, ("mcp-name", "ask_human")], LATEST, 400, -32020),
        (vec![version, method, name], "2025-11-25", 400, -32020),
        (vec![("mcp-protocol-version", "2027-01-01")], "2027-01-01", 400, -32022),
        (vec![version, method, name, ("origin", "https://evil.example")], LATEST, 403, -32600),
    ] {
        let answer = agent.post(&headers, body(version)).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
        assert_eq!(answer.json()["error"]["code"], code, "{headers:?}");
    }
    for meta in [json!(null), json!({ CAPABILITIES: {} }), json!({ META: LATEST })] {
        let mut incomplete = body(LATEST);
        incomplete["params"]["_meta"] = meta;
        let answer = agent.post(&[version, method, name], incomplete).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.json()["error"]["code"], -32602, "{}", answer.text());
    }
    let headers = [version, ("mcp-method", "prompts/list")];
    let mut unknown = body(LATEST);
    unknown["method"] = json!("prompts/list");
    let answer = agent.post(&headers, unknown).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!(-32601))
    );
}

#[tokio::test]
async fn malformed_messages_are_refused() {
    let world = world().await;
    let agent = Agent::of(&world).await;
    let with = |name: &str, value: Value| {
        let mut body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        body[name] = value;
        body
    };
    for body in [json!([]), json!({}), with("id", Value::Null), with("params", json!([]))] {
        let answer = agent.post(&[], body).await;
        let code = answer.json()["error"]["code"].clone();
        assert_eq!((answer.status, code), (StatusCode::BAD_REQUEST, json!(-32600)));
    }
    let no_tool = agent.send("tools/call", json!({ "name": "answer", "arguments": {} })).await;
    assert_eq!(no_tool["error"]["code"], -32602);
    let anonymous =
        world.call_with(Method::POST, "/mcp", &[("authorization", "Bearer x")], json!({})).await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn question_is_asked_answered_and_checked() {
    let world = world().await;
    let agent = Agent::of(&world).await;
    let question = json!({
        "question": "Which region?", "details": "For the *new* cluster.", "to": "ada@example.com",
        "options": ["eu", { "value": "us", "label": "United States" }], "reference": "r-1",
    });
    let asked = agent.done("ask_human", question.clone()).await;
    assert_eq!((&asked["status"], &asked["retry_after_seconds"]), (&json!("pending"), &json!(5)));
    assert_eq!(asked.get("approved"), None);
    let id = asked["request_id"].as_str().expect("an id").to_owned();
    assert!(asked["next_action"].as_str().expect("a text").contains(&id));
    // It was held for 20 seconds, and the same question finds the same request.
    let again = agent.done("ask_human", question.clone()).await;
    assert_eq!(again["request_id"], *id);

    let request = as_owner(&world, &json!(id)).await;
    assert_eq!(request["title"], "Which region?");
    assert_eq!(world.answer(&request, 0, json!({ "option": "us" })).await.status, StatusCode::OK);
    let checked = agent.done("check_request", json!({ "request_id": id })).await;
    let end =
        (&checked["status"], &checked["outcome"], &checked["decision"], &checked["decided_by"]);
    assert_eq!(end, (&json!("finished"), &json!("completed"), &json!("us"), &json!("recipients")));
    assert_eq!(checked["answers"][0]["recipient"], "ada@example.com");
    assert_eq!(checked["answers"][0]["option"], "us");
    assert_eq!(checked["retry_after_seconds"], Value::Null);
    // The same question after an answer is a new one.
    let next = agent.done("ask_human", question).await;
    assert_ne!(next["request_id"], *id);
    let listed = agent.done("list_requests", json!({ "reference": "r-1" })).await;
    let ids: Vec<&Value> =
        listed["requests"].as_array().expect("a list").iter().map(|it| &it["request_id"]).collect();
    assert_eq!(ids, [&next["request_id"], &json!(id)]);
    let cancel = json!({ "request_id": next["request_id"], "reason": "The build failed." });
    let cancelled = agent.done("cancel_request", cancel).await;
    assert_eq!(cancelled["status"], "cancelled");
    let path = format!("/v1/requests/{}", next["request_id"].as_str().expect("an id"));
    let read = agent.world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(read["cancel_reason"], "The build failed.");
    let listed = agent.done("list_requests", json!({ "status": "cancelled" })).await;
    assert_eq!(listed["requests"][0]["request_id"], next["request_id"]);
}

#[tokio::test]
async fn answer_in_time_comes_with_the_call_that_asks() {
    let world = world().await;
    let agent = Agent::of(&world).await;
    let asking = agent.done("ask_human", json!({ "question": "Why?", "to": ["ada@example.com"] }));
    let answering = async {
        let request = loop {
            tokio::task::yield_now().await;
            let listed = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
            if let Some(request) = listed["data"].get(0) {
                break request.clone();
            }
        };
        let answer = json!({ "fields": { "answer": "Because." } });
        assert_eq!(world.answer(&request, 0, answer).await.status, StatusCode::OK);
    };
    let (asked, ()) = futures::join!(asking, answering);
    assert_eq!(asked["status"], "finished", "{asked}");
    assert_eq!(asked["answers"][0]["fields"]["answer"], "Because.");
}

#[tokio::test]
async fn silence_is_not_consent() {
    let world = world().await;
    let agent = Agent::of(&world).await;
    let mut asked = approval();
    asked["deadline_seconds"] = json!(60);
    let pending = agent.done("request_approval", asked).await;
    assert_eq!((&pending["status"], &pending["approved"]), (&json!("pending"), &json!(false)));
    let request = as_owner(&world, &pending["request_id"]).await;
    assert_eq!(pending["digest"], request["action"]["digest"]);
    assert_eq!(request["title"], "Approve deploy?");
    world.pass(Duration::from_mins(2)).await;
    let check = json!({ "request_id": pending["request_id"] });
    let late = agent.done("check_request", check).await;
    assert_eq!((&late["outcome"], &late["approved"]), (&json!("timed_out"), &json!(false)));
    assert_eq!(late["next_action"], "Not approved. Do not do the action.");

    for (option, approved) in [("reject", false), ("approve", true)] {
        let asked = agent.done("request_approval", approval()).await;
        let request = as_owner(&world, &asked["request_id"]).await;
        assert_eq!(world.answer(&request, 0, json!({ "option": option })).await.status, 200);
        let check = json!({ "request_id": asked["request_id"], "wait_seconds": 20 });
        let checked = agent.done("check_request", check).await;
        assert_eq!(
            (&checked["decision"], &checked["approved"]),
            (&json!(option), &json!(approved))
        );
    }
}

#[tokio::test]
async fn task_is_there_at_once_and_ends_with_the_result() {
    let world = world().await;
    let agent = Agent { has_tasks: true, ..Agent::of(&world).await };
    let task = agent.tool("request_approval", approval()).await;
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")));
    let id = task["taskId"].clone();
    let get = async |agent: &Agent<'_>| agent.send("tasks/get", json!({ "taskId": id })).await;
    assert_eq!(get(&agent).await["result"]["status"], "working");
    let updated = agent.send("tasks/update", json!({ "taskId": id, "inputResponses": {} })).await;
    assert_eq!(updated["result"]["resultType"], "complete");
    let request = as_owner(&world, &id).await;
    // A no is a result, too.
    assert_eq!(world.answer(&request, 0, json!({ "option": "reject" })).await.status, 200);
    let ended = get(&agent).await["result"].clone();
    assert_eq!((&ended["status"], &ended["resultType"]), (&json!("completed"), &json!("complete")));
    assert_eq!(ended["result"]["structuredContent"]["approved"], false);

    let task = agent.tool("ask_human", json!({ "question": "Go?", "options": ["yes"] })).await;
    let id = json!({ "taskId": task["taskId"] });
    for _ in 0..2 {
        assert_eq!(
            agent.send("tasks/cancel", id.clone()).await["result"]["resultType"],
            "complete"
        );
    }
    assert_eq!(agent.send("tasks/get", id.clone()).await["result"]["status"], "cancelled");

    let unable = Agent { has_tasks: false, ..Agent::of(&world).await };
    assert_eq!(unable.send("tasks/get", id.clone()).await["error"]["code"], -32021);
    let other = Agent { has_tasks: true, ..Agent::of(&world).await };
    assert_eq!(other.send("tasks/get", id).await["error"]["code"], -32602, "another family's");
}

#[tokio::test]
async fn bad_arguments_are_told_to_the_model() {
    let world = world().await;
    let agent = Agent::of(&world).await;
    for (tool, arguments, said) in [
        ("ask_human", json!({}), "`question` is required"),
        (
            "ask_human",
            json!({ "question": "Go?", "to": ["ada"] }),
            "`to/0` must be an e-mail address",
        ),
        (
            "ask_human",
            json!({ "question": "Go?", "callback_url": "x" }),
            "`callback_url` is not a known",
        ),
        (
            "ask_human",
            json!({ "question": "Go?", "deadline_seconds": 1 }),
            "`deadline_seconds` must",
        ),
        ("request_approval", json!({ "reason": "x" }), "`action` is required"),
        (
            "request_approval",
            json!({ "action": { "name": 1, "args": {} }, "reason": "x" }),
            "`action/name`",
        ),
        ("check_request", json!({ "request_id": "req_x" }), "not found"),
        (
            "check_request",
            json!({ "request_id": "req_x", "wait_seconds": 21 }),
            "`wait_seconds` must",
        ),
        ("list_requests", json!({ "cursor": "req_x" }), "`cursor` must be the `next_cursor`"),
    ] {
        let text = agent.refused(tool, arguments).await;
        assert!(text.contains(said), "{tool}: {text}");
    }
    assert_eq!(agent.done("list_requests", json!({})).await["requests"], json!([]));
    // Rules that are checked after the translation name the arguments, too.
    let scopes = json!(["requests:ask", "requests:read"]);
    let body = json!({ "scopes": scopes, "recipients_allowed": ["*@example.com"] });
    let key = world.call(Method::POST, "/v1/keys", body).await.json();
    let confined = Agent { key: key["key"].as_str().expect("a key").to_owned(), ..agent };
    let text =
        confined.refused("ask_human", json!({ "question": "Go?", "to": "z@other.example" })).await;
    assert!(text.contains("`to/0` is not a recipient"), "{text}");
    let lonely = World::start().await;
    let agent = Agent::of(&lonely).await;
    let text =
        agent.refused("ask_human", json!({ "question": "Go?", "to": "ada@example.com" })).await;
    assert!(text.contains("add a notifier"), "{text}");
    let text = agent.refused("ask_human", json!({ "question": "Go?" })).await;
    assert!(text.contains("`to` must name a person"), "{text}");
}

#[tokio::test]
async fn list_of_requests_has_pages() {
    let world = world().await;
    let agent = Agent { has_tasks: true, ..Agent::of(&world).await };
    for number in 0..23 {
        agent.tool("ask_human", json!({ "question": format!("Question {number}?") })).await;
        world.system.clock.advance(Duration::from_secs(1));
    }
    let first = agent.done("list_requests", json!({})).await;
    let second = agent.done("list_requests", json!({ "cursor": first["next_cursor"] })).await;
    let titles = |page: &Value| -> Vec<String> {
        let entries = page["requests"].as_array().expect("a list").iter();
        entries.map(|it| it["title"].as_str().expect("a title").to_owned()).collect()
    };
    let all: Vec<String> = (0..23).rev().map(|it| format!("Question {it}?")).collect();
    assert_eq!([titles(&first), titles(&second)].concat(), all);
    assert_eq!(second["next_cursor"], Value::Null);
}

#[tokio::test]
async fn no_result_has_a_link_or_a_code() {
    let world = world().await;
    // Even a key that may see links gets none here.
    let mut agent = Agent::of(&world).await;
    agent.key = world.key_with(&[Scope::Admin]).await;
    let mut texts = vec![agent.done("request_approval", approval()).await];
    let id = texts[0]["request_id"].clone();
    texts.push(agent.done("check_request", json!({ "request_id": id })).await);
    texts.push(agent.done("list_requests", json!({})).await);
    texts.push(agent.done("cancel_request", json!({ "request_id": id })).await);
    agent.has_tasks = true;
    texts.push(agent.tool("ask_human", json!({ "question": "Go?" })).await);
    let request = as_owner(&world, &id).await;
    let link = request["recipients"][0]["answer_url"].as_str().expect("a link");
    let token = link.rsplit('/').next().expect("a token");
    for text in texts {
        let text = text.to_string();
        assert!(
            !text.contains("/a/") && !text.contains(token) && !text.contains("answer_url"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn approval_that_cannot_be_used_any_more_is_none() {
    let world = world().await;
    let agent = Agent { key: world.key_with(&[Scope::Admin]).await, ..Agent::of(&world).await };
    let ask = async || {
        world
            .create(json!({
                "title": "Deploy?", "recipients": ["ada@example.com"],
                "action": { "name": "deploy", "args": {} },
                "options": [{ "value": "yes", "label": "Yes" }, { "value": "approve", "label": "No" }],
                "consume": { "option": "yes", "within_seconds": 600 },
            }))
            .await
    };
    let approved = async |request: &Value| {
        let checked = agent.done("check_request", json!({ "request_id": request["id"] })).await;
        (checked["approved"].clone(), checked["next_action"].as_str().expect("a text").to_owned())
    };
    let other = ask().await;
    assert_eq!(world.answer(&other, 0, json!({ "option": "approve" })).await.status, 200);
    assert_eq!(approved(&other).await.0, false);

    let withdrawn = ask().await;
    assert_eq!(world.answer(&withdrawn, 0, json!({ "option": "yes" })).await.status, 200);
    let (is_approved, next) = approved(&withdrawn).await;
    assert!(is_approved == true && next.contains("Consume"), "{next}");
    agent.done("cancel_request", json!({ "request_id": withdrawn["id"] })).await;
    let (is_approved, next) = approved(&withdrawn).await;
    assert!(is_approved == false && next.contains("withdrawn"), "{next}");

    let lapsed = ask().await;
    assert_eq!(world.answer(&lapsed, 0, json!({ "option": "yes" })).await.status, 200);
    world.system.clock.advance(Duration::from_secs(601));
    assert_eq!(approved(&lapsed).await.0, false);
}

#[tokio::test]
async fn actions_with_different_numbers_are_different() {
    let world = world().await;
    let agent = Agent { has_tasks: true, ..Agent::of(&world).await };
    let ask = async |cents: &str| {
        let text = approval().to_string().replace("\"2.4.1\"", cents);
        let arguments =
            serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).expect("JSON");
        agent.raw_tool("request_approval", arguments.get()).await
    };
    let one = ask("9007199254740992.0").await;
    assert_eq!(one["resultType"], "task", "{one}");
    assert_eq!(ask("9007199254740992.0").await["taskId"], one["taskId"]);
    let other = ask("9007199254740993.0").await;
    assert_eq!(other["isError"], true, "{other}");
}

#[tokio::test]
async fn old_answer_never_answers_a_new_question() {
    let world = world().await;
    let agent = Agent { has_tasks: true, ..Agent::of(&world).await };
    for _ in 0..100 {
        let task = agent.tool("request_approval", approval()).await;
        agent.send("tasks/cancel", json!({ "taskId": task["taskId"] })).await;
    }
    let text = agent.refused("request_approval", approval()).await;
    assert!(text.contains("limit of 100 equal questions"), "{text}");
}
