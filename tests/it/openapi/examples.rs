//! The service accepts every example of a request body in the document.

use axum::http::Method;
use serde_json::{Value, json};
use system_tests::{World, contract::Contract, token};
use url::form_urlencoded::Serializer;

use super::METHODS;

/// An operation that takes a body.
struct Operation<'a> {
    id: &'a str,
    method: Method,
    path: &'a str,
    media_type: &'a str,
    schema: &'a Value,
}

#[tokio::test]
async fn every_request_example_is_accepted() {
    let operations = operations();
    assert!(operations.len() > 20, "only {} were found", operations.len());
    for operation in operations {
        let examples = operation.schema["examples"].as_array().expect(operation.id);
        assert!(!examples.is_empty(), "{} has no example", operation.id);
        for (number, example) in examples.iter().enumerate() {
            let world = World::start().await;
            let mut body = example.clone();
            if operation.id == "interactInSlack" {
                // Only Slack makes them. See `slack`.
                continue;
            }
            let path = prepare(&world, &operation, number, &mut body).await;
            let answer = if operation.media_type == "application/json" {
                // One operation requires it.
                let key = [("idempotency-key", "example")];
                world.call_with(operation.method.clone(), &path, &key, body).await
            } else {
                assert_eq!(operation.media_type, "application/x-www-form-urlencoded");
                world.visit(operation.method.clone(), &path, &form(&body)).await
            };
            let id = operation.id;
            assert!(answer.status.is_success(), "{id} refused {example}: {}", answer.text());
        }
    }
}

fn operations() -> Vec<Operation<'static>> {
    let document = Contract::of_the_api().document();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for name in METHODS {
            let operation = &item[name];
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            for (media_type, content) in content {
                let target = content["schema"]["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
                found.push(Operation {
                    id: operation["operationId"].as_str().expect("an id"),
                    method: name.to_uppercase().parse().expect("a method"),
                    path,
                    media_type,
                    schema: target.and_then(|it| document.pointer(it)).expect("a named schema"),
                });
            }
        }
    }
    found
}

/// Creates a notifier of this kind, and returns its id.
async fn notifier(world: &World, kind: &str) -> String {
    let settings = match kind {
        "email" => json!({
            "transport": "smtp", "from": "ci@acme.example", "host": "smtp.acme.com",
            "port": 587, "username": "ci", "password": "pass-word",
        }),
        _ => json!({ "url": "https://hooks.example.com/", "format": "slack" }),
    };
    let body = json!({ "kind": kind, "settings": settings });
    let made = world.call(Method::POST, "/v1/notifiers", body).await.json();
    text(&made["id"]).to_owned()
}

/// Creates the items that the call refers to, and returns the path of the call. Example `number` of
/// an answer belongs to the question with that number.
async fn prepare(
    world: &World,
    operation: &Operation<'_>,
    number: usize,
    body: &mut Value,
) -> String {
    let path = operation.path;
    match operation.id {
        "createResponse" => {
            let mut question = question(0);
            if body["recipient"].is_null() {
                question["recipients"] = json!([]);
            }
            path.replace("{id}", text(&world.create(question).await["id"]))
        }
        "cancelRequest" => {
            let request = world.create(question(0)).await;
            path.replace("{id}", text(&request["id"]))
        }
        "submitAnswerPage" | "createAnswer" => {
            let request = world.create(question(number)).await;
            path.replace("{token}", &token(&request, 0))
        }
        "acknowledgeResult" => {
            let question = json!({
                "title": "Deploy?", "options": [{ "value": "yes", "label": "Yes" }],
                "read": { "mode": "lease" },
            });
            let request = world.create(question).await;
            world.answer(&request, 0, json!({ "option": "yes" })).await;
            let result = format!("/v1/requests/{}/result", text(&request["id"]));
            let result = world.call(Method::GET, &result, Value::Null).await.json();
            assert_eq!(text(&body["receipt"]).len(), text(&result["receipt"]).len());
            body["receipt"] = result["receipt"].clone();
            path.replace("{id}", text(&request["id"]))
        }
        "consumeApproval" => {
            let members = json!({
                "action": { "name": "deploy", "args": {} }, "consume": { "option": "yes" },
                "quorum": "any",
            });
            let request = world.create(crate::requests::asking(members)).await;
            world.answer(&request, 0, json!({ "option": "yes" })).await;
            body["digest"] = request["action"]["digest"].clone();
            path.replace("{id}", text(&request["id"]))
        }
        "updateNotifier" => path.replace("{id}", &notifier(world, "incoming_webhook").await),
        "testNotifier" => path.replace("{id}", &notifier(world, "email").await),
        "replaceWebhook"
        | "updateWebhook"
        | "triggerWebhook"
        | "recoverWebhook"
        | "rotateWebhookSecret"
        | "nextmvReplaceWebhook"
        | "nextmvUpdateWebhook"
        | "nextmvTriggerWebhook"
        | "nextmvRotateWebhookSecret" => {
            let profile = if operation.id.starts_with("nextmv") { "nextmv" } else { "standard" };
            let url = "https://hooks.example.com/";
            let webhook = json!({ "id": "runs", "url": url, "profile": profile });
            world.call(Method::POST, "/v1/webhooks", webhook).await;
            path.replace("{id}", "runs")
        }
        "rotateChannelSecret" | "pingSend" => {
            let channel = json!({ "name": "Deploys" });
            let channel = world.call(Method::POST, "/v1/channels", channel).await.json();
            path.replace("{id}", text(&channel["id"])).replace("{token}", text(&channel["token"]))
        }
        other => {
            assert!(!path.contains('{'), "prepare what `{other}` refers to");
            path.to_owned()
        }
    }
}

/// The example of a new request that matches answer example `number`.
fn question(number: usize) -> Value {
    Contract::of_the_api().document()["components"]["schemas"]["NewRequest"]["examples"][number]
        .clone()
}

fn form(body: &Value) -> String {
    let mut form = Serializer::new(String::new());
    for (name, value) in body.as_object().expect("an object") {
        form.append_pair(name, text(value));
    }
    form.finish()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}
