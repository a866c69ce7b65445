//! Functions use exactly the permissions that the template grants.
//!
//! The `Judge` in every test's world fails calls that are not granted. The test here uses
//! everything once, and finds permissions that are granted but not used.

mod copies;

use std::{collections::BTreeSet, time::Duration};

use answerback::{
    domain::{
        Breaker,
        breaker::{Authority, Circuit},
    },
    egress::{Failure, FailureKind},
    platform::Lane,
    store::Saved,
};
use axum::http::{Method, StatusCode};
use local::system::Function;
use serde_json::{Value, json};
use system_tests::{
    Setup, World, reply,
    template::{EVERYTHING, Limit, Right, Template},
};

use crate::canaries::Flow;

/// Permissions that are granted and not used, and that are used and not granted.
fn differences(granted: &BTreeSet<Right>, used: &BTreeSet<Right>) -> Vec<String> {
    let idle = granted.difference(used).map(|it| format!("{it} is granted, and nobody does it"));
    let wanted = used.difference(granted).map(|it| format!("{it} is done, and not granted"));
    idle.chain(wanted).collect()
}

fn granted(template: &Template) -> BTreeSet<Right> {
    template.granted(&EVERYTHING).expect("the template names it")
}

fn right(function: Function, action: &str, resource: &str) -> Right {
    let limit = Limit::None;
    Right { function, action: action.to_owned(), resource: resource.to_owned(), limit }
}

async fn done(world: &World, method: Method, path: &str, body: Value) -> Value {
    let answer = world.call(method, path, body).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
    if answer.bytes.is_empty() { Value::Null } else { answer.json() }
}

fn asking(url: &str) -> Value {
    json!({
        "title": "Deploy?",
        "options": [{ "value": "yes", "label": "Yes" }],
        "callback_url": url,
        "timeout_seconds": 600,
    })
}

/// The delivery of a request's callback.
async fn callback_of(world: &World, request: &str) -> Value {
    let path = format!("/v1/deliveries?request_id={request}");
    let all = done(world, Method::GET, &path, Value::Null).await["data"].clone();
    let mut all = all.as_array().expect("a list").iter();
    all.find(|it| it["target"]["url"].is_string()).expect("it has a callback").clone()
}

/// Reads items one by one, in lists, and by related items.
async fn read(world: &World) {
    // The second one counts the first.
    for name in ["one", "two"] {
        done(world, Method::POST, "/v1/channels", json!({ "name": name })).await;
    }
    for list in ["requests", "events", "deliveries", "webhooks", "channels", "keys"] {
        done(world, Method::GET, &format!("/v1/{list}"), Value::Null).await;
    }
    done(world, Method::GET, "/v1/webhooks/orders/attempts", Value::Null).await;
    let since = json!({ "since": "2025-12-31T00:00:00Z" });
    done(world, Method::POST, "/v1/webhooks/orders/recover", since).await;
}

/// Deadlines noticed by a reader and by the sweep.
async fn time_out(world: &World) {
    let seen = world.create(asking("https://hooks.example.com/")).await;
    world.create(asking("https://hooks.example.com/")).await;
    world.system.clock.advance(Duration::from_secs(602));
    let path = format!("/v1/requests/{}", seen["id"].as_str().expect("an id"));
    assert_eq!(done(world, Method::GET, &path, Value::Null).await["outcome"], "timed_out");
    let swept = world.system.sweep().await;
    assert_eq!(swept.n_timed_out, 1);
    world.follow_hints().await;
}

/// A slow receiver, redelivery, and a sweep that finds waiting deliveries. Then the request is
/// erased.
async fn slow_lane(world: &World) {
    let timeout = Failure::new(FailureKind::Timeout, "no answer");
    world.egress.script().answer(Err(timeout));
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let request = world.create(asking("https://slow.example.com/")).await;
        assert_eq!(world.answer(&request, 0, json!({ "option": "yes" })).await.status, 200);
        world.follow_hints_of(Lane::Fast).await;
        waiting.push(request);
    }
    let id = waiting[1]["id"].as_str().expect("an id");
    let delivery = callback_of(world, id).await;
    assert_eq!(delivery["state_reason"], "slow_lane");
    let path = format!("/v1/deliveries/{}/redeliver", delivery["id"].as_str().expect("an id"));
    done(world, Method::POST, &path, Value::Null).await;
    world.system.clock.advance(Duration::from_mins(5));
    assert!(world.system.sweep().await.n_hinted > 0, "no hint was followed");
    world.follow_hints().await;
    done(world, Method::DELETE, &format!("/v1/requests/{id}"), Value::Null).await;
    world.follow_hints().await;
}

/// A redelivery passes an open breaker, and brings forward the deliveries that it holds.
async fn receiver_is_back(world: &World) {
    const URL: &str = "https://ill.example.com/";
    let until = world.system.clock.now() + Duration::from_hours(1);
    let authority = Authority::of(URL).expect("a host");
    let open = Breaker {
        connection: Circuit::Open { until, n_openings: 1 },
        revision: 1,
        ..Breaker::unknown(world.account.id, authority)
    };
    assert!(matches!(world.system.store.create(&open).await, Ok(Saved::Saved)));
    let event = json!({ "type": "run.done", "data": {}, "callback_url": URL });
    done(world, Method::POST, "/v1/events", event).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let request = world.create(asking(URL)).await;
        assert_eq!(world.answer(&request, 0, json!({ "option": "yes" })).await.status, 200);
        held.push(request);
    }
    world.follow_hints().await;
    let delivery = callback_of(world, held[0]["id"].as_str().expect("an id")).await;
    assert_eq!(delivery["state_reason"], "breaker_open");
    let path = format!("/v1/deliveries/{}/redeliver", delivery["id"].as_str().expect("an id"));
    done(world, Method::POST, &path, Value::Null).await;
    world.follow_hints().await;
}

/// An event that is posted twice with its key and waits for the sweep, and a redelivery.
async fn event(world: &World) {
    let url = "https://hooks.example.com/";
    let body = json!({ "type": "run.done", "data": {}, "callback_url": url });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let key = [("idempotency-key", "run-1")];
        let answer = world.call_with(Method::POST, "/v1/events", &key, body.clone()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        ids.push(answer.json()["id"].as_str().expect("an id").to_owned());
    }
    done(world, Method::GET, &format!("/v1/events/{}", ids[0]), Value::Null).await;
    world.system.clock.advance(Duration::from_mins(5));
    assert!(world.system.sweep().await.n_hinted > 0, "no hint was followed");
    world.follow_hints().await;
    let path = format!("/v1/deliveries?event_id={}", ids[0]);
    let delivery = done(world, Method::GET, &path, Value::Null).await["data"][0].clone();
    let id = delivery["id"].as_str().expect("an id");
    done(world, Method::GET, &format!("/v1/attempts?delivery_id={id}"), Value::Null).await;
    done(world, Method::POST, &format!("/v1/deliveries/{id}/redeliver"), Value::Null).await;
    world.follow_hints().await;
}

/// A webhook that missed an event of a request, and gets it later.
async fn recovery(world: &World) {
    let webhook = json!({
        "id": "results", "url": "https://hooks.example.com/", "event_types": ["request.finished"],
    });
    done(world, Method::POST, "/v1/webhooks", webhook).await;
    let request = json!({ "title": "Deploy?", "options": [{ "value": "yes", "label": "Yes" }] });
    let request = world.create(request).await;
    world.follow_hints().await;
    world.egress.script().answer(reply(301));
    assert_eq!(world.answer(&request, 0, json!({ "option": "yes" })).await.status, 200);
    world.follow_hints().await;
    let since = json!({ "since": "2025-12-31T00:00:00Z" });
    let found = done(world, Method::POST, "/v1/webhooks/results/recover", since).await;
    assert_eq!(found["redelivered"], 1);
    world.follow_hints().await;
    done(world, Method::DELETE, "/v1/webhooks/results", Value::Null).await;
}

/// A key whose calls are counted.
async fn limited_key(world: &World) {
    let body = json!({ "scopes": ["requests:read", "events:write"], "rate_limit_per_minute": 9 });
    let key = done(world, Method::POST, "/v1/keys", body).await;
    let bearer = format!("Bearer {}", key["key"].as_str().expect("its text"));
    let headers = [("authorization", bearer.as_str())];
    let body = json!({ "type": "run.done", "data": {} });
    for (method, path, body) in
        [(Method::GET, "/v1/requests", Value::Null), (Method::POST, "/v1/events", body)]
    {
        let answer = world.call_with(method, path, &headers, body).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    }
}

/// A mail that comes back, and is reported again later.
async fn bounces(world: &World) {
    crate::notifiers::allow_from(world, "ci@acme.example").await;
    let settings = json!({ "transport": "ses", "from": "ci@acme.example" });
    let body = json!({ "kind": "email", "settings": settings });
    let mail = done(world, Method::POST, "/v1/notifiers", body).await["id"].clone();
    let asking = json!({
        "title": "Deploy?", "recipients": ["bounce@simulator.amazonses.com"],
        "options": [{ "value": "yes", "label": "Yes" }], "notify": [mail],
    });
    let request = world.create(asking).await;
    world.follow_hints().await;
    let message = crate::bounces::notification(world, &request).await;
    assert_eq!(message["status"], "bounced");
    world.system.clock.advance(Duration::from_secs(1));
    crate::bounces::report(world, &message, 0).await;
    world.follow_hints().await;
}

/// A receiver that is gone, which disables its webhook.
async fn gone(world: &World) {
    world.follow_hints().await;
    world.egress.script().answer(reply(410));
    let trigger = "/v1/webhooks/orders/trigger";
    done(world, Method::POST, trigger, json!({})).await;
    world.follow_hints().await;
    let webhook = done(world, Method::GET, "/v1/webhooks/orders", Value::Null).await;
    assert_eq!(webhook["enabled"], false);
}

#[tokio::test]
async fn functions_use_exactly_the_granted_permissions() {
    let setup = Setup { bus: Some("events".to_owned()), ..<_>::default() };
    let world = World::start_with(setup).await;
    // Makes pending requests count.
    let capped = world.account.cap(Some(1_000)).expect("it has no cap yet");
    assert!(matches!(world.system.store.save(&capped).await, Ok(Saved::Saved)));
    let world = Flow::go_in(world).await.world;
    read(&world).await;
    time_out(&world).await;
    slow_lane(&world).await;
    receiver_is_back(&world).await;
    event(&world).await;
    recovery(&world).await;
    limited_key(&world).await;
    bounces(&world).await;
    crate::slack::press_unsigned(&world).await;
    gone(&world).await;

    let template = Template::of_the_project();
    let mut used = world.judge.used();
    used.append(&mut template.used_by_lambda().expect("the template names it"));
    assert!(used.len() > 30, "no calls were recorded: {used:?}");
    assert_eq!(differences(&granted(&template), &used), [""; 0]);
}

#[test]
fn missing_and_unused_permissions_are_named() {
    let template = Template::of_the_project();
    let used = granted(&template);
    let mut named = BTreeSet::new();
    for copy in copies::with_one_less(&template) {
        let found = differences(&granted(&copy), &used);
        assert!(
            !found.is_empty() && found.iter().all(|it| it.ends_with(" is done, and not granted"))
        );
        named.extend(found);
    }
    assert_eq!(named.len(), used.len(), "each by its name");

    let dead = json!({ "Fn::GetAtt": "DeadHintQueue.Arn" });
    for (part, name) in [("Action", json!("dynamodb:DeleteItem")), ("Resource", dead)] {
        let copies = copies::with_one_more(&template, part, &name);
        assert!(copies.len() > 15, "one for each statement");
        for copy in copies {
            let found = differences(&granted(&copy), &used);
            let is_it = |it: &String| {
                it.ends_with(" is granted, and nobody does it")
                    && (it.contains("DeleteItem") || it.contains("DeadHintQueue"))
            };
            assert!(!found.is_empty() && found.iter().all(is_it), "{found:?}");
        }
    }
}

#[tokio::test]
async fn call_without_permission_fails_its_test() {
    let limit = Limit::Keys("req_".to_owned());
    let put = Right { limit, ..right(Function::Intake, "dynamodb:PutItem", "Table") };
    assert!(granted(&Template::of_the_project()).contains(&put));
    let mut copies = copies::with_one_less(&Template::of_the_project()).into_iter();
    let without = copies.find(|it| !granted(it).contains(&put)).expect("a copy");
    let world = World::start_with(Setup { template: without, ..<_>::default() }).await;
    let list = world.call(Method::GET, "/v1/requests", Value::Null).await;
    assert_eq!(list.status, StatusCode::OK, "the others may");
    let asked =
        tokio::spawn(async move { world.create(asking("https://hooks.example.com/")).await });
    let panic = asked.await.expect_err("the template does not grant it").into_panic();
    let told = panic.downcast_ref::<String>().expect("a sentence");
    assert!(told.contains("does not allow intake: dynamodb:PutItem on Table"), "{told}");
}

/// The functions that face other systems reach no more of the table than they need.
#[test]
fn each_function_is_kept_to_its_kinds_of_items() {
    let granted = granted(&Template::of_the_project());
    let is_write = |it: &Right| ["dynamodb:PutItem", "dynamodb:UpdateItem"].contains(&&*it.action);
    let reaches = |function: Function, prefix: &str, writes: bool| {
        granted.iter().any(|it| {
            let has_key = match &it.limit {
                Limit::Keys(key) => key.starts_with(prefix) || prefix.starts_with(key),
                Limit::OtherKeys(keys) => !keys.iter().any(|it| prefix == it),
                // The indexes hold keys only.
                Limit::None => it.action.starts_with("dynamodb:") && it.resource == "Table",
                Limit::Context(..) => false,
            };
            it.function == function && has_key && (!writes || is_write(it))
        })
    };
    assert!(!reaches(Function::Deliver, "key_", false), "a worker sees no API key");
    assert!(reaches(Function::Deliver, "acct_", false), "an account has signing secrets");
    assert!(!reaches(Function::Deliver, "acct_", true), "a worker changes no account");
    for prefix in ["key_", "acct_", "ch_"] {
        assert!(!reaches(Function::Poll, prefix, true), "a reader changes no {prefix}");
        assert!(!reaches(Function::Sweep, prefix, false), "the sweep sees no {prefix}");
    }
}

#[test]
fn functions_open_only_the_secrets_that_they_use() {
    let granted = granted(&Template::of_the_project());
    let of_kms = granted.iter().filter_map(|it| {
        let action = it.action.strip_prefix("kms:")?;
        let Limit::Context(_, value) = &it.limit else { panic!("no context: {it:?}") };
        Some((it.function, action, value.as_str()))
    });
    let expected = BTreeSet::from([
        (Function::Intake, "GenerateDataKey", "signing-secrets"),
        (Function::Intake, "GenerateDataKey", "notifier"),
        // Slack signs its calls with a secret of the notifier.
        (Function::Intake, "Decrypt", "notifier"),
        (Function::Poll, "Decrypt", "signing-secrets"),
        (Function::Deliver, "Decrypt", "signing-secrets"),
        (Function::Deliver, "Decrypt", "notifier"),
    ]);
    assert_eq!(of_kms.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn unsupported_policy_syntax_is_an_error() {
    let template = |statement: &str| {
        Template::parse(&format!(
            "Resources:
  PollFunction:
    Type: AWS::Serverless::Function
    Metadata: {{BuildProperties: {{Binary: poll}}}}
    Properties: {{Role: !GetAtt PollRole.Arn}}
  PollRole:
    Properties:
      Policies: [{{PolicyDocument: {{Statement: [{statement}]}}}}]
"
        ))
    };
    let of = |statement: &str| template(statement)?.granted(&[]);
    let one = "{Effect: Allow, Action: a:B, Resource: !GetAtt Table.Arn}";
    assert_eq!(
        of(one).expect("it is one"),
        BTreeSet::from([right(Function::Poll, "a:B", "Table")])
    );
    let when = "!If [HasEventBus, {Effect: Allow, Action: a:B, Resource: T}, !Ref AWS::NoValue]";
    assert_eq!(of(when).expect("it is none"), BTreeSet::new());
    for (statement, why) in [
        ("{Effect: Deny, Action: a:B, Resource: T}", "only what is allowed is read"),
        ("{Effect: Allow, NotAction: a:B, Resource: T}", "only what is allowed is read"),
        ("{Effect: Allow, Action: a:B, Resource: T, Principal: P}", "only what is allowed is read"),
        ("{Effect: Allow, Action: a:B, Resource: T, Condition: {}}", "it has not one member"),
        (
            "{Effect: Allow, Action: a:B, Resource: T, Condition: {StringEquals: {a:B: c}}}",
            "it is not understood",
        ),
        (
            "{Effect: Allow, Action: a:B, Resource: T, Condition: {'ForAllValues:StringLike': {'dynamodb:LeadingKeys': ['*']}}}",
            "a key is no prefix",
        ),
        ("{Effect: Allow, Action: [], Resource: T}", "it allows nothing"),
        ("{Effect: Allow, Action: a:B, Resource: !Join ['', [T]]}", "`Fn::Join` is not understood"),
        ("~", "neither text nor number"),
    ] {
        let err = format!("{:#}", of(statement).expect_err("it is not understood"));
        assert!(err.contains(why), "{statement}: {err}");
    }
}
