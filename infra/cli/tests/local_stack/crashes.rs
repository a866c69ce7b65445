//! Kills, and the starts that finish the interrupted work.

use answerback::signing::verify_standard;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::{Receiver, Stack, until};

#[tokio::test]
async fn answer_survives_two_kills_with_one_delivery_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(503).await;

    // Hints are lost and no sweep runs, so the process dies before any attempt.
    let stack = Stack::start(folder.path(), &["--no-queue", "--sweep-interval", "1h"]);
    let request = stack
        .create(json!({
            "title": "Deploy?",
            "options": [{ "value": "approve", "label": "Approve" }],
            "callback_url": receiver.url,
        }))
        .await;
    let id = request["id"].as_str().expect("an id").to_owned();
    let answer = json!({ "recipient": null, "option": "approve" });
    let (status, response) =
        stack.call(Method::POST, &format!("/v1/requests/{id}/responses"), answer).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    stack.kill();
    assert!(receiver.arrived().is_empty());

    // A minute after the event, the second process attempts the delivery, records the refusal, and dies
    // before the retry.
    let stack = Stack::start(folder.path(), &["--sweep-interval", "1s"]);
    let path = format!("/v1/deliveries?request_id={id}");
    let delivery = until("the refusal is recorded", async || {
        let (_, list) = stack.call(Method::GET, &path, Value::Null).await;
        let delivery = list["data"][0].clone();
        (delivery["failures"] == 1).then_some(delivery)
    })
    .await;
    stack.kill();
    assert_eq!(receiver.arrived().len(), 1);
    receiver.set_status(204);

    // It may have died before it sent the hint for the retry. Then a sweep finds the delivery.
    let stack = Stack::start(folder.path(), &["--sweep-interval", "1s"]);
    until("the callback is delivered", async || {
        let (_, request) =
            stack.call(Method::GET, &format!("/v1/requests/{id}"), Value::Null).await;
        (request["callback"]["status"] == "delivered").then_some(())
    })
    .await;
    let (_, secret) = stack.call(Method::GET, "/v1/secret?reveal=true", Value::Null).await;
    let [first, second] = receiver.arrived().try_into().ok().expect("one attempt and one retry");
    for (arrived, attempt) in [(&first, "1"), (&second, "2")] {
        assert_eq!(arrived.header("webhook-id"), delivery["id"]);
        assert_eq!(arrived.header("answerback-attempt"), attempt);
        assert!(verify_standard(
            secret["secret"].as_str().expect("revealed"),
            arrived.header("webhook-id"),
            arrived.header("webhook-timestamp"),
            &arrived.body,
            arrived.header("webhook-signature"),
        ));
    }
    assert_eq!(first.body, second.body);
}
