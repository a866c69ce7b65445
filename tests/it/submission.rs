//! Checks of callback URLs on submission, before anything is stored.

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

async fn ask_to_call(world: &World, url: &str, probe: bool) -> Answer {
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
        assert_refused(&ask_to_call(&world, url, true).await, url);
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
        for probe in [true, false] {
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
        let answer = ask_to_call(&world, url, false).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{url} {}", answer.text());
        assert_eq!(answer.json()["callback"]["url"], *url, "as it was given");
    }
    assert_eq!(n_requests(&world).await, accepted.len());
    let answer = ask_to_call(&world, "https://unknown.example.com/", false).await;
    assert_refused(&answer, "a name without an address");
}

#[tokio::test]
async fn urls_with_control_characters_are_refused() {
    let world = World::start().await;
    for character in ["\u{0}", "\u{1}", "\t", "\r\n", "\u{7f}", "\u{85}", "\u{2028}", "ü"] {
        let url = format!("https://hooks.example.com/{character}");
        assert_refused(&ask_to_call(&world, &url, true).await, &url);
    }
    assert_refused(&ask_to_call(&world, "", true).await, "");
    let longest = format!("https://hooks.example.com/{}", "a".repeat(200_000));
    assert_refused(&ask_to_call(&world, &longest, true).await, "a very long one");
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
        assert_refused(&ask_to_call(&world, url, false).await, url);
    }
    let answer = ask_to_call(&world, "https://otheranswers.example.com/", true).await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn unresponsive_callback_url_is_refused_and_nothing_is_stored() {
    let world = World::start().await;
    let kinds = [FailureKind::Dns, FailureKind::Connect, FailureKind::Tls, FailureKind::Timeout];
    for kind in kinds {
        let message = format!("no luck: {kind:?}");
        world.egress.script().refuse(Failure { kind, message: message.clone(), reply: None });
        let answer = ask_to_call(&world, "https://hooks.example.com/", true).await;
        assert_refused(&answer, "https://hooks.example.com/");
        let detail = format!("`/callback_url` did not respond to the probe: {message}");
        assert_eq!(answer.json()["detail"], detail);
    }
    assert_eq!(n_requests(&world).await, 0);
    let answer = ask_to_call(&world, "https://hooks.example.com/", true).await;
    assert_eq!(answer.status, StatusCode::CREATED);
}
