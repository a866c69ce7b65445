//! Checks of callback URLs on submission, before anything is stored.

use std::time::Duration;

use answerback::{
    domain::CallbackRules,
    egress::{Client, Failure, FailureKind, Resolver},
};
use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};
use system_tests::{Answer, Setup, World};

use crate::requests::{ask, asking};

const URL: &str = "https://hooks.example.com/";
const URLS: &str = include_str!("../corpora/ssrf/urls.jsonl");

/// The rows of the corpus with this expected result, by URL.
fn rows(expect: &str) -> Vec<(String, Value)> {
    let rows = URLS.lines().map(|it| serde_json::from_str(it).expect("the corpus is well-formed"));
    rows.filter(|it: &Value| it["expect"] == expect)
        .map(|it| (it["url"].as_str().expect("a text").to_owned(), it["dns"].clone()))
        .collect()
}

/// A service with scripted name resolution and real connections.
async fn resolving(answers: &Value) -> World {
    let resolver = Resolver::from_json(&answers.to_string()).expect("well-formed");
    let egress = Client::network(CallbackRules::strict(), resolver);
    World::start_with(Setup { egress: Some(egress), ..Setup::default() }).await
}

async fn ask_to_call(world: &World, url: &str, probe: &str) -> Answer {
    ask(world, asking(json!({ "callback_url": url, "callback": { "probe": probe } }))).await
}

#[track_caller]
fn assert_refused(answer: &Answer, url: &str) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url:?} {}", answer.text());
    assert_eq!(answer.code(), "callback_url_not_allowed");
    let problem = answer.json();
    let [error] = &problem["errors"].as_array().expect("errors")[..] else { panic!("{problem}") };
    assert_eq!(error["pointer"], "/callback_url");
    let detail = error["detail"].as_str().expect("a rule");
    let is_reason = ["is not allowed: ", "did not respond to the probe: "]
        .iter()
        .any(|it| detail.strip_prefix(it).is_some_and(|it| !it.is_empty()));
    assert!(is_reason, "{detail}");
    assert_eq!(problem["detail"], format!("`/callback_url` {detail}"));
}

async fn n_requests(world: &World) -> usize {
    let list = world.call(Method::GET, "/v1/requests", Value::Null).await.json();
    list["data"].as_array().expect("a list").len()
}

#[tokio::test]
async fn invalid_corpus_urls_are_refused_and_nothing_is_stored() {
    let world = World::start().await;
    let refused = rows("reject");
    for (url, _) in &refused {
        assert_refused(&ask_to_call(&world, url, "require").await, url);
    }
    assert_eq!(refused.len(), 282);
    assert!(world.egress.script().checked().is_empty(), "none was even looked up");
    assert_eq!(n_requests(&world).await, 0);
}

/// Without a configured address, the service's own host is the called one, in any spelling.
#[tokio::test]
async fn callback_to_the_called_host_is_refused() {
    let world = World::start().await;
    let called = async |host: &str| {
        let body = asking(json!({ "callback_url": "https://hooks.api.example.com/" }));
        let call = Request::post("/v1/requests")
            .header("host", host)
            .header("authorization", format!("Bearer {}", world.key))
            .body(Bytes::from(body.to_string()))
            .expect("a valid request");
        world.system.http(&call).await
    };
    for host in ["api.example.com", "API.example.com.", "api.example.com.:443"] {
        let answer = called(host).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{host}");
        let problem: Value = serde_json::from_slice(answer.body()).expect("a problem");
        assert_eq!(problem["code"], "callback_url_not_allowed", "{host}");
    }
    assert_eq!(n_requests(&world).await, 0);
    assert_eq!(called("example.org.").await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn corpus_names_with_private_addresses_are_refused() {
    let refused = rows("reject-at-dns");
    for (url, addresses) in &refused {
        let host = url.trim_start_matches("https://").split('/').next().expect("a host");
        let world = resolving(&json!({ host: [addresses] })).await;
        for probe in ["report", "skip", "require"] {
            assert_refused(&ask_to_call(&world, url, probe).await, url);
        }
        assert_eq!(n_requests(&world).await, 0);
    }
    assert_eq!(refused.len(), 6);
}

#[tokio::test]
async fn valid_corpus_urls_are_accepted() {
    let accepted = rows("accept");
    let hosts = [
        "hooks.example.com",
        "xn--bcher-kva.example.com",
        "a-b.c1.example.co.uk",
        "localhost.example.com",
        "internal.example.com",
    ];
    let answers: Value = hosts.iter().map(|it| ((*it).to_owned(), json!([["1.1.1.1"]]))).collect();
    let world = resolving(&answers).await;
    for (url, _) in &accepted {
        let answer = ask_to_call(&world, url, "skip").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{url} {}", answer.text());
        assert_eq!(answer.json()["callback"]["url"], *url, "as it was given");
    }
    assert_eq!(n_requests(&world).await, accepted.len());
    let answer = ask_to_call(&world, "https://unknown.example.com/", "skip").await;
    assert_refused(&answer, "a name without an address");
}

#[tokio::test]
async fn urls_with_control_characters_are_refused() {
    let world = World::start().await;
    for character in ["\u{0}", "\u{1}", "\t", "\r\n", "\u{7f}", "\u{85}", "\u{2028}", "ü"] {
        let url = format!("https://hooks.example.com/{character}");
        assert_refused(&ask_to_call(&world, &url, "require").await, &url);
    }
    assert_refused(&ask_to_call(&world, "", "require").await, "");
    let longest = format!("https://hooks.example.com/{}", "a".repeat(200_000));
    assert_refused(&ask_to_call(&world, &longest, "require").await, "a very long one");
    assert_eq!(n_requests(&world).await, 0);
}

#[tokio::test]
async fn callback_to_the_service_itself_is_refused() {
    let world = World::start().await;
    for url in [
        "https://answers.example.com/",
        "https://ANSWERS.example.com:8443/v1/requests",
        "https://deep.answers.example.com/",
    ] {
        assert_refused(&ask_to_call(&world, url, "skip").await, url);
    }
    let answer = ask_to_call(&world, "https://otheranswers.example.com/", "require").await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn required_probe_refuses_an_unresponsive_url() {
    let world = World::start().await;
    let kinds = [FailureKind::Dns, FailureKind::Connect, FailureKind::Tls, FailureKind::Timeout];
    for kind in kinds {
        let message = format!("no luck: {kind:?}");
        world.egress.script().refuse(Failure { kind, message: message.clone(), reply: None });
        let answer = ask_to_call(&world, "https://hooks.example.com/", "require").await;
        assert_refused(&answer, "https://hooks.example.com/");
        let what = match kind {
            FailureKind::Dns => "is not allowed",
            _ => "did not respond to the probe",
        };
        assert_eq!(answer.json()["detail"], format!("`/callback_url` {what}: {message}"));
    }
    assert_eq!(n_requests(&world).await, 0);
    let answer = ask_to_call(&world, "https://hooks.example.com/", "require").await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.json()["callback"]["probe"], json!({ "ok": true }));
}

/// A probe that fails.
fn down(kind: FailureKind) -> Failure {
    Failure::new(kind, "the reason")
}

#[tokio::test]
async fn probe_is_reported_and_refuses_nothing_by_default() {
    let world = World::start().await;
    let script = world.egress.script();
    for (kind, expected) in [
        (FailureKind::Connect, "connect"),
        (FailureKind::Tls, "tls"),
        (FailureKind::Timeout, "timeout"),
        (FailureKind::Protocol, "protocol"),
    ] {
        script.refuse(down(kind));
        let request = world.create(asking(json!({ "callback_url": URL }))).await;
        let failed = json!({ "ok": false, "kind": expected });
        assert_eq!(request["callback"]["probe"], failed);
        let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
        let later = world.call(Method::GET, &path, Value::Null).await.json();
        assert_eq!(later["callback"]["probe"], Value::Null, "only the first call knows it");
    }
    script.answer_probe(302);
    let request = world.create(asking(json!({ "callback_url": URL }))).await;
    assert_eq!(request["callback"]["probe"], json!({ "ok": false, "kind": "redirect" }));
    let n_probed = script.probed().len();
    let skipped = json!({ "callback_url": URL, "callback": { "probe": "skip" } });
    let request = world.create(asking(skipped)).await;
    assert_eq!(request["callback"]["probe"], Value::Null);
    assert_eq!(script.probed().len(), n_probed);
    for kind in [FailureKind::Dns, FailureKind::BlockedAddress] {
        script.refuse(down(kind));
        assert_refused(&ask_to_call(&world, URL, "report").await, URL);
    }
}

#[tokio::test]
async fn webhooks_and_events_report_their_probes() {
    let world = World::start().await;
    let script = world.egress.script();
    let failed = json!({ "ok": false, "kind": "connect" });
    script.refuse(down(FailureKind::Connect));
    let made = json!({ "id": "h1", "url": URL });
    let made = world.call(Method::POST, "/v1/webhooks", made).await;
    assert_eq!((made.status, &made.json()["probe"]), (StatusCode::CREATED, &failed));
    let path = "/v1/webhooks/h1";
    let shown = world.call(Method::GET, path, Value::Null).await.json();
    assert_eq!(shown.get("probe"), None);
    let same = world.call(Method::PATCH, path, json!({ "description": "x" })).await.json();
    assert_eq!(same["probe"], Value::Null, "its URL is the same");
    script.refuse(down(FailureKind::Connect));
    let moved = json!({ "url": "https://other.example.com/" });
    let moved = world.call(Method::PATCH, path, moved).await.json();
    assert_eq!(moved["probe"], failed);
    script.refuse(down(FailureKind::Connect));
    let required = json!({ "url": URL, "probe": "require" });
    let refused = world.call(Method::PUT, path, required).await;
    assert_eq!(refused.code(), "callback_url_not_allowed");

    script.refuse(down(FailureKind::Connect));
    let event = json!({ "type": "job.done", "data": {}, "callback_url": URL });
    let posted = world.call(Method::POST, "/v1/events", event).await;
    assert_eq!(posted.status, StatusCode::ACCEPTED, "{}", posted.text());
    assert_eq!(posted.json()["callback"]["probe"], failed);
    let event = json!({ "type": "job.done", "data": {} });
    let posted = world.call(Method::POST, "/v1/events", event).await.json();
    assert_eq!(posted["callback"], Value::Null);
}

#[tokio::test]
async fn account_has_sixty_probes_a_minute() {
    let world = World::start().await;
    let url = |path: u32| json!({ "callback_url": format!("{URL}{path}") });
    for path in 0..60 {
        let request = world.create(asking(url(path))).await;
        assert_eq!(request["callback"]["probe"], json!({ "ok": true }));
    }
    let known = json!({ "callback_url": format!("{URL}7?job=8") });
    let request = world.create(asking(known)).await;
    assert_eq!(request["callback"]["probe"], json!({ "ok": true }), "it has just responded");
    let request = world.create(asking(url(60))).await;
    let limited = json!({ "ok": null, "kind": "rate_limited" });
    assert_eq!(request["callback"]["probe"], limited);
    let refused = ask_to_call(&world, URL, "require").await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::TOO_MANY_REQUESTS, "rate_limited".to_owned())
    );
    let wait: u64 =
        refused.headers["retry-after"].to_str().expect("ASCII").parse().expect("a number");
    assert_eq!(world.egress.script().probed().len(), 60);
    let skipped = ask_to_call(&world, URL, "skip").await;
    assert_eq!(skipped.status, StatusCode::CREATED);

    world.system.clock.advance(Duration::from_secs(wait));
    let accepted = ask_to_call(&world, URL, "require").await;
    assert_eq!(accepted.status, StatusCode::CREATED);
}
