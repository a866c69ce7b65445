//! Keys that ask and cannot answer, as CI jobs and agents have them.

mod walker;

use std::{collections::BTreeSet, time::Duration};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Answer, World};

use crate::requests::{asking, faults, path_of};

/// Calls with this key.
async fn call(world: &World, key: &Value, method: Method, path: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {}", key["key"].as_str().expect("the text of a key"));
    world.call_with(method, path, &[("authorization", &bearer)], body).await
}

/// A key of an agent with these members, made with the key `by`.
async fn made_by(world: &World, by: &Value, members: Value) -> Value {
    let mut body = json!({ "scopes": ["requests:read", "requests:ask"] });
    let Value::Object(members) = members else { panic!("members are an object: {members}") };
    body.as_object_mut().expect("an object").extend(members);
    let answer = call(world, by, Method::POST, "/v1/keys", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

/// The key with all rights.
fn first(world: &World) -> Value {
    json!({ "key": world.key })
}

/// A key of an agent with these members.
async fn agent(world: &World, members: Value) -> Value {
    made_by(world, &first(world), members).await
}

/// A request without messages: the account has none, and other keys see its links.
fn unnotified(members: Value) -> Value {
    let mut body = asking(members);
    body["notify"] = json!("none");
    body
}

/// Creates a request with this key, and returns any response.
async fn ask(world: &World, key: &Value, members: Value) -> Answer {
    call(world, key, Method::POST, "/v1/requests", unnotified(members)).await
}

async fn asked(world: &World, key: &Value, members: Value) -> Value {
    let answer = ask(world, key, members).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

async fn listed(world: &World, key: &Value, query: &str) -> Vec<Value> {
    let path = format!("/v1/requests{query}");
    let list = call(world, key, Method::GET, &path, Value::Null).await.json();
    list["data"].as_array().expect("a list").iter().map(|it| it["id"].clone()).collect()
}

#[tokio::test]
async fn agent_asks_and_reads_and_never_answers() {
    let world = World::start().await;
    let agent = agent(&world, json!({})).await;
    let request = asked(&world, &agent, json!({ "recipients": ["ada@example.com"] })).await;
    assert_eq!(request["recipients"], json!([{ "email": "ada@example.com", "name": null }]));
    let path = path_of(&request);
    let yes = json!({ "recipient": "ada@example.com", "option": "yes" });
    let own = call(&world, &agent, Method::POST, &format!("{path}/responses"), yes.clone()).await;
    assert_eq!((own.status, &*own.code()), (StatusCode::FORBIDDEN, "forbidden"));
    assert!(own.text().contains("`answers:write`"), "{}", own.text());
    let erase = call(&world, &agent, Method::DELETE, &path, Value::Null).await;
    assert_eq!(erase.status, StatusCode::FORBIDDEN);

    let recorded = world.call(Method::POST, &format!("{path}/responses"), yes).await;
    assert_eq!(recorded.status, StatusCode::OK, "{}", recorded.text());
    let result = format!("{path}/result");
    let result = call(&world, &agent, Method::GET, &result, Value::Null).await.json();
    assert_eq!(result["result"]["decision"], "yes");
}

#[tokio::test]
async fn each_of_the_three_scopes_opens_its_part() {
    let world = World::start().await;
    let key = |scope: &str| agent(&world, json!({ "scopes": ["requests:read", scope] }));
    let (links, answers) = (key("links:read").await, key("answers:write").await);
    let request = world.create(asking(json!({}))).await;
    let path = path_of(&request);
    let seen = call(&world, &links, Method::GET, &path, Value::Null).await.json();
    assert_eq!(seen["recipients"], request["recipients"]);
    let responses = format!("{path}/responses");
    let yes = json!({ "option": "yes" });
    let refused = call(&world, &links, Method::POST, &responses, yes.clone()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let recorded = call(&world, &answers, Method::POST, &responses, yes).await;
    assert_eq!(recorded.status, StatusCode::OK, "{}", recorded.text());
    assert!(!recorded.text().contains("answer_url"), "{}", recorded.text());
    for key in [&links, &answers] {
        assert_eq!(ask(&world, key, json!({})).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn agent_sees_and_cancels_only_requests_of_its_family() {
    let world = World::start().await;
    let scopes = json!({ "scopes": ["requests:read", "requests:ask", "keys:write"] });
    let (parent, other) = (agent(&world, scopes).await, agent(&world, json!({})).await);
    let child = made_by(&world, &parent, json!({ "scopes": ["requests:read"] })).await;
    let of_parent = asked(&world, &parent, json!({})).await;
    let of_other = asked(&world, &other, json!({})).await;
    let of_owner = world.create(asking(json!({}))).await;

    for family in [&parent, &child] {
        assert_eq!(listed(&world, family, "").await, [of_parent["id"].clone()]);
    }
    assert_eq!(listed(&world, &other, "").await, [of_other["id"].clone()]);
    assert_eq!(listed(&world, &first(&world), "").await.len(), 3);
    for stranger in [&of_other, &of_owner] {
        let path = path_of(stranger);
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::GET, format!("{path}/result")),
            (Method::POST, format!("{path}/cancel")),
            (Method::POST, format!("{path}/remind")),
        ] {
            let answer = call(&world, &parent, method, &path, Value::Null).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    let cancel = format!("{}/cancel", path_of(&of_parent));
    let cancelled = call(&world, &parent, Method::POST, &cancel, Value::Null).await;
    assert_eq!(cancelled.json()["status"], "cancelled");
    let others = world.call(Method::GET, &path_of(&of_other), Value::Null).await.json();
    assert_eq!(others["status"], "pending");
}

/// Pages are filled although most requests are of other keys.
#[tokio::test]
async fn agent_gets_full_pages_of_its_own_requests() {
    let world = World::start().await;
    let agent = agent(&world, json!({})).await;
    let mut own = Vec::new();
    for number in 0..130 {
        if number % 26 == 0 {
            own.insert(0, asked(&world, &agent, json!({})).await["id"].clone());
        } else {
            world.create(asking(json!({}))).await;
        }
        world.system.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(listed(&world, &agent, "?limit=5").await, own);
    let path = "/v1/requests?limit=3";
    let page = call(&world, &agent, Method::GET, path, Value::Null).await.json();
    let ids: Vec<&Value> =
        page["data"].as_array().expect("a list").iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, own[..3].iter().collect::<Vec<_>>());
    let next = format!("?limit=3&cursor={}", page["next_cursor"].as_str().expect("more"));
    assert_eq!(listed(&world, &agent, &next).await, own[3..]);
}

#[tokio::test]
async fn replay_shows_no_request_of_another_family() {
    let world = World::start().await;
    let (one, two) = (agent(&world, json!({})).await, agent(&world, json!({})).await);
    let mut ids = Vec::new();
    for key in [&one, &two, &first(&world), &one] {
        let bearer = format!("Bearer {}", key["key"].as_str().expect("its text"));
        let headers = [("authorization", &*bearer), ("idempotency-key", "deploy-1")];
        let answer =
            world.call_with(Method::POST, "/v1/requests", &headers, unnotified(json!({}))).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        ids.push(answer.json()["id"].clone());
    }
    assert_eq!(ids[0], ids[3], "the same key");
    assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn key_asks_only_its_recipients() {
    let world = World::start().await;
    let allowed = json!({ "recipients_allowed": ["*@corp.example", "ops@example.com"] });
    let agent = agent(&world, allowed.clone()).await;
    assert_eq!(agent["recipients_allowed"], allowed["recipients_allowed"]);
    let corp = json!(["Ada@CORP.example", { "email": "ops@example.com" }]);
    asked(&world, &agent, json!({ "recipients": corp })).await;
    let beyond = json!(["ada@corp.example", "eve@example.com", { "email": "a@x.corp.example" }]);
    let beyond = ask(&world, &agent, json!({ "recipients": beyond })).await;
    assert_eq!(faults(&beyond), ["/recipients/1", "/recipients/2"]);
    let anonymous = ask(&world, &agent, json!({})).await;
    assert_eq!(faults(&anonymous), ["/recipients"], "an anonymous recipient may be anyone");

    let body = json!({
        "message": "Deploy?", "user_emails": ["eve@example.com"],
        "response_request": { "options": [{ "text": "Yes", "value": "yes" }] },
    });
    let front = call(&world, &agent, Method::POST, "/api/notify", body).await;
    assert_eq!(front.status, StatusCode::BAD_REQUEST, "{}", front.text());
    assert!(front.text().contains("/user_emails/0"), "{}", front.text());
}

#[tokio::test]
async fn asks_per_hour_count_for_the_family() {
    let world = World::start().await;
    let members = json!({ "asks_per_hour": 3, "scopes": ["requests:ask", "keys:write"] });
    let parent = agent(&world, members).await;
    let child = made_by(&world, &parent, json!({ "scopes": ["requests:ask"] })).await;
    assert_eq!(child["asks_per_hour"], 3);
    world.system.clock.advance(Duration::from_mins(59));
    let bearer = format!("Bearer {}", parent["key"].as_str().expect("its text"));
    let headers = [("authorization", &*bearer), ("idempotency-key", "deploy-1")];
    for _ in 0..5 {
        let answer =
            world.call_with(Method::POST, "/v1/requests", &headers, unnotified(json!({}))).await;
        assert_eq!(answer.status, StatusCode::CREATED, "a replay asks no one");
    }
    let invalid = ask(&world, &parent, json!({ "title": "" })).await;
    assert_eq!(invalid.status, StatusCode::UNPROCESSABLE_ENTITY, "nor does this");
    for key in [&child, &parent] {
        asked(&world, key, json!({})).await;
    }
    for key in [&child, &parent] {
        let refused = ask(&world, key, json!({})).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.code(), "rate_limited");
        assert_eq!(refused.headers["retry-after"], "60");
    }
    world.create(asking(json!({}))).await;
    world.system.clock.advance(Duration::from_mins(1));
    asked(&world, &child, json!({})).await;
}

#[tokio::test]
async fn concurrent_asks_do_not_exceed_the_limit() {
    let world = World::start().await;
    let agent = agent(&world, json!({ "asks_per_hour": 7 })).await;
    let calls = (0..50).map(|_| ask(&world, &agent, json!({})));
    let answers = futures::future::join_all(calls).await;
    let n_asked = answers.iter().filter(|it| it.status == StatusCode::CREATED).count();
    assert_eq!(n_asked, 7);
}

#[tokio::test]
async fn created_key_has_no_wider_limits() {
    let world = World::start().await;
    let members = json!({
        "scopes": ["requests:ask", "keys:write"], "asks_per_hour": 5,
        "recipients_allowed": ["*@corp.example"],
        "requester": { "kind": "agent", "name": "Release agent" },
    });
    let parent = agent(&world, members).await;
    let body = json!({
        "scopes": ["requests:write", "links:read"], "asks_per_hour": 6,
        "recipients_allowed": ["ada@corp.example", "*@example.com", "*"],
        "requester": { "kind": "person" },
    });
    let refused = call(&world, &parent, Method::POST, "/v1/keys", body).await;
    let places = [
        "/scopes/0",
        "/scopes/1",
        "/asks_per_hour",
        "/recipients_allowed/1",
        "/recipients_allowed/2",
        "/requester",
    ];
    assert_eq!(faults(&refused), places, "{}", refused.text());
    let child = made_by(&world, &parent, json!({ "scopes": ["requests:ask"] })).await;
    for name in ["asks_per_hour", "recipients_allowed", "requester"] {
        assert_eq!(child[name], parent[name], "{name}");
    }
    let narrow = json!({ "scopes": ["requests:ask"], "recipients_allowed": ["ada@corp.example"] });
    let narrow = made_by(&world, &parent, narrow).await;
    let bob = ask(&world, &narrow, json!({ "recipients": ["bob@corp.example"] })).await;
    assert_eq!(faults(&bob), ["/recipients/0"]);
}

#[tokio::test]
async fn key_fixes_the_requester() {
    let world = World::start().await;
    let requester = json!({ "kind": "agent", "name": "Release agent" });
    let agent = agent(&world, json!({ "requester": requester })).await;
    let request = asked(&world, &agent, json!({})).await;
    assert_eq!(request["requester"]["name"], "Release agent");
    let claimed = ask(&world, &agent, json!({ "requester": { "kind": "person" } })).await;
    assert_eq!(faults(&claimed), ["/requester"]);
}

#[tokio::test]
async fn key_shows_itself() {
    let world = World::start().await;
    let members =
        json!({ "name": "CI", "asks_per_hour": 9, "recipients_allowed": ["*@x.example"] });
    let agent = agent(&world, members).await;
    let own = call(&world, &agent, Method::GET, "/v1/key", Value::Null).await.json();
    let mut expected = agent.clone();
    let members = expected.as_object_mut().expect("an object");
    members.remove("key");
    members.insert("account_id".to_owned(), json!(world.account.id.to_string()));
    members.insert("sees_only_own_requests".to_owned(), json!(true));
    assert_eq!(own, expected);
    let first = world.call(Method::GET, "/v1/key", Value::Null).await.json();
    assert_eq!(first["sees_only_own_requests"], false);
    assert_eq!(first["scopes"], json!(["admin"]));
}

/// Callbacks show the requests of all families.
#[tokio::test]
async fn key_that_only_asks_has_no_webhook_scopes() {
    let world = World::start().await;
    for (scopes, is_refused) in [
        (json!(["requests:ask", "webhooks:read"]), true),
        (json!(["requests:read", "requests:ask", "webhooks:write"]), true),
        (json!(["requests:write", "webhooks:read"]), false),
        (json!(["requests:read", "webhooks:read"]), false),
    ] {
        let made = world.call(Method::POST, "/v1/keys", json!({ "scopes": scopes })).await;
        assert_eq!(made.status == StatusCode::UNPROCESSABLE_ENTITY, is_refused, "{scopes}");
    }
}

/// Who changes a notifier gets every link that it is sent.
#[tokio::test]
async fn key_that_changes_notifiers_sees_links_and_answers() {
    let world = World::start().await;
    for (scopes, is_refused) in [
        (json!(["notifiers:write"]), true),
        (json!(["notifiers:write", "links:read"]), true),
        (json!(["notifiers:write", "answers:write"]), true),
        (json!(["notifiers:write", "requests:ask"]), true),
        (json!(["notifiers:write", "requests:ask", "links:read", "answers:write"]), true),
        (json!(["notifiers:write", "links:read", "answers:write"]), false),
        (json!(["notifiers:write", "requests:write"]), false),
        (json!(["notifiers:read", "requests:ask"]), false),
    ] {
        let made = world.call(Method::POST, "/v1/keys", json!({ "scopes": scopes })).await;
        let expected: &[&str] = if is_refused { &["/scopes"] } else { &[] };
        let places = if made.status.is_success() { Vec::new() } else { faults(&made) };
        assert_eq!(places, expected, "{scopes}");
    }
}

#[tokio::test]
async fn agent_does_not_choose_who_seems_to_ask() {
    let world = World::start().await;
    let scopes = json!(["requests:ask", "keys:write"]);
    let parent = agent(&world, json!({ "name": "Release agent", "scopes": scopes })).await;
    let ceo = json!({ "kind": "person", "name": "Ada, CEO" });
    let body = json!({ "scopes": ["requests:ask"], "requester": ceo });
    let refused = call(&world, &parent, Method::POST, "/v1/keys", body).await;
    assert_eq!(faults(&refused), ["/requester"]);
    let child = json!({ "name": "Ada, CEO", "scopes": ["requests:ask"] });
    let child = made_by(&world, &parent, child).await;
    let request = asked(&world, &child, json!({})).await;
    let all = world.call(Method::GET, &path_of(&request), Value::Null).await.json();
    let path = format!("/a/{}", system_tests::token(&all, 0));
    let page = world.visit(Method::GET, &path, "").await.text();
    assert!(page.contains("Release agent") && !page.contains("CEO"), "{page}");
}

#[tokio::test]
async fn agent_does_not_weaken_what_an_approval_proves() {
    let world = World::start().await;
    let agent = agent(&world, json!({})).await;
    let action = json!({ "name": "deploy", "args": null });
    let consume = json!({ "option": "yes" });
    let weak = json!({
        "action": action, "consume": consume, "assurance": "link", "allow_self": true,
    });
    let refused = ask(&world, &agent, weak.clone()).await;
    assert_eq!(faults(&refused), ["/allow_self", "/assurance"]);
    world.create(asking(weak)).await;
    let strong = json!({ "action": action, "consume": consume, "assurance": "code" });
    asked(&world, &agent, strong).await;
}

#[tokio::test]
async fn what_a_limit_refuses_counts_for_no_other_key() {
    let world = World::start().await;
    let members = json!({ "asks_per_hour": 4, "scopes": ["requests:ask", "keys:write"] });
    let parent = agent(&world, members).await;
    let child = json!({ "asks_per_hour": 1, "scopes": ["requests:ask"] });
    let child = made_by(&world, &parent, child).await;
    let private = json!({ "callback_url": "https://localhost/" });
    for key in [&child, &parent] {
        let refused = ask(&world, key, private.clone()).await;
        assert_ne!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    }
    asked(&world, &child, json!({})).await;
    for _ in 0..9 {
        assert_eq!(ask(&world, &child, json!({})).await.code(), "rate_limited");
    }
    for _ in 0..3 {
        asked(&world, &parent, json!({})).await;
    }
    assert_eq!(ask(&world, &parent, json!({})).await.code(), "rate_limited");
}

/// Each of them may count. One that is refused shows the request when it is repeated.
#[tokio::test]
async fn concurrent_equal_calls_make_one_request() {
    let world = World::start().await;
    let agent = agent(&world, json!({ "asks_per_hour": 3 })).await;
    let bearer = format!("Bearer {}", agent["key"].as_str().expect("its text"));
    let headers = [("authorization", &*bearer), ("idempotency-key", "deploy-1")];
    let ask = || world.call_with(Method::POST, "/v1/requests", &headers, unnotified(json!({})));
    let mut answers = futures::future::join_all((0..20).map(|_| ask())).await;
    answers.push(ask().await);
    let (created, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|it| it.status == StatusCode::CREATED);
    let ids: BTreeSet<String> = created.iter().map(|it| it.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    assert!(refused.iter().all(|it| it.status == StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(answers[20].status, StatusCode::CREATED);
}

#[tokio::test]
async fn key_with_limits_revokes_no_key_without() {
    let world = World::start().await;
    let scopes = json!(["requests:ask", "keys:write"]);
    let limited = json!({
        "scopes": scopes, "asks_per_hour": 1, "recipients_allowed": ["*@corp.example"],
        "rate_limit_per_minute": 60,
    });
    let limited = agent(&world, limited).await;
    let [faster, wider, own, clerk] = [
        json!({ "asks_per_hour": 1, "recipients_allowed": ["*@corp.example"] }),
        json!({ "rate_limit_per_minute": 60 }),
        json!({
            "scopes": ["requests:ask"], "asks_per_hour": 1, "rate_limit_per_minute": 60,
            "recipients_allowed": ["ada@corp.example"],
        }),
        json!({ "scopes": ["keys:write"], "rate_limit_per_minute": 59 }),
    ];
    for (key, status) in [
        (agent(&world, faster).await, StatusCode::FORBIDDEN),
        (agent(&world, wider).await, StatusCode::FORBIDDEN),
        (agent(&world, own).await, StatusCode::NO_CONTENT),
        // It asks nobody, so it needs no limits on that.
        (agent(&world, clerk).await, StatusCode::NO_CONTENT),
    ] {
        let path = format!("/v1/keys/{}", key["id"].as_str().expect("an id"));
        let revoked = call(&world, &limited, Method::DELETE, &path, Value::Null).await;
        assert_eq!(revoked.status, status, "{}", revoked.text());
    }
}
