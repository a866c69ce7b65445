//! Test messages by one notifier.

use super::*;

/// Tests a notifier, follows the hints, and returns the delivery and its last attempt.
async fn tried(world: &World, notifier: &str, body: Value) -> (Value, Value) {
    let path = format!("/v1/notifiers/{notifier}/test");
    let tested = world.call(Method::POST, &path, body).await;
    assert_eq!(tested.status, StatusCode::ACCEPTED, "{}", tested.text());
    world.follow_hints().await;
    let tested = tested.json();
    let id = tested["id"].as_str().expect("an id");
    let path = format!("/v1/deliveries/{id}");
    let delivery = world.call(Method::GET, &path, Value::Null).await.json();
    let path = format!("/v1/attempts?delivery_id={id}");
    let mut attempts = world.call(Method::GET, &path, Value::Null).await.json();
    (delivery, attempts["data"][0].take())
}

#[tokio::test]
async fn test_message_shows_whether_a_notifier_works() {
    let world = World::start().await;
    let (mail, chat) = (smtp(&world).await, chat(&world, "chat.acme.com").await);
    let (delivery, _) = tried(&world, &mail, json!({ "to": "ada@example.com" })).await;
    assert_eq!(
        (&delivery["status"], &delivery["target"]["kind"]),
        (&json!("delivered"), &json!("notifier"))
    );
    assert_eq!(delivery["event_type"], "notifier.test");
    let [sent] = &world.egress.script().mails()[..] else { panic!("one mail") };
    assert_eq!(sent.to, "ada@example.com");
    assert!(String::from_utf8_lossy(&sent.raw).contains("Test message from Answerback"));

    let own = json!({ "url": "https://hooks.acme.com/reach" });
    let own = notifier(&world, "webhook", own).await;
    let (delivery, _) = tried(&world, &own, Value::Null).await;
    assert_eq!(delivery["status"], "delivered");
    let body = bodies(&world).pop().expect("a body");
    assert_eq!(body["purpose"], "test");

    // It is made once, and changes nothing.
    for (status, ended) in [(404, "failed"), (500, "failed"), (429, "failed"), (204, "delivered")] {
        world.egress.script().answer(reply(status));
        let (delivery, attempt) = tried(&world, &chat, json!({})).await;
        assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!(ended), &json!(1)));
        assert_eq!(attempt["response"]["status"], status);
    }
    let path = format!("/v1/notifiers/{chat}");
    assert_eq!(world.call(Method::GET, &path, Value::Null).await.json()["enabled"], true);
    let shown = world.call(Method::PATCH, &path, json!({ "enabled": false })).await.json();
    assert_eq!(
        (&shown["enabled"], &shown["disabled"]["reason"]),
        (&json!(false), &json!("by_hand"))
    );
    let (delivery, _) = tried(&world, &chat, json!({})).await;
    assert_eq!(delivery["status"], "delivered");
    let n_posts = world.posts().len();
    pass_minutes(&world, 60).await;
    assert_eq!(world.posts().len(), n_posts);
}

#[tokio::test]
async fn test_message_is_sent_once_a_key() {
    let world = World::start().await;
    let chat = chat(&world, "chat.acme.com").await;
    let path = format!("/v1/notifiers/{chat}/test");
    let headers = [("idempotency-key", "once")];
    for is_replayed in [false, true] {
        let tested = world.call_with(Method::POST, &path, &headers, json!({})).await;
        assert_eq!(tested.status, StatusCode::ACCEPTED, "{}", tested.text());
        assert_eq!(tested.headers.contains_key("idempotency-replayed"), is_replayed);
        world.follow_hints().await;
    }
    assert_eq!(world.posts().len(), 1);
}

#[tokio::test]
async fn test_message_needs_an_address_that_the_key_may_ask() {
    let world = World::start().await;
    let (mail, chat) = (smtp(&world).await, chat(&world, "chat.acme.com").await);
    for (notifier, body, detail) in [
        (&mail, json!({}), "is required"),
        (&mail, json!({ "to": "ada" }), "must be an e-mail address"),
        (
            &chat,
            json!({ "to": "ada@example.com" }),
            "must be left out: only e-mail and Slack find people by an address",
        ),
        (&chat, json!({ "from": "x" }), "is not a known field"),
    ] {
        let path = format!("/v1/notifiers/{notifier}/test");
        let refused = world.call(Method::POST, &path, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
        assert!(refused.text().contains(detail), "{}", refused.text());
    }
    assert_eq!(world.posts().len(), 0);
}
