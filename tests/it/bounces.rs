//! Mails by Amazon SES that come back, or that a recipient reports as spam.

use std::time::Duration;

use answerback::{
    domain::{NotificationId, Request, RequestId, request::MessageKey},
    platform::Lane,
    store::keys,
};
use axum::http::{Method, StatusCode};
use local::system::queue_of;
use local_aws::{Depth, MailFault};
use serde_json::{Value, json};
use system_tests::World;

const BOUNCES: &str = "bounce@simulator.amazonses.com";
const COMPLAINS: &str = "complaint@simulator.amazonses.com";

/// A world whose account may send by SES.
async fn world() -> World {
    let world = World::start().await;
    crate::notifiers::allow_from(&world, "*@acme.example").await;
    world
}

/// Creates a notifier, and returns its id.
async fn notifier(world: &World, body: Value) -> String {
    let made = world.call(Method::POST, "/v1/notifiers", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()["id"].as_str().expect("an id").to_owned()
}

async fn ses(world: &World) -> String {
    let settings = json!({ "transport": "ses", "from": "ci@acme.example" });
    notifier(world, json!({ "kind": "email", "settings": settings })).await
}

async fn smtp(world: &World) -> String {
    let settings = json!({
        "transport": "smtp", "from": "ci@acme.example", "host": "smtp.acme.com", "port": 587,
        "username": "ci", "password": "pass-word",
    });
    notifier(world, json!({ "kind": "email", "settings": settings })).await
}

async fn chat(world: &World) -> String {
    let settings = json!({ "url": "https://chat.acme.com/s/path", "format": "discord" });
    notifier(world, json!({ "kind": "incoming_webhook", "settings": settings })).await
}

async fn ask(world: &World, recipient: &str, notify: &[&String]) -> Value {
    let request = json!({
        "title": "Deploy?", "recipients": [recipient], "notify": notify, "timeout_seconds": 8_640_000,
        "options": [{ "value": "yes", "label": "Yes" }, { "value": "no", "label": "No" }],
    });
    world.create(request).await
}

pub(crate) async fn notification(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}/notifications", request["id"].as_str().expect("an id"));
    let answer = world.call(Method::GET, &path, Value::Null).await.json();
    let [one] = &answer["data"].as_array().expect("a list")[..] else { panic!("{answer}") };
    one.clone()
}

/// Notifier, status, attempts and error of the only message.
async fn status(world: &World, request: &Value) -> Value {
    let one = notification(world, request).await;
    json!([one["notifier"], one["status"], one["attempts"], one["error"]])
}

/// Sends the hint that the rules in `template.yaml` make of a bounce.
pub(crate) async fn report(world: &World, notification: &Value, way: usize) {
    let hint = json!({ "kind": "bounce", "id": notification["id"], "way": way.to_string() });
    let sqs = world.system.sdk().sqs();
    let url = world.system.aws.queue().url(queue_of(Lane::Fast));
    let sent = sqs.send_message().queue_url(url).message_body(hint.to_string()).send().await;
    sent.expect("the queue takes it");
}

async fn n_mails(world: &World) -> usize {
    world.system.aws.mail().list(None, 100).await.expect("a list").len()
}

/// The data of the events of this type that the account's webhook got.
fn told(world: &World, event_type: &str) -> Vec<Value> {
    let of = |it: &answerback::egress::Post| serde_json::from_slice::<Value>(&it.body).ok();
    let posts = world.posts();
    let events = posts.iter().filter_map(of).filter(|it| it["type"] == event_type);
    events.map(|it| it["data"].clone()).collect()
}

async fn listen(world: &World) {
    let hook = json!({
        "url": "https://hooks.acme.com/all", "probe": "skip",
        "event_types": ["notification.failed", "request.unreachable"],
    });
    assert_eq!(world.call(Method::POST, "/v1/webhooks", hook).await.status, 201);
}

#[tokio::test]
async fn bounce_and_complaint_are_reported_once() {
    for recipient in [BOUNCES, COMPLAINS] {
        let world = world().await;
        listen(&world).await;
        let mail = ses(&world).await;
        let request = ask(&world, recipient, &[&mail]).await;
        world.follow_hints().await;
        assert_eq!(status(&world, &request).await, json!([mail, "bounced", 1, null]));
        let one = notification(&world, &request).await;
        // SES may report it again.
        report(&world, &one, 0).await;
        world.pass(Duration::from_mins(2)).await;
        world.system.sweep().await;
        world.follow_hints().await;
        assert_eq!(status(&world, &request).await, json!([mail, "bounced", 1, null]));
        let data = json!({
            "request_id": request["id"], "notification_id": one["id"], "recipient": recipient,
            "notifier_id": mail, "error": "bounced",
        });
        assert_eq!(told(&world, "notification.failed"), [data]);
        assert_eq!(told(&world, "request.unreachable").len(), 1);
        assert_eq!(n_mails(&world).await, 1);
    }
}

#[tokio::test]
async fn mail_is_delivered_once_the_mail_server_has_accepted_it() {
    let world = world().await;
    listen(&world).await;
    let mail = ses(&world).await;
    let request = ask(&world, "ada@example.com", &[&mail]).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([mail, "delivered", 1, null]));
    // A complaint comes later, and may be about the same mail.
    report(&world, &notification(&world, &request).await, 0).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([mail, "bounced", 1, null]));
    assert_eq!(told(&world, "notification.failed").len(), 1);
}

#[tokio::test]
async fn test_mail_that_came_back_has_failed() {
    let world = world().await;
    let mail = ses(&world).await;
    let path = format!("/v1/notifiers/{mail}/test");
    for _ in 0..2 {
        let tested = world.call(Method::POST, &path, json!({ "to": BOUNCES })).await.json();
        world.follow_hints().await;
        let path = format!("/v1/deliveries/{}", tested["id"].as_str().expect("an id"));
        let delivery = world.call(Method::GET, &path, Value::Null).await.json();
        let end = (&delivery["status"], &delivery["state_reason"]);
        assert_eq!(end, (&json!("failed"), &json!("bounced")));
    }
    assert_eq!(n_mails(&world).await, 1);
}

#[tokio::test]
async fn mail_that_arrived_is_not_sent_again() {
    let world = world().await;
    let mail = ses(&world).await;
    world.system.aws.mail().fail_calls(MailFault::LostResponse, 1);
    let request = ask(&world, "ada@example.com", &[&mail]).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([mail, "delivered", 1, null]));
    world.pass(Duration::from_hours(1)).await;
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(n_mails(&world).await, 1);
}

#[tokio::test]
async fn bounced_mail_goes_on_with_the_next_way() {
    let world = world().await;
    let (mail, chat) = (ses(&world).await, chat(&world).await);
    let request = ask(&world, BOUNCES, &[&mail, &chat]).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([chat, "sent", 2, null]));
    // The first way came back again. That says nothing about the second.
    report(&world, &notification(&world, &request).await, 0).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([chat, "sent", 2, null]));
    // A chat does not bounce.
    report(&world, &notification(&world, &request).await, 1).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([chat, "sent", 2, null]));
    assert_eq!(world.posts().len(), 1);
}

#[tokio::test]
async fn bounce_after_the_answer_sends_nothing_more() {
    let world = world().await;
    listen(&world).await;
    let (mail, chat) = (ses(&world).await, chat(&world).await);
    let request = ask(&world, "ada@example.com", &[&mail, &chat]).await;
    world.follow_hints().await;
    assert_eq!(world.answer(&request, 0, json!({ "option": "yes" })).await.status, 200);
    world.follow_hints().await;
    report(&world, &notification(&world, &request).await, 0).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([mail, "bounced", 1, null]));
    assert_eq!(world.posts().len(), 0);
}

#[tokio::test]
async fn bounced_address_gets_no_mail_for_30_days() {
    let world = world().await;
    let (ses, smtp, chat) = (ses(&world).await, smtp(&world).await, chat(&world).await);
    ask(&world, BOUNCES, &[&ses]).await;
    world.follow_hints().await;
    assert_eq!(n_mails(&world).await, 1);

    // Another spelling of the address, by SES and by a mail server.
    let spelled = "Bounce@SIMULATOR.amazonses.com";
    for mail in [&ses, &smtp] {
        let request = ask(&world, spelled, &[mail]).await;
        world.follow_hints().await;
        assert_eq!(status(&world, &request).await, json!([mail, "failed", 1, "bounced"]));
    }
    let request = ask(&world, spelled, &[&ses, &chat]).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([chat, "sent", 2, null]));
    assert_eq!((n_mails(&world).await, world.egress.script().mails().len()), (1, 0));
    // Other addresses get their mail.
    let request = ask(&world, "ada@example.com", &[&smtp]).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([smtp, "sent", 1, null]));

    world.system.clock.advance(Duration::from_hours(24 * 30));
    let request = ask(&world, spelled, &[&smtp]).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([smtp, "sent", 1, null]));
}

#[tokio::test]
async fn suppression_names_no_address() {
    let world = world().await;
    let mail = ses(&world).await;
    let request = ask(&world, BOUNCES, &[&mail]).await;
    world.follow_hints().await;
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    assert_eq!(world.call(Method::DELETE, &path, Value::Null).await.status, 204);
    world.follow_hints().await;
    let table = world.system.sdk().dynamodb();
    let found = table.scan().table_name(local::TABLE).send().await.expect("a scan");
    let items: Vec<String> = found.items().iter().map(|it| format!("{it:?}")).collect();
    assert_eq!(items.iter().filter(|it| it.contains("\"sup#acct_")).count(), 1);
    assert!(!items.iter().any(|it| it.contains("simulator.amazonses.com")));
}

#[tokio::test]
async fn bounce_before_its_message_or_after_an_erasure_is_harmless() {
    let world = world().await;
    let mail = ses(&world).await;
    let request = ask(&world, "ada@example.com", &[&mail]).await;
    let unsent = ask(&world, "bob@example.com", &[&mail]).await;
    world.follow_hints().await;
    let known = notification(&world, &request).await;

    // The message of an existing request that is not stored: the hint comes again, and then no more.
    let unsent: RequestId = unsent["id"].as_str().expect("an id").parse().expect("an id");
    let unknown = NotificationId(unsent.event(1).delivery(0));
    report(&world, &json!({ "id": unknown.to_string() }), 0).await;
    world.follow_hints().await;
    let hints = || world.system.aws.queue();
    assert_eq!(hints().len(queue_of(Lane::Fast)).await.expect("a depth").delayed, 1);
    world.pass(Duration::from_mins(2)).await;
    assert_eq!(hints().len(queue_of(Lane::Fast)).await.expect("a depth"), Depth::default());

    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    assert_eq!(world.call(Method::DELETE, &path, Value::Null).await.status, 204);
    world.follow_hints().await;
    report(&world, &known, 0).await;
    world.follow_hints().await;
    let again = ask(&world, "ada@example.com", &[&mail]).await;
    world.follow_hints().await;
    assert_eq!(
        status(&world, &again).await,
        json!([mail, "delivered", 1, null]),
        "its address is unknown"
    );
}

#[tokio::test]
async fn bounce_of_an_unstored_message_suppresses_its_address() {
    let world = world().await;
    let (mail, chat) = (ses(&world).await, chat(&world).await);
    let request = ask(&world, "ada@example.com", &[&mail, &chat]).await;
    // The worker that sent the mail dies before it stores the message.
    world.system.receive(Lane::Fast, Duration::ZERO).await.expect("a hint");
    let id: RequestId = request["id"].as_str().expect("an id").parse().expect("an id");
    let stored = world.system.store.get::<Request>(keys::request(id)).await.expect("a table");
    let lost = stored.expect("a request").notification(MessageKey { event: 1, row: 0 });
    report(&world, &json!({ "id": lost.to_string() }), 0).await;
    world.follow_hints().await;
    world.pass(Duration::from_mins(3)).await;
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([chat, "sent", 2, null]));
    assert_eq!(n_mails(&world).await, 0);
}

#[tokio::test]
async fn second_bounce_of_an_address_extends_its_suppression() {
    let world = world().await;
    let mail = ses(&world).await;
    // Both mails are sent before the first comes back.
    let first = ask(&world, "ada@example.com", &[&mail]).await;
    let second = ask(&world, "ada@example.com", &[&mail]).await;
    world.follow_hints().await;
    for request in [&first, &second] {
        report(&world, &notification(&world, request).await, 0).await;
        world.follow_hints().await;
        world.pass(Duration::from_hours(24 * 20)).await;
    }
    assert_eq!(n_mails(&world).await, 2);
    let third = ask(&world, "ada@example.com", &[&mail]).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &third).await, json!([mail, "failed", 1, "bounced"]));
    assert_eq!(n_mails(&world).await, 2);
}
