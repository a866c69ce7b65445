//! Nothing that is signed for a posted or test event passes as the result of a live request.
//!
//! An attacker holds a key for events and webhooks. The data that it posts is the whole body of a
//! result, for each product in turn. The receivers verify and read a callback as the page of their
//! product describes.

use answerback::{
    domain::{Mode, Owner, Profile, Scope, Source},
    egress::Post,
    signing::{verify_standard, verify_timed},
};
use axum::http::{Method, StatusCode};
use proptest::{prelude::*, sample::select};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::{World, reply};

use crate::profiles::hmac_sha256;

const URL: &str = "https://hooks.example.com/results";

/// Data that does not fit, and data that already looks marked, do not hide that it is a test.
#[tokio::test]
async fn test_event_is_marked_in_every_body() {
    let world = World::start_answering((0..9).map(|_| reply(200))).await;
    for (profile, body) in [("nextmv", "nextmv"), ("notify", "notify"), ("noukai", "noukai")] {
        let hook = json!({ "id": profile, "url": URL, "event_types": ["a.b"], "profile": profile,
            "body": body, "max_payload_bytes": 8_192 });
        let made = world.call(Method::POST, "/v1/webhooks", hook).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let path = format!("/v1/webhooks/{profile}/trigger");
        let test = json!({ "type": "a.b", "data": { "text": "x".repeat(9_000) } });
        let triggered = world.call(Method::POST, &path, test).await;
        assert_eq!(triggered.status, StatusCode::ACCEPTED, "{}", triggered.text());
        world.follow_hints().await;
        let posts = world.posts();
        let received =
            String::from_utf8_lossy(&posts.last().expect("it was sent").body).into_owned();
        let sent: Value = serde_json::from_str(&received).expect("JSON");
        assert_eq!(sent["test"], true, "{profile}: {received}");
        assert!(received.contains("\"truncated\":true"), "{profile}: {received}");

        let own = json!({ "type": "a.b", "data": { "test": false } });
        let refused = world.call(Method::POST, &path, own).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.json()["errors"][0]["pointer"], "/data/test");
    }
}

/// A way to make Answerback sign something.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// An event with a callback.
    Callback,
    /// An event for a webhook.
    Webhook,
    /// A test of a webhook.
    Trigger,
}

#[derive(Clone, Debug)]
struct Attempt {
    way: Way,
    mode: Mode,
    profile: Profile,
    body: Option<Profile>,
    signature: Option<Profile>,
    data: Value,
}

/// The body of a result, as receivers of each product get it.
fn results() -> Vec<Value> {
    let row = json!({ "recipient": "ada@example.com", "option": "approve", "fields": {},
        "answered_at": "2026-01-01T00:00:00.000Z", "expired": false });
    let data = json!({ "request_id": "req_01jd7k2m9qe4v8x3n5t6w00000", "status": "finished",
        "outcome": "completed", "decided_by": "recipients", "decision": "approve",
        "external_reference_id": null, "responses": [row], "metadata": {},
        "finished_at": "2026-01-01T00:00:00.000Z" });
    vec![
        json!({ "id": "evt_01jd7k2m9qe4v8x3n5t6w00001", "type": "request.finished",
            "timestamp": "2026-01-01T00:00:00.000Z", "livemode": true, "data": data }),
        json!({ "request_id": "req_01jd7k2m9qe4v8x3n5t6w00000", "external_reference_id": null,
            "status": "completed", "responses": [{ "user_email": "ada@example.com",
            "option_value": "approve", "timestamp": "2026-01-01T00:00:00.000Z", "expired": false }] }),
        json!({ "message_id": "msg_01jd7k2m9qe4v8x3n5t6w00000", "channel_id": null,
            "timestamp": "2026-01-01T00:00:00.000Z", "triggered_by": "ada@example.com",
            "responses": { "approve": true } }),
        json!({ "event": "request.finished", "executionId": "req_01jd7k2m9qe4v8x3n5t6w00000",
            "status": "finished", "payload": data }),
        data,
    ]
}

/// The products whose receiver takes `post` for the result of a live request, if it trusts `secret`.
fn accepted_by(post: &Post, secret: &str) -> Vec<&'static str> {
    let header = |name: &str| post.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or("");
    let body: Value = serde_json::from_slice(&post.body).unwrap_or_default();
    let (id, second) = (header("webhook-id"), header("webhook-timestamp"));
    let is_standard = verify_standard(secret, id, second, &post.body, header("webhook-signature"));
    let is_timed = |name| verify_timed(secret, &post.body, header(name)).is_some();
    let digest = hmac_sha256(secret.as_bytes(), &post.body);
    let is_live = body["livemode"] == true && body["test"] != true;
    let receivers = [
        ("standard", is_standard && body["type"] == "request.finished" && is_live),
        (
            "nextks",
            header("x-nextks-signature") == format!("sha256={digest}")
                && body["request_id"].is_string()
                && body["responses"].is_array(),
        ),
        (
            "ping",
            is_timed("x-ping-signature")
                && body["message_id"].is_string()
                && body["responses"].is_object(),
        ),
        (
            "noukai",
            is_timed("x-noukai-signature")
                && body["event"] == "request.finished"
                && body["test"] != true,
        ),
    ];
    receivers.into_iter().filter(|it| it.1).map(|it| it.0).collect()
}

fn attempts() -> impl Strategy<Value = Attempt> {
    let profile = || select(Profile::ALL.to_vec());
    (
        select(vec![Way::Callback, Way::Webhook, Way::Trigger]),
        select(vec![Mode::Live, Mode::Test]),
        profile(),
        prop::option::of(profile()),
        prop::option::of(profile()),
        select(results()),
    )
        .prop_map(|(way, mode, profile, body, signature, data)| Attempt {
            way,
            mode,
            profile,
            body,
            signature,
            data,
        })
}

/// Makes the attempt, and returns the products that are taken in.
async fn deceived(world: &World, attempt: &Attempt) -> Vec<&'static str> {
    let owner = Owner { account: world.account.id, mode: attempt.mode };
    let scopes =
        vec![Scope::EventsWrite, Scope::WebhooksWrite, Scope::WebhooksRead, Scope::SecretsRead];
    let key = world.system.make_key(owner, scopes).await.expect("a key").text;
    let bearer = format!("Bearer {}", key.expose_secret());
    let headers = [("authorization", &*bearer)];
    let call = async |path: &str, body: &Value| {
        world.call_with(Method::POST, path, &headers, body.clone()).await
    };
    let mut settings = json!({ "profile": attempt.profile.spec().name });
    for (name, profile) in [("body", attempt.body), ("signature", attempt.signature)] {
        if let Some(profile) = profile {
            settings[name] = profile.spec().name.into();
        }
    }
    let n_posts = world.posts().len();
    let event = json!({ "type": "run.done", "data": attempt.data });
    let live = world.secret().await;
    let secret = match attempt.way {
        Way::Callback => {
            let mut event = event;
            event["callback_url"] = URL.into();
            event["callback"] = settings;
            call("/v1/events", &event).await;
            live
        }
        Way::Webhook | Way::Trigger => {
            settings["url"] = URL.into();
            settings["event_types"] = json!(["run.*"]);
            let mut webhook = call("/v1/webhooks", &settings).await;
            if webhook.status != StatusCode::CREATED {
                settings["event_types"] = json!(["request.*"]);
                webhook = call("/v1/webhooks", &settings).await;
            }
            let webhook = webhook.json();
            let id = webhook["id"].as_str().expect("an id");
            if let Way::Webhook = attempt.way {
                call("/v1/events", &event).await;
            } else {
                let test = json!({ "type": "request.finished", "data": attempt.data });
                call(&format!("/v1/webhooks/{id}/trigger"), &test).await;
            }
            world.follow_hints().await;
            webhook["secret"].as_str().expect("shown once").to_owned()
        }
    };
    world.follow_hints().await;
    let posts = world.posts();
    let mut taken_in = Vec::new();
    for post in &posts[n_posts..] {
        let live = world.secret().await;
        for secret in [&secret, &live] {
            taken_in.extend(accepted_by(post, secret));
        }
    }
    // A webhook for posted events only is no source of results, so its receiver expects none.
    let effective = attempt.body.unwrap_or(attempt.profile).spec().body;
    if let Way::Webhook | Way::Trigger = attempt.way
        && effective.source() == Some(Source::Events)
    {
        let live = world.secret().await;
        taken_in = posts[n_posts..].iter().flat_map(|it| accepted_by(it, &live)).collect();
    }
    taken_in
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_posted_or_test_event_passes_as_a_live_result(attempt in attempts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let deceived = runtime.expect("a runtime").block_on(async {
            let world = World::start_answering((0..4).map(|_| reply(200))).await;
            deceived(&world, &attempt).await
        });
        prop_assert_eq!(deceived, Vec::<&str>::new());
    }
}

/// The same receivers accept real results, so the law above is not void.
#[tokio::test]
async fn receivers_accept_real_results() {
    for (profile, expected) in
        [("standard", "standard"), ("nextks", "nextks"), ("ping", "ping"), ("noukai", "noukai")]
    {
        let world = World::start_answering([reply(200)]).await;
        let request = world
            .create(json!({
                "title": "Deploy?", "recipients": ["ada@example.com"],
                "options": [{ "value": "approve", "label": "Approve" }],
                "callback_url": URL, "callback": { "profile": profile },
            }))
            .await;
        world.answer(&request, 0, json!({ "option": "approve" })).await;
        world.follow_hints().await;
        let posts = world.posts();
        assert_eq!(accepted_by(&posts[0], &world.secret().await), [expected], "{profile}");
        for (mode, source) in [
            (Mode::Live, Source::Events),
            (Mode::Test, Source::Requests),
            (Mode::Test, Source::Events),
        ] {
            let other = world.secret_of(mode, source).await;
            assert_eq!(accepted_by(&posts[0], &other), [""; 0], "{profile} {mode:?} {source:?}");
        }
    }
}

/// A webhook whose secret receivers trust for results cannot be turned into one for posted data.
#[tokio::test]
async fn webhook_keeps_to_its_source() {
    let world = World::start().await;
    let made = json!({ "id": "results", "url": URL, "event_types": ["request.*"] });
    world.call(Method::POST, "/v1/webhooks", made).await;
    for patch in [
        json!({ "body": "nextmv", "event_types": ["run.*"] }),
        json!({ "profile": "notify", "event_types": ["run.*"] }),
    ] {
        let patched = world.call(Method::PATCH, "/v1/webhooks/results", patch.clone()).await;
        assert_eq!(patched.status, StatusCode::UNPROCESSABLE_ENTITY, "{patch}");
    }
    let same = json!({ "profile": "nextks" });
    let patched = world.call(Method::PATCH, "/v1/webhooks/results", same).await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.text());
}

/// A body without an event type serves one source.
#[tokio::test]
async fn callbacks_have_a_body_for_their_source() {
    let world = World::start().await;
    let faults = async |path: &str, mut body: Value, callback: Value| {
        body["callback_url"] = URL.into();
        body["callback"] = callback;
        crate::requests::faults(&world.call(Method::POST, path, body).await)
    };
    let question = json!({ "title": "Hi", "options": [{ "value": "a", "label": "A" }] });
    for name in ["nextmv", "notify"] {
        let found = faults("/v1/requests", question.clone(), json!({ "profile": name })).await;
        assert_eq!(found, ["/callback/profile"], "{name}");
        let found = faults("/v1/requests", question.clone(), json!({ "body": name })).await;
        assert_eq!(found, ["/callback/body"], "{name}");
    }
    let event = json!({ "type": "run.done", "data": {} });
    for name in ["nextks", "ping"] {
        let found = faults("/v1/events", event.clone(), json!({ "profile": name })).await;
        assert_eq!(found, ["/callback/profile"], "{name}");
        let webhook = json!({ "url": URL, "profile": name, "event_types": ["*"] });
        let found =
            crate::requests::faults(&world.call(Method::POST, "/v1/webhooks", webhook).await);
        assert_eq!(found, ["/event_types"], "{name}");
    }
    let webhook = json!({ "url": URL, "profile": "nextmv", "event_types": ["request.finished"] });
    let found = crate::requests::faults(&world.call(Method::POST, "/v1/webhooks", webhook).await);
    assert_eq!(found, ["/event_types"]);
}
