//! Messages: notifiers bring the links of requests to recipients.

mod limits;
mod testing;

use std::time::Duration;

use answerback::{
    domain::{Account, Owner, notifier::SmtpTls},
    egress::{Failure, FailureKind, MailFailure, SmtpReply, SmtpStage},
    store::keys,
};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{MESSAGE_BASE_URL, World, reply};

/// Creates a notifier, and returns its id.
async fn notifier(world: &World, kind: &str, settings: Value) -> String {
    let body = json!({ "kind": kind, "settings": settings });
    let made = world.call(Method::POST, "/v1/notifiers", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()["id"].as_str().expect("an id").to_owned()
}

async fn smtp(world: &World) -> String {
    let settings = json!({
        "transport": "smtp", "from": "Acme CI <ci@acme.example>", "host": "smtp.acme.com",
        "port": 587, "username": "ci", "password": "pass-word",
    });
    notifier(world, "email", settings).await
}

async fn chat(world: &World, host: &str) -> String {
    let settings = json!({ "url": format!("https://{host}/s/path"), "format": "discord" });
    notifier(world, "incoming_webhook", settings).await
}

fn question(notify: &[&String]) -> Value {
    json!({
        "title": "Deploy?",
        "recipients": ["ada@example.com"],
        "options": [
            { "value": "approve", "label": "Approve" },
            { "value": "reject", "label": "Reject" },
        ],
        "notify": notify,
    })
}

async fn notifications(world: &World, request: &Value) -> Vec<Value> {
    let path = format!("/v1/requests/{}/notifications", request["id"].as_str().expect("an id"));
    let answer = world.call(Method::GET, &path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["data"].as_array().expect("a list").clone()
}

/// The members of the only notification that say how it is.
async fn status(world: &World, request: &Value) -> Value {
    let [notification] = &notifications(world, request).await[..] else {
        panic!("expected one notification")
    };
    let of = |name: &str| notification[name].clone();
    json!([of("notifier"), of("status"), of("attempts"), of("error")])
}

/// Minutes pass, with a sweep in each.
async fn pass_minutes(world: &World, count: u32) {
    for _ in 0..count {
        world.pass(Duration::from_mins(1)).await;
        world.system.sweep().await;
        world.follow_hints().await;
    }
}

/// The path of the answer link of the only recipient.
fn link_path(request: &Value) -> String {
    let url = request["recipients"][0]["answer_url"].as_str().expect("a link");
    url[url.find("/a/").expect("a path")..].to_owned()
}

fn refused(code: u16, stage: SmtpStage) -> Result<SmtpReply, MailFailure> {
    Err(MailFailure::refused(SmtpReply { code, enhanced: None, stage }))
}

fn bodies(world: &World) -> Vec<Value> {
    let of = |it: &answerback::egress::Post| serde_json::from_slice(&it.body).expect("JSON");
    world.posts().iter().map(of).collect()
}

#[tokio::test]
async fn mail_brings_the_link_that_answers() {
    let world = World::start().await;
    let mail = smtp(&world).await;
    let request = world.create(question(&[&mail])).await;
    assert_eq!(request["notify"], json!([mail]));
    assert_eq!(request["assurance"], "confirm", "mail gateways open links");
    world.follow_hints().await;

    let mails = world.egress.script().mails();
    let [sent] = &mails[..] else { panic!("expected one mail, got {}", mails.len()) };
    let server = (sent.host.as_str(), sent.port, sent.tls);
    assert_eq!(server, ("smtp.acme.com", 587, SmtpTls::StartTls));
    assert_eq!((sent.from.as_str(), sent.to.as_str()), ("ci@acme.example", "ada@example.com"));
    let raw = String::from_utf8(sent.raw.clone()).expect("ASCII").replace("=\r\n", "");
    // The address is the deployment's, and not the one that the caller used.
    let link = format!("{MESSAGE_BASE_URL}{}", link_path(&request));
    assert!(raw.contains(&link), "{raw}");
    assert_eq!(status(&world, &request).await, json!([mail, "sent", 1, null]));
    assert_eq!(world.answer(&request, 0, json!({ "option": "approve" })).await.status, 200);
}

#[tokio::test]
async fn default_notifiers_tell_recipients_of_requests_that_name_none() {
    let world = World::start().await;
    let mail = smtp(&world).await;
    let path = format!("/v1/notifiers/{mail}");
    let changed = world.call(Method::PATCH, &path, json!({ "default": true })).await;
    assert_eq!(changed.status, StatusCode::OK);
    let mut body = question(&[]);
    body["notify"] = json!("default");
    let told = world.create(body.clone()).await;
    body["notify"] = json!("none");
    let untold = world.create(body).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &told).await[1], "sent");
    assert_eq!(notifications(&world, &untold).await, Vec::<Value>::new());
    assert_eq!(world.egress.script().mails().len(), 1);
}

#[tokio::test]
async fn refused_notifier_is_disabled_and_the_next_way_is_used() {
    let world = World::start().await;
    let (mail, fallback) = (smtp(&world).await, chat(&world, "chat.acme.com").await);
    let hook = json!({
        "url": "https://hooks.acme.com/all", "event_types": ["notifier.*", "notification.*"],
        "probe": "skip",
    });
    assert_eq!(world.call(Method::POST, "/v1/webhooks", hook).await.status, 201);
    world.egress.script().answer_mail(refused(535, SmtpStage::Login));
    let request = world.create(question(&[&mail, &fallback])).await;
    world.follow_hints().await;

    assert_eq!(status(&world, &request).await, json!([fallback, "sent", 2, null]));
    let shown = world.call(Method::GET, &format!("/v1/notifiers/{mail}"), Value::Null).await.json();
    assert_eq!(
        (&shown["enabled"], &shown["disabled"]["reason"]),
        (&json!(false), &json!("refused"))
    );
    let told: Vec<Value> =
        bodies(&world).into_iter().filter(|it| it["type"] == "notifier.disabled").collect();
    let [event] = &told[..] else { panic!("expected one event, got {told:?}") };
    let data = json!({ "notifier_id": mail, "kind": "email", "reason": "refused" });
    assert_eq!(event["data"], data);
    // The next request leaves the disabled one out.
    world.pass(Duration::from_secs(6)).await;
    let next = world.create(question(&[&mail, &fallback])).await;
    assert_eq!(next["notify"], json!([fallback]));
}

#[tokio::test]
async fn server_that_refuses_one_mail_keeps_its_notifier() {
    let world = World::start().await;
    let mail = smtp(&world).await;
    let is_enabled = async || {
        let path = format!("/v1/notifiers/{mail}");
        world.call(Method::GET, &path, Value::Null).await.json()["enabled"].clone()
    };
    let cases = [
        (552, None, "failed", true),
        (550, Some("5.3.4"), "failed", true),
        (550, Some("5.4.5"), "queued", true),
        (550, Some("5.7.1"), "failed", false),
    ];
    for (code, enhanced, expected, stays) in cases {
        let reply =
            SmtpReply { code, enhanced: enhanced.map(str::to_owned), stage: SmtpStage::Sender };
        world.egress.script().answer_mail(Err(MailFailure::refused(reply)));
        let request = world.create(question(&[&mail])).await;
        world.follow_hints().await;
        assert_eq!(status(&world, &request).await[1], expected, "{code} {enhanced:?}");
        assert_eq!(is_enabled().await, stays, "{code} {enhanced:?}");
    }
}

#[tokio::test]
async fn sender_that_the_operator_takes_back_sends_nothing_more() {
    let world = World::start().await;
    crate::notifiers::allow_from(&world, "ci@acme.example").await;
    let settings = json!({ "transport": "ses", "from": "ci@acme.example" });
    let ses = notifier(&world, "email", settings).await;
    let key = keys::account(world.account.id);
    let account: Account = world.system.store.get(key).await.expect("read").expect("it is there");
    let without = account.remove_senders(&account.allowed_senders).expect("it had one");
    drop(world.system.store.save(&without).await.expect("written"));
    world.system.clock.advance(Duration::from_secs(5));

    let request = world.create(question(&[&ses])).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([ses, "failed", 1, "refused"]));
    let mails = world.system.aws.mail().list(None, 100).await.expect("a list");
    assert!(mails.is_empty());
    let path = format!("/v1/notifiers/{ses}");
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(shown["disabled"]["reason"], "refused");
    let enabled = world.call(Method::PATCH, &path, json!({ "enabled": true })).await;
    assert_eq!(enabled.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", enabled.text());
}

#[tokio::test]
async fn message_waits_for_a_notifier_that_only_a_newer_version_reads() {
    let world = World::start().await;
    let chat = chat(&world, "chat.acme.com").await;
    let request = world.create(question(&[&chat])).await;
    let key = keys::notifier(Owner::live(world.account.id), chat.parse().expect("an id"));
    let set_version = async |version: &str| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let update = world.system.sdk().dynamodb().update_item().table_name("answerback");
        let update = update.key("pk", text(&key.pk)).key("sk", text(&key.sk));
        let update = update.update_expression("SET v = :v");
        let number = AttributeValue::N(version.to_owned());
        let update = update.expression_attribute_values(":v", number);
        update.send().await.expect("the table exists");
    };
    set_version("99").await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await[1], "queued");
    pass_minutes(&world, 90).await;
    assert_eq!(status(&world, &request).await[1], "queued");
    assert_eq!(world.posts().len(), 0);
    set_version("1").await;
    pass_minutes(&world, 60).await;
    assert_eq!(status(&world, &request).await[1], "sent");
    assert_eq!(world.posts().len(), 1);
}

#[tokio::test]
async fn failed_message_is_retried_and_then_reported_once() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    let hook = json!({
        "url": "https://hooks.acme.com/all",
        "event_types": ["notification.failed", "request.unreachable"], "probe": "skip",
    });
    assert_eq!(world.call(Method::POST, "/v1/webhooks", hook).await.status, 201);
    for _ in 0..4 {
        world.egress.script().answer(reply(500));
    }
    let request = world.create(question(&[&way])).await;
    world.follow_hints().await;
    assert_eq!(status(&world, &request).await, json!([way, "queued", 1, null]));
    pass_minutes(&world, 60).await;
    assert_eq!(status(&world, &request).await, json!([way, "failed", 4, "retries_spent"]));
    pass_minutes(&world, 10).await;

    let [notification] = &notifications(&world, &request).await[..] else { panic!("one") };
    let told: Vec<Value> = bodies(&world).into_iter().filter(|it| it["type"].is_string()).collect();
    let [failed, unreachable] = &told[..] else { panic!("expected two events, got {told:?}") };
    assert_eq!(failed["type"], "notification.failed");
    let data = json!({
        "request_id": request["id"], "notification_id": notification["id"],
        "recipient": "ada@example.com", "notifier_id": way, "error": "retries_spent",
    });
    assert_eq!(failed["data"], data);
    assert_eq!(unreachable["type"], "request.unreachable");
    assert_eq!(unreachable["data"]["status"], "pending");
}

#[tokio::test]
async fn request_that_nobody_heard_of_expires_if_its_sender_wants_that() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    world.egress.script().answer(reply(404));
    let mut body = question(&[&way]);
    body["on_unreachable"] = json!("expire");
    let request = world.create(body).await;
    world.follow_hints().await;
    pass_minutes(&world, 3).await;
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!((&shown["status"], &shown["outcome"]), (&json!("finished"), &json!("timed_out")));
}

#[tokio::test]
async fn request_that_somebody_answered_does_not_expire_for_want_of_the_others() {
    let world = World::start().await;
    let (mail, way) = (smtp(&world).await, chat(&world, "chat.acme.com").await);
    let mut body = question(&[&way]);
    body["recipients"] = json!([
        { "email": "ada@example.com", "via": [mail] },
        { "email": "bob@example.com", "via": [way] },
    ]);
    body["quorum"] = json!("all");
    body["on_unreachable"] = json!("expire");
    let hook = json!({
        "url": "https://hooks.acme.com/all", "event_types": ["request.unreachable"], "probe": "skip",
    });
    assert_eq!(world.call(Method::POST, "/v1/webhooks", hook).await.status, 201);
    world.egress.script().answer(reply(404));
    let request = world.create(body).await;
    assert_eq!(world.answer(&request, 0, json!({ "option": "approve" })).await.status, 200);
    world.follow_hints().await;
    pass_minutes(&world, 3).await;
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(shown["status"], "pending");
    let told = bodies(&world).into_iter().filter(|it| it["type"] == "request.unreachable");
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn throttled_message_waits_without_using_up_retries() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    for _ in 0..7 {
        world.egress.script().answer(reply(429));
    }
    let request = world.create(question(&[&way])).await;
    world.follow_hints().await;
    pass_minutes(&world, 10).await;
    assert_eq!(status(&world, &request).await, json!([way, "sent", 8, null]));
}

#[tokio::test]
async fn nothing_is_sent_for_a_request_that_has_ended() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    world.egress.script().answer(reply(500));
    let request = world.create(question(&[&way])).await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 1);
    assert_eq!(world.answer(&request, 0, json!({ "option": "reject" })).await.status, 200);
    pass_minutes(&world, 10).await;
    assert_eq!(world.posts().len(), 1);
    assert_eq!(status(&world, &request).await, json!([way, "skipped", 2, "not_needed"]));
}

#[tokio::test]
async fn new_code_comes_by_message_and_nobody_else_is_told() {
    let world = World::start().await;
    let mail = smtp(&world).await;
    let hook = json!({
        "url": "https://hooks.acme.com/all", "event_types": ["request.reminded"], "probe": "skip",
    });
    assert_eq!(world.call(Method::POST, "/v1/webhooks", hook).await.status, 201);
    let mut body = question(&[&mail]);
    body["assurance"] = json!("code");
    body["callback_url"] = json!("https://hooks.acme.com/callback");
    body["callback"] = json!({ "events": ["request.reminded"], "probe": "skip" });
    let request = world.create(body).await;
    for _ in 0..5 {
        // A code has six digits, so this one is always wrong.
        let wrong = json!({ "option": "approve", "code": "0" });
        assert_eq!(world.answer(&request, 0, wrong).await.status, StatusCode::FORBIDDEN);
    }
    let renewed = world.visit(Method::POST, &link_path(&request), "new_code=1").await;
    assert_eq!(renewed.status, StatusCode::SEE_OTHER);
    world.follow_hints().await;
    let mails = world.egress.script().mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(bodies(&world), Vec::<Value>::new());
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    let shown = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(shown["callback"]["status"], "waiting");
}

#[tokio::test]
async fn replayed_call_sends_nothing_again() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    let headers = [("idempotency-key", "once")];
    for _ in 0..2 {
        let body = question(&[&way]);
        let made = world.call_with(Method::POST, "/v1/requests", &headers, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        world.follow_hints().await;
    }
    assert_eq!(world.posts().len(), 1);
}

#[tokio::test]
async fn test_mode_sends_nothing() {
    let world = World::start().await;
    let key = world
        .system
        .make_key(Owner::test(world.account.id), vec![answerback::domain::Scope::Admin]);
    let key = secrecy::ExposeSecret::expose_secret(&key.await.expect("a key").text).to_owned();
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let settings = json!({ "url": "https://chat.acme.com/s/path", "format": "slack" });
    let body = json!({ "kind": "incoming_webhook", "settings": settings, "default": true });
    let made = world.call_with(Method::POST, "/v1/notifiers", &headers, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let mut body = question(&[]);
    body["notify"] = json!("default");
    let request = world.call_with(Method::POST, "/v1/requests", &headers, body).await.json();
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 0);
    let path = format!("/v1/requests/{}/notifications", request["id"].as_str().expect("an id"));
    let shown = world.call_with(Method::GET, &path, &headers, Value::Null).await.json();
    let only = &shown["data"][0];
    assert_eq!((&only["status"], &only["error"]), (&json!("skipped"), &json!("test_mode")));
}

#[tokio::test]
async fn own_system_gets_a_signed_message_with_the_link() {
    let world = World::start().await;
    let settings = json!({
        "url": "https://app.acme.com/reach", "auth": { "type": "bearer", "token": "own-bearer" },
    });
    let way = notifier(&world, "webhook", settings).await;
    let mut body = question(&[&way]);
    body["assurance"] = json!("code");
    let request = world.create(body).await;
    world.follow_hints().await;
    let posts = world.posts();
    let [post] = &posts[..] else { panic!("expected one call, got {}", posts.len()) };
    let secret = world.secret().await;
    let header = |name: &str| post.headers[name].to_str().expect("ASCII").to_owned();
    let [notification] = &notifications(&world, &request).await[..] else { panic!("one") };
    assert_eq!(header("webhook-id"), *notification["id"].as_str().expect("an id"));
    assert_eq!(header("authorization"), "Bearer own-bearer");
    let is_signed = answerback::signing::verify_standard(
        &secret,
        &header("webhook-id"),
        &header("webhook-timestamp"),
        &post.body,
        &header("webhook-signature"),
    );
    assert!(is_signed);
    let body: Value = serde_json::from_slice(&post.body).expect("JSON");
    let link = format!("{MESSAGE_BASE_URL}{}", link_path(&request));
    assert_eq!(
        (&body["answer_url"], &body["code"]),
        (&json!(link), &request["recipients"][0]["code"])
    );
}

#[tokio::test]
async fn chat_never_carries_a_request_that_needs_a_code() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    let mut body = question(&[&way]);
    body["assurance"] = json!("code");
    let request = world.create(body).await;
    world.follow_hints().await;
    assert_eq!(world.posts().len(), 0);
    assert_eq!(notifications(&world, &request).await, Vec::<Value>::new());
}

#[tokio::test]
async fn key_that_sees_no_links_needs_a_way_to_reach_everybody() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    let agent = world.key_with(&answerback::domain::Scope::AGENT).await;
    let bearer = format!("Bearer {agent}");
    let headers = [("authorization", bearer.as_str())];
    let mut body = question(&[]);
    body["notify"] = json!("default");
    let refused = world.call_with(Method::POST, "/v1/requests", &headers, body.clone()).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::UNPROCESSABLE_ENTITY, "no_way_to_reach".to_owned())
    );
    for notify in [json!([way]), json!("none")] {
        body["notify"] = notify;
        let made = world.call_with(Method::POST, "/v1/requests", &headers, body.clone()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    }
}

#[tokio::test]
async fn wrong_notifiers_are_refused_by_name() {
    let world = World::start().await;
    let disabled = chat(&world, "chat.acme.com").await;
    let path = format!("/v1/notifiers/{disabled}");
    let changed = world.call(Method::PATCH, &path, json!({ "enabled": false })).await;
    assert_eq!(changed.status, StatusCode::OK);
    let unknown = "nfr_01jd7k2m9qe4v8x3n5t6w00000";
    for (notify, via, pointer, detail) in [
        (json!([unknown]), json!(null), "/notify/0", "is not a notifier of the account"),
        (json!([disabled]), json!(null), "/notify/0", "is disabled"),
        (json!(["email"]), json!(null), "/notify/0", "must be the id of a notifier"),
        (
            json!(7),
            json!(null),
            "/notify",
            "must be `default`, `none` or a list of ids of notifiers",
        ),
        (
            json!("default"),
            json!(["email"]),
            "/recipients/0/via/0",
            "the account has no notifier of this kind",
        ),
        (
            json!("default"),
            json!(["pigeon"]),
            "/recipients/0/via/0",
            "must be the id of a notifier, or a kind of notifiers",
        ),
        (
            json!("none"),
            json!(["incoming_webhook"]),
            "/recipients/0/via",
            "must not be used with `notify`: `none`",
        ),
    ] {
        let mut body = question(&[]);
        body["notify"] = notify;
        body["recipients"] = json!([{ "email": "ada@example.com", "via": via }]);
        let refused = world.call(Method::POST, "/v1/requests", body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
        let first = refused.json()["errors"][0].clone();
        assert_eq!(first, json!({ "pointer": pointer, "detail": detail }));
    }
}

#[tokio::test]
async fn each_recipient_is_told_by_their_own_notifiers() {
    let world = World::start().await;
    let (mail, chat) = (smtp(&world).await, chat(&world, "chat.acme.com").await);
    let mut body = question(&[&chat]);
    body["recipients"] = json!([
        { "email": "ada@example.com", "via": ["email"] },
        { "email": "bob@example.com" },
    ]);
    let request = world.create(body).await;
    world.follow_hints().await;
    let told: Vec<Value> = notifications(&world, &request)
        .await
        .iter()
        .map(|it| json!([it["recipient"], it["notifier"], it["status"]]))
        .collect();
    assert!(told.contains(&json!(["ada@example.com", mail, "sent"])), "{told:?}");
    assert!(told.contains(&json!(["bob@example.com", chat, "sent"])), "{told:?}");
}

#[tokio::test]
async fn request_shows_the_latest_notification_of_each_recipient() {
    let world = World::start().await;
    let (mail, chat) = (smtp(&world).await, chat(&world, "chat.acme.com").await);
    let mut body = question(&[&chat]);
    body["recipients"] =
        json!(["ada@example.com", { "email": "bob@example.com", "via": ["email"] }]);
    world.egress.script().answer(reply(404));
    let request = world.create(body).await;
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    let shown = async || {
        let shown = world.call(Method::GET, &path, Value::Null).await.json();
        [0, 1].map(|row| shown["recipients"][row]["notifications"].clone())
    };
    assert_eq!(shown().await, [Value::Null, Value::Null]);
    world.follow_hints().await;
    assert_eq!(shown().await, [json!("failed"), json!("sent")]);
    let enabled = json!({ "enabled": true });
    world.call(Method::PATCH, &format!("/v1/notifiers/{chat}"), enabled).await;
    world.call(Method::PATCH, &format!("/v1/notifiers/{mail}"), json!({ "enabled": false })).await;
    pass_minutes(&world, 3).await;
    let reminded = world.call(Method::POST, &format!("{path}/remind"), Value::Null).await;
    assert_eq!(reminded.status, StatusCode::OK, "{}", reminded.text());
    world.follow_hints().await;
    assert_eq!(shown().await, [json!("sent"), json!("failed")]);
}

#[tokio::test]
async fn records_of_messages_have_no_link() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    world.egress.script().answer(reply(500));
    let lost = Failure::new(FailureKind::Timeout, "no complete response within 15 s");
    world.egress.script().answer(Err(lost));
    let request = world.create(question(&[&way])).await;
    world.follow_hints().await;
    pass_minutes(&world, 10).await;
    assert_eq!(status(&world, &request).await[1], "sent");
    let token = link_path(&request).replace("/a/", "");
    let id: answerback::domain::RequestId =
        request["id"].as_str().expect("an id").parse().expect("an id");
    let stored = world.system.store.attempts_of_request(id, 50, None).await.expect("read");
    let dump = format!("{stored:?}");
    assert!(stored.items.len() >= 2, "{dump}");
    assert!(!dump.contains(&token) && !dump.contains("/s/path"), "{dump}");
    // They are no deliveries for the account's receivers.
    let path = format!("/v1/deliveries?request_id={}", request["id"].as_str().expect("an id"));
    let deliveries = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(deliveries["data"], json!([]));
}
