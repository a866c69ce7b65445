//! Upgrades: this version continues with the tables of earlier versions.
//!
//! ```text
//! sets/1, …    tables that earlier versions wrote, and their clients' data. They never change.
//! past         writes such a table with today's code
//! encoding     lists the encoding of a table: attributes, JSON members, words of enumerations
//! ```
//!
//! After a change of the encoding the last test fails. It writes a new set to add to the others.

mod encoding;
mod newer;
mod past;
mod sets;

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::World;

use self::{
    encoding::encoding,
    past::{everything, id, question},
    sets::{Restored, SETS},
};
pub(crate) use self::{
    past::Past,
    sets::{items, plain},
};

async fn get(world: &World, path: &str) -> Value {
    let answer = world.call(Method::GET, path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

/// All items of a list.
async fn list(world: &World, path: &str) -> Vec<Value> {
    let page = get(world, &format!("{path}limit=100")).await;
    assert_eq!(page["next_cursor"], Value::Null);
    page["data"].as_array().expect("a list").clone()
}

/// The types of the events of a request that receivers got, sorted.
fn received(world: &World, request: &Value) -> Vec<String> {
    let mut types = Vec::new();
    for post in world.posts() {
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        let of = [&body["data"]["request_id"], &body["request_id"]];
        if of.contains(&&request["id"]) {
            types.push(body["type"].as_str().unwrap_or("without a type").to_owned());
        }
    }
    types.sort_unstable();
    types
}

/// Lets time pass, with a sweep every minute.
async fn pass(world: &World, minutes: u32) {
    for _ in 0..minutes {
        world.pass(Duration::from_mins(1)).await;
        let swept = world.system.sweep().await;
        assert_eq!((swept.n_errors, swept.n_left), (0, 0));
        world.follow_hints().await;
    }
}

#[tokio::test]
async fn keys_of_earlier_versions_show_all_items() {
    for set in SETS {
        let Restored { world, known } = set.restore().await;
        for (kind, path) in [
            ("req", "/v1/requests"),
            ("dlv", "/v1/deliveries"),
            ("evt", "/v1/events"),
            ("key", "/v1/keys"),
            ("ch", "/v1/channels"),
        ] {
            // The list of deliveries has several partitions.
            let partition = format!("#live#{kind}");
            let mut listed = set.items();
            listed
                .retain(|it| it["list_pk"]["S"].as_str().is_some_and(|it| it.contains(&partition)));
            let shown = list(&world, &format!("{path}?")).await;
            assert_eq!(shown.len(), listed.len(), "{path}");
            for it in shown.iter().filter(|_| !["key", "ch"].contains(&kind)) {
                get(&world, &format!("{path}/{}", id(it))).await;
            }
        }
        for (name, reason) in
            [("jobs", None), ("failing", None), ("gone", Some("gone")), ("off", Some("by_hand"))]
        {
            let shown = get(&world, &format!("/v1/webhooks/{name}")).await;
            assert_eq!(shown["disabled_reason"].as_str(), reason, "{name}");
        }
        assert_eq!(list(&world, "/v1/webhooks/gone/attempts?").await.len(), 1);
        let notifiers = get(&world, "/v1/notifiers").await;
        let notifiers = notifiers["data"].as_array().expect("a list");
        let (enabled, disabled): (Vec<_>, Vec<_>) =
            notifiers.iter().partition(|it| it["disabled"] == Value::Null);
        assert_eq!((enabled.len(), disabled.len()), (11, 1));
        assert_eq!(disabled[0]["disabled"]["reason"], "by_hand");
        let test = format!("Bearer {}", known["test_key"].as_str().expect("a key"));
        let headers = [("authorization", test.as_str())];
        let none = world.call_with(Method::GET, "/v1/requests", &headers, Value::Null).await;
        assert_eq!(none.json()["data"], json!([]));
        for secret in [
            "/v1/secret".to_owned(),
            "/v1/webhooks/jobs/secret".to_owned(),
            format!("/v1/channels/{}/secret", id(&known["channel"])),
        ] {
            let shown = get(&world, &format!("{secret}?reveal=true")).await;
            assert!(shown["secret"].is_string() && shown["previous_expires_at"].is_string());
        }
    }
}

#[tokio::test]
async fn idempotency_keys_of_earlier_versions_still_hold() {
    for set in SETS {
        let Restored { world, known } = set.restore().await;
        let headers = [("idempotency-key", "once")];
        let body = question(everything());
        let again = world.call_with(Method::POST, "/v1/requests", &headers, body).await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.json()["id"], known["pending"]["id"]);
    }
}

#[tokio::test]
async fn pending_requests_and_deliveries_are_completed() {
    for set in SETS {
        let Restored { world, known } = set.restore().await;
        let approve = json!({
            "option": "approve",
            "fields": { "why": "Yes", "how": "So", "n": 2, "where": "EU", "loud": true },
        });
        for recipient in [0, 1] {
            let answer = world.answer(&known["pending"], recipient, approve.clone()).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        }
        let simply = json!({ "option": "approve" });
        world.answer(&known["half_dispatched"], 1, simply.clone()).await;
        assert_eq!(world.answer(&known["anonymous"], 0, simply).await.json()["status"], "finished");
        let own = json!({ "option": "approve", "code": known["locked"]["recipients"][0]["code"] });
        let locked = world.answer(&known["locked"], 0, own).await;
        assert_eq!(locked.code(), "link_locked", "{}", locked.text());
        pass(&world, 6).await;
        world.system.clock.advance(Duration::from_hours(1));
        pass(&world, 2).await;

        let (created, answered, finished) =
            ("request.created", "request.answered", "request.finished");
        for (name, types) in [
            ("pending", &[answered, answered, finished] as &[_]),
            ("half_dispatched", &[answered, answered, created, finished]),
            ("finished_and_not_dispatched", &[finished]),
            ("answered_at_length", &[answered]),
            ("locked", &["request.link_locked", "request.link_locked"]),
            ("retried", &[finished]),
            ("leased_to_a_dead_worker", &[finished]),
            ("waits_for_the_breaker", &[finished]),
            ("waits_in_the_slow_lane", &["without a type"]),
            ("erased", &[]),
            ("delivered", &[]),
        ] {
            assert_eq!(received(&world, &known[name]), types, "{name}");
        }
        let posts = world.posts();
        let job = posts
            .iter()
            .find(|it| it.url.host() == "jobs.example.com")
            .expect("the webhook was called");
        assert_eq!(job.headers["authorization"], "Bearer T0ken");
        let signatures = job.headers["webhook-signature"].to_str().expect("ASCII");
        assert_eq!(signatures.split(' ').count(), 2, "both secrets still sign");

        let path = |name: &str| format!("/v1/requests/{}", id(&known[name]));
        let ended = get(&world, &path("due_in_an_hour")).await;
        assert_eq!(ended["outcome"], "timed_out");
        assert_eq!(ended["responses"][0]["option"], "approve");
        let asked = get(&world, &path("asked_at_length")).await;
        assert_eq!(asked["body"].as_str().map(str::len), Some(2_000));
        let long = get(&world, &path("answered_at_length")).await;
        assert_eq!(long["responses"][0]["fields"]["why"], "Yes. ".repeat(1_000));
        let waiting = list(&world, "/v1/deliveries?status=pending&").await;
        assert_eq!(waiting, Vec::<Value>::new(), "no delivery is pending");
        let pending = list(&world, "/v1/requests?status=pending&").await;
        let n_counted = world.system.store.n_pending(world.account.id, 100).await.expect("counted");
        let is_capped = set.items().iter().any(|it| it.get("max_pending").is_some());
        assert_eq!(n_counted, u32::from(is_capped), "{pending:?}");
        assert_eq!(get(&world, "/v1/webhooks/failing").await["failing_since"], Value::Null);
    }
}

#[tokio::test]
async fn results_of_earlier_versions_keep_their_read_policy() {
    for set in SETS {
        let Restored { world, known } = set.restore().await;
        let path = |name: &str| format!("/v1/requests/{}/result", id(&known[name]));
        let unread = get(&world, &path("unread")).await;
        assert_eq!(unread["result"]["decision"], "approve");
        assert_eq!(get(&world, &path("unread")).await["status"], "already_read");
        assert_eq!(get(&world, &path("consumed")).await["status"], "already_read");
        assert_eq!(get(&world, &path("expired")).await["status"], "expired");
        assert_eq!(get(&world, &path("leased")).await["status"], "pending");
        let receipt = json!({ "receipt": known["leased_result"]["receipt"] });
        let path_of_ack = format!("{}/ack", path("leased"));
        let acknowledged = world.call(Method::POST, &path_of_ack, receipt).await;
        assert_eq!(acknowledged.status, StatusCode::OK, "{}", acknowledged.text());
        assert_eq!(get(&world, &path("leased")).await["status"], "already_read");
    }
}

#[tokio::test]
async fn channel_tokens_of_earlier_versions_still_work() {
    for set in SETS {
        let Restored { world, known } = set.restore().await;
        let token = known["channel"]["token"].as_str().expect("a token");
        let headers = [("content-type", "application/json")];
        let path = format!("/v1/send/{token}");
        let sent =
            world.send(Method::POST, &path, &headers, r#"{ "title": "Hello" }"#.into()).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.text());
        let path = format!("/v1/callback/{token}/{}", id(&known["message"]));
        let read = world.visit(Method::GET, &path, "").await.json();
        assert_eq!(read["status"], "pending");
    }
}

/// Forces a new set in addition to the old ones, which never change.
#[tokio::test]
async fn newest_set_contains_all_of_the_encoding() {
    let past = Past::live().await;
    let today = encoding(&sets::items(&past.world).await);
    let newest = encoding(&SETS.last().expect("at least one set").items());
    let more: Vec<_> = today.difference(&newest).collect();
    if !more.is_empty() {
        let folder = sets::write(&past).await;
        let n_sets = SETS.len();
        panic!(
            "set {n_sets} lacks a part of today's encoding: {more:#?}\nA new set is in {}. Move it to \
             tests/it/upgrades/sets/{}",
            folder.display(),
            n_sets + 1,
        );
    }
}
