//! The APIs of other products, used like their clients do.

mod nextks;
mod nextmv;
mod ping;

use axum::http::Method;
use serde_json::{Value, json};
use system_tests::{Answer, World};

/// Presses a button like a recipient; the clients of these products do not do that.
async fn press(world: &World, request_id: &str, recipient: usize, option: &str) -> Answer {
    let path = format!("/v1/requests/{request_id}");
    let request = world.call(Method::GET, &path, Value::Null).await.json();
    world.answer(&request, recipient, json!({ "option": option })).await
}

/// Calls with these headers and no others.
async fn curl(
    world: &World,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut all = headers.to_vec();
    if !body.is_empty() {
        all.push(("content-type", "application/json"));
    }
    world.send(method, path, &all, body.to_owned().into()).await
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}
