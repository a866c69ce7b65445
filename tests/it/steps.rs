//! Reminders and escalation: on time and late, each once, and seen by those who are asked alone.

use std::time::Duration;

use axum::http::{Method, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};
use system_tests::{START, Setup, World, token};

use crate::requests::{ask, asking, faults, path_of, show};

/// A question to two people, with a reminder after a minute and a substitute after two.
fn escalating(members: &Value) -> Value {
    let mut body = asking(json!({
        "recipients": ["a@example.com", "b@example.com"],
        "timeout_seconds": 600,
        "steps": [
            { "after_seconds": 60, "do": "remind" },
            { "after_seconds": 120, "do": "escalate", "to": [{ "email": "c@example.com", "name": "Cy" }] },
        ],
        "callback_url": "https://hooks.example.com/",
        "callback": { "events": ["request.reminded", "request.escalated", "request.finished"] },
    }));
    let Value::Object(members) = members.clone() else { panic!("an object: {members}") };
    body.as_object_mut().expect("an object").extend(members);
    body
}

/// The events that the callback got: second since the start, type, change.
fn called(world: &World) -> Vec<(i64, String, Value)> {
    let event = |post: &answerback::egress::Post| {
        let second = post.headers["webhook-timestamp"].to_str().expect("ASCII");
        let second = second.parse::<i64>().expect("a number") - START;
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        let kind = body["type"].as_str().expect("a type").to_owned();
        (second, kind, body["data"]["change"].clone())
    };
    world.posts().iter().map(event).collect()
}

fn reminded(second: i64, step: Option<u8>, to: &[&str]) -> (i64, String, Value) {
    (second, "request.reminded".to_owned(), json!({ "step": step, "to": to }))
}

fn escalated(second: i64, step: u8, to: &[&str]) -> (i64, String, Value) {
    (second, "request.escalated".to_owned(), json!({ "step": step, "to": to }))
}

fn emails(request: &Value, list: &str, name: &str) -> Vec<String> {
    let rows = request[list].as_array().expect("a list").iter();
    rows.map(|it| it[name].as_str().expect("an address").to_owned()).collect()
}

#[tokio::test]
async fn steps_within_15_minutes_come_to_the_second_and_once() {
    let world = World::start().await;
    let request = world.create(escalating(&json!({}))).await;
    world.answer(&request, 1, json!({ "option": "yes" })).await;
    world.pass(Duration::from_mins(5)).await;
    for _ in 0..3 {
        world.system.sweep().await;
    }
    world.follow_hints().await;
    let expected =
        [reminded(62, Some(0), &["a@example.com"]), escalated(122, 1, &["c@example.com"])];
    assert_eq!(called(&world), expected);
    let shown = show(&world, &request).await;
    assert_eq!(
        shown["steps"],
        json!([
            { "after_seconds": 60, "do": "remind", "done_at": "2026-01-01T00:01:02.000Z" },
            {
                "after_seconds": 120, "do": "escalate",
                "to": [{ "email": "c@example.com", "name": "Cy" }],
                "done_at": "2026-01-01T00:02:02.000Z",
            },
        ])
    );
    let all = ["a@example.com", "b@example.com", "c@example.com"];
    assert_eq!(emails(&shown, "recipients", "email"), all);
    assert_eq!(emails(&shown, "responses", "recipient"), all);

    // One place of two is open, and Cy's answer fills it.
    let answer = world.answer(&shown, 2, json!({ "option": "yes" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let ended = show(&world, &request).await;
    assert_eq!((&ended["outcome"], &ended["decision"]), (&json!("completed"), &json!("yes")));
    assert_eq!(ended["quorum"], "all");
    let late = world.answer(&shown, 0, json!({ "option": "no" })).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::GONE, "request_ended"));
}

#[tokio::test]
async fn late_steps_run_together_in_one_sweep() {
    let world = World::start_with(Setup { has_queue: false, ..<_>::default() }).await;
    let steps = json!([
        { "after_seconds": 60, "do": "remind" },
        { "after_seconds": 61, "do": "escalate", "to": ["c@example.com", "d@example.com"] },
        { "after_seconds": 62, "do": "remind" },
    ]);
    world.create(escalating(&json!({ "steps": steps }))).await;
    world.system.clock.advance(Duration::from_millis(61_999));
    assert_eq!(world.system.sweep().await, sweep::Swept::default(), "not before the guard band");
    world.system.clock.advance(Duration::from_secs(100));
    let swept = world.system.sweep().await;
    assert_eq!((swept.n_stepped, swept.n_timed_out, swept.n_hinted), (1, 0, 1));
    world.follow_hints().await;
    assert_eq!(world.system.sweep().await.n_stepped, 0);
    let expected = [
        escalated(161, 1, &["c@example.com", "d@example.com"]),
        reminded(161, Some(2), &["a@example.com", "b@example.com"]),
    ];
    let mut called = called(&world);
    called.sort_by_key(|it| it.1.clone());
    assert_eq!(called, expected);
}

#[tokio::test]
async fn overdue_steps_come_before_the_time_out() {
    let world = World::start_with(Setup { has_queue: false, ..<_>::default() }).await;
    let request = world.create(escalating(&json!({}))).await;
    world.system.clock.advance(Duration::from_secs(602));
    let settled = show(&world, &request).await;
    assert_eq!(settled["outcome"], "timed_out");
    assert_eq!(settled["steps"][1]["done_at"], "2026-01-01T00:10:02.000Z");
    assert_eq!(settled["responses"][2]["expired"], true);
    world.system.clock.advance(Duration::from_mins(2));
    assert_eq!(world.system.sweep().await.n_stepped, 0);
    world.follow_hints().await;
    let mut kinds: Vec<String> = called(&world).into_iter().map(|it| it.1).collect();
    kinds.sort();
    assert_eq!(kinds, ["request.escalated", "request.finished", "request.reminded"]);
}

/// The links of those who are not asked yet answer as unknown ones, byte for byte.
#[tokio::test]
async fn link_is_unknown_until_its_recipient_is_asked() {
    let world = World::start().await;
    // The same links as of a request without steps, which shows them all.
    let request = world.create(escalating(&json!({ "assurance": "code" }))).await;
    world.pass(Duration::from_secs(130)).await;
    let asked = show(&world, &request).await;
    let link = token(&asked, 2);

    let world = World::start().await;
    let again = world.create(escalating(&json!({ "assurance": "code" }))).await;
    assert_eq!(again["id"], request["id"], "both worlds draw the same random numbers");
    let unknown = format!("{}0", &link[..link.len() - 1]);
    assert_ne!(link, unknown);
    for (method, path, body) in [
        (Method::GET, "/v1/answers/", Value::Null),
        (Method::POST, "/v1/answers/", json!({ "option": "yes", "code": "000000" })),
    ] {
        let answers = [&link, &unknown].map(|it| format!("{path}{it}"));
        let own = world.call(method.clone(), &answers[0], body.clone()).await;
        let other = world.call(method, &answers[1], body).await;
        assert_eq!(own.status, StatusCode::NOT_FOUND);
        let stripped = |it: &Value| {
            let mut it = it.clone();
            it["request_id"] = Value::Null;
            it
        };
        assert_eq!(stripped(&own.json()), stripped(&other.json()));
    }
    for (method, form) in
        [(Method::GET, ""), (Method::POST, "option=yes"), (Method::POST, "new_code=1")]
    {
        let own = world.visit(method.clone(), &format!("/a/{link}"), form).await;
        let other = world.visit(method, &format!("/a/{unknown}"), form).await;
        assert_eq!((own.status, own.text()), (StatusCode::NOT_FOUND, other.text()));
    }
    let shown = show(&world, &again).await;
    for list in ["recipients", "responses"] {
        assert_eq!(shown[list].as_array().expect("a list").len(), 2, "{shown}");
    }
    let body = json!({ "recipient": "c@example.com", "option": "yes" });
    let path = format!("{}/responses", path_of(&again));
    let refused = world.call(Method::POST, &path, body).await;
    assert_eq!(faults(&refused), ["/recipient"]);
}

#[tokio::test]
async fn page_says_what_comes_next() {
    let world = World::start().await;
    let request = world.create(escalating(&json!({}))).await;
    let page = world.visit(Method::GET, &format!("/a/{}", token(&request, 0)), "").await.text();
    for text in [
        "People asked: 2. No answers so far.",
        "It is decided by 2 answers.",
        "A reminder is sent on <time datetime=\"2026-01-01T00:01:00Z\">",
        "On <time datetime=\"2026-01-01T00:02:00Z\">",
        ", one more person is asked.",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    world.pass(Duration::from_secs(130)).await;
    let page = world.visit(Method::GET, &format!("/a/{}", token(&request, 0)), "").await.text();
    assert!(page.contains("People asked: 3. No answers so far."), "{page}");
    assert!(!page.contains("A reminder is sent"), "{page}");
}

#[tokio::test]
async fn sender_reminds_at_most_every_ten_minutes() {
    let world = World::start().await;
    let request = world.create(escalating(&json!({ "timeout_seconds": 3600, "steps": [] }))).await;
    let path = format!("{}/remind", path_of(&request));
    let remind = async |key: &str| {
        let bearer = format!("Bearer {}", world.key);
        let headers = [("authorization", &*bearer), ("idempotency-key", key)];
        world.call_with(Method::POST, &path, &headers, Value::Null).await
    };
    let first = remind("one").await;
    assert_eq!((first.status, &first.json()["id"]), (StatusCode::OK, &request["id"]));
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let replayed = remind("one").await;
    assert_eq!(replayed.headers["idempotency-replayed"], "true");
    world.system.clock.advance(Duration::from_secs(500));
    let refused = remind("two").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "rate_limited")
    );
    assert_eq!(refused.headers[RETRY_AFTER], "100");
    world.system.clock.advance(Duration::from_secs(100));
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    assert_eq!(remind("two").await.status, StatusCode::OK);
    world.follow_hints().await;
    let changes: Vec<Value> = called(&world).into_iter().map(|it| it.2).collect();
    let to = |to: &[&str]| json!({ "step": null, "to": to });
    assert_eq!(changes, [to(&["a@example.com", "b@example.com"]), to(&["b@example.com"])]);

    world.answer(&request, 1, json!({ "option": "yes" })).await;
    let over = remind("three").await;
    assert_eq!((over.status, over.code().as_str()), (StatusCode::CONFLICT, "already_finished"));
    assert_eq!(remind("two").await.headers["idempotency-replayed"], "true");
    world.call(Method::DELETE, &path_of(&request), Value::Null).await;
    assert_eq!(remind("two").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn erased_request_takes_no_steps() {
    let world = World::start().await;
    let request = world.create(escalating(&json!({}))).await;
    world.call(Method::DELETE, &path_of(&request), Value::Null).await;
    world.pass(Duration::from_secs(700)).await;
    world.system.sweep().await;
    world.follow_hints().await;
    assert_eq!(called(&world), []);
}

#[tokio::test]
async fn open_places_count_under_on_timeout() {
    let world = World::start().await;
    let steps = json!([{ "after_seconds": 60, "do": "escalate", "to": ["c@example.com"] }]);
    let request = world.create(escalating(&json!({ "mode": "on_timeout", "steps": steps }))).await;
    world.pass(Duration::from_secs(70)).await;
    let request = show(&world, &request).await;
    for row in [0, 2] {
        let answer = world.answer(&request, row, json!({ "option": "yes" })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let refused = world.answer(&request, 1, json!({ "option": "no" })).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::GONE, "request_ended"));
    let page = world.visit(Method::GET, &format!("/a/{}", token(&request, 1)), "").await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(page.text().contains("Enough others have answered"), "{}", page.text());
    world.pass(Duration::from_mins(10)).await;
    let ended = show(&world, &request).await;
    assert_eq!((&ended["outcome"], &ended["decision"]), (&json!("completed"), &json!("yes")));
}

#[tokio::test]
async fn wrong_steps_are_refused_at_their_places() {
    let world = World::start().await;
    let to = json!(["c@example.com"]);
    let many: Vec<Value> = (0..99).map(|it| json!(format!("{it}@example.com"))).collect();
    let reminders = |n: u32| -> Vec<Value> {
        (0..n).map(|it| json!({ "after_seconds": 60 + it, "do": "remind" })).collect()
    };
    for (steps, places) in [
        (json!("soon"), &["/steps"] as &[&str]),
        (json!(reminders(11)), &["/steps"]),
        (json!(["remind"]), &["/steps/0", "/steps/0/after_seconds", "/steps/0/do"]),
        (json!([{}]), &["/steps/0/after_seconds", "/steps/0/do"]),
        (json!([{ "after_seconds": 59, "do": "remind" }]), &["/steps/0/after_seconds"]),
        (json!([{ "after_seconds": 600, "do": "remind" }]), &["/steps/0/after_seconds"]),
        (json!([{ "after_seconds": 60, "do": "remind", "to": to }]), &["/steps/0/to"]),
        (json!([{ "after_seconds": 60, "do": "escalate" }]), &["/steps/0/to"]),
        (json!([{ "after_seconds": 60, "do": "escalate", "to": [] }]), &["/steps/0/to"]),
        (json!([{ "after_seconds": 60, "do": "escalate", "to": many }]), &["/steps/0/to"]),
        (
            json!([
                { "after_seconds": 90, "do": "remind" },
                { "after_seconds": 90, "do": "escalate", "to": ["A@EXAMPLE.com", "c@example.com"] },
                { "after_seconds": 91, "do": "escalate", "to": [{ "email": "c@example.com" }, "x"] },
            ]),
            &["/steps/1/after_seconds", "/steps/1/to/0", "/steps/2/to/0/email", "/steps/2/to/1"],
        ),
    ] {
        let answer = ask(&world, escalating(&json!({ "steps": steps }))).await;
        assert_eq!(faults(&answer), places, "{steps} {}", answer.text());
    }
    let anonymous = json!({ "recipients": [] });
    assert_eq!(faults(&ask(&world, escalating(&anonymous)).await), ["/steps/1/do"]);
    // Only those who are asked at first count.
    let three = json!({ "quorum": { "count": 3 } });
    assert_eq!(faults(&ask(&world, escalating(&three)).await), ["/quorum/count"]);
    world.create(escalating(&json!({ "steps": reminders(10) }))).await;
    let own = json!({ "requester": { "kind": "person", "email": "C@example.com" } });
    let refused = ask(&world, escalating(&own)).await;
    assert_eq!(refused.code(), "self_approval", "{}", refused.text());
}

#[tokio::test]
async fn key_asks_only_its_recipients_later_too() {
    let world = World::start().await;
    let limited = json!({
        "scopes": ["requests:ask"], "recipients_allowed": ["a@example.com", "b@example.com"],
    });
    let key = world.call(Method::POST, "/v1/keys", limited).await.json();
    let bearer = format!("Bearer {}", key["key"].as_str().expect("its text"));
    let headers = [("authorization", &*bearer)];
    let refused =
        world.call_with(Method::POST, "/v1/requests", &headers, escalating(&json!({}))).await;
    assert_eq!(faults(&refused), ["/steps/1/to/0"]);
}
