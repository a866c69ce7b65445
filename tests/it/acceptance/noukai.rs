//! Noukai: events of an execution, in signed deliveries with an identifier to detect duplicates.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use answerback::{domain::Scope, egress::Post};
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use system_tests::World;

use super::{Host, Receiver, get, header, live, second, text, timed, told, webhook};
use crate::profiles::hmac_sha256;

const TOLERANCE_SECONDS: i64 = 300;

/// Verifies the raw body with either signature, and accepts each delivery once.
#[derive(Default)]
struct Flows {
    secret: String,
    /// Response statuses to use first, in order, after the signature is verified.
    moods: Vec<u16>,
    /// Posts whose signature did not verify.
    refused: Vec<Post>,
    /// Accepted bodies by delivery identifier.
    taken: BTreeMap<String, Value>,
    /// Each attempt whose signature verified.
    attempts: Vec<Attempt>,
}

#[derive(Debug, PartialEq)]
struct Attempt {
    delivery: String,
    second: i64,
    status: u16,
}

impl Flows {
    fn is_genuine(&self, post: &Post, now: Timestamp) -> bool {
        let signature = header(post, "x-noukai-signature").unwrap_or_default();
        let Some((time, signatures)) = timed(signature, &["v1", "v2"]) else { return false };
        let signed = [format!("{time}.").as_bytes(), &post.body].concat();
        let expected = hmac_sha256(self.secret.as_bytes(), &signed);
        signatures.contains(&&*expected)
            && header(post, "x-noukai-timestamp") == Some(&time.to_string())
            && (now.as_second() - time).abs() <= TOLERANCE_SECONDS
    }
}

impl Receiver for Flows {
    fn receive(&mut self, post: &Post, now: Timestamp) -> u16 {
        if !self.is_genuine(post, now) {
            self.refused.push(post.clone());
            return 401;
        }
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        assert_eq!(body["event"].as_str(), header(post, "x-noukai-event"));
        assert_eq!(header(post, "user-agent"), Some("Noukai-Webhook/1.0"));
        assert!(body["executionId"].is_string() && body["status"].is_string(), "{body}");
        let delivery = header(post, "x-noukai-delivery").expect("the post names it").to_owned();
        let status = if self.moods.is_empty() { 200 } else { self.moods.remove(0) };
        if status == 200 {
            let before = self.taken.insert(delivery.clone(), body.clone());
            assert!(before.is_none_or(|it| it == body), "one identifier for two bodies");
        }
        self.attempts.push(Attempt { delivery, second: second(now), status });
        status
    }
}

fn job(execution: &str) -> Value {
    json!({ "executionId": execution, "status": "succeeded", "rows": [1, 2.50], "by": "Zoë" })
}

async fn start(moods: &[u16]) -> (World, Arc<Host<Flows>>) {
    let (world, host) = Host::start(Flows { moods: moods.to_vec(), ..<_>::default() }).await;
    let flows = json!({
        "id": "flows", "profile": "noukai", "url": "https://noukai.example.com/flows",
        "max_payload_bytes": 8_192,
    });
    host.receiver().secret = webhook(&world, flows).await;
    (world, host)
}

/// The deliveries to the webhook with this status.
async fn deliveries(world: &World, status: &str) -> Vec<Value> {
    let path = format!("/v1/deliveries?webhook_id=flows&status={status}");
    get(world, &path).await["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn completions_and_failures_have_the_format_of_noukai() {
    let (world, host) = start(&[]).await;
    let completed = told(&world, "job.completed", &job("e-1")).await;
    let failed = json!({ "executionId": "e-2", "status": "failed", "error": "no such table" });
    let failed = told(&world, "job.failed", &failed).await;
    assert_eq!(
        (&completed["status"], &failed["status"]),
        (&json!("delivered"), &json!("delivered"))
    );

    let receiver = host.receiver();
    let names = receiver.attempts.iter().map(|it| &receiver.taken[&it.delivery]);
    let expected = [
        json!({
            "event": "flow.completed", "executionId": "e-1", "status": "succeeded",
            "payload": { "rows": [1, 2.50], "by": "Zoë" },
        }),
        json!({
            "event": "flow.failed", "executionId": "e-2", "status": "failed",
            "payload": { "error": "no such table" },
        }),
    ];
    assert!(names.eq(&expected), "{:?}", receiver.taken);
}

#[tokio::test]
async fn rotation_loses_no_delivery_during_the_overlap() {
    // An event every ten minutes; the overlap is from the 30th to the 90th.
    const ROTATED: u32 = 30;
    for followed in [30, 60, 85] {
        // Each is retried a minute later, so that a change falls between two attempts of a
        // delivery.
        let (world, host) = start(&[503, 200].repeat(14)).await;
        let mut new = None;
        for minute in 0..120 {
            // Attempts after the change, in the same minute or later, have both signatures.
            if minute % 10 == 0 && minute != ROTATED {
                told(&world, "job.completed", &job(&format!("e-{minute}"))).await;
            }
            if minute == ROTATED - 1 || minute == followed - 1 {
                told(&world, "job.completed", &job(&format!("just before {minute}"))).await;
            }
            if minute == ROTATED {
                let path = "/v1/webhooks/flows/secret/rotate";
                let overlap = json!({ "overlap_seconds": 3_600 });
                let rotated = world.call(Method::POST, path, overlap).await;
                assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text());
                new = Some(text(&rotated.json()["secret"]).to_owned());
                told(&world, "job.completed", &job("just rotated")).await;
            }
            if minute == followed {
                let new = new.take().expect("the secret was rotated");
                assert_ne!(std::mem::replace(&mut host.receiver().secret, new.clone()), new);
            }
            world.pass(Duration::from_mins(1)).await;
        }
        assert_eq!(deliveries(&world, "pending").await, Vec::<Value>::new());
        let receiver = host.receiver();
        assert_eq!(receiver.refused.len(), 0, "followed after {followed} minutes");
        assert_eq!(receiver.taken.len(), if followed == ROTATED { 13 } else { 14 });
    }
}

#[tokio::test]
async fn receiver_with_the_old_secret_refuses_after_the_overlap() {
    let (world, host) = start(&[]).await;
    let path = "/v1/webhooks/flows/secret/rotate";
    world.call(Method::POST, path, json!({ "overlap_seconds": 60 })).await;
    assert_eq!(told(&world, "job.completed", &job("e-1")).await["status"], "delivered");
    world.pass(Duration::from_mins(1)).await;
    assert_eq!(told(&world, "job.completed", &job("e-2")).await["status"], "pending");
    let receiver = host.receiver();
    let [refused] = &receiver.refused[..] else { panic!("one") };
    let signature = header(refused, "x-noukai-signature").expect("the post is signed");
    assert_eq!(timed(signature, &["v2"]).expect("a time").1, Vec::<&str>::new());
}

#[tokio::test]
async fn retry_keeps_its_delivery_id_and_has_a_new_timestamp() {
    let (world, host) = start(&[500, 429]).await;
    let delivery = told(&world, "job.completed", &job("e-1")).await;
    world.pass(Duration::from_mins(10)).await;
    assert_eq!(deliveries(&world, "delivered").await[0]["id"], delivery["id"]);
    let receiver = host.receiver();
    let [first, second, third] = &receiver.attempts[..] else { panic!("{:?}", receiver.attempts) };
    assert_eq!([first.status, second.status, third.status], [500, 429, 200]);
    assert_eq!((&second.delivery, &third.delivery), (&first.delivery, &first.delivery));
    assert!(second.second - first.second >= 60 && third.second - second.second >= 300);
    assert_eq!(receiver.refused.len(), 0, "each was signed when it was sent");
}

#[tokio::test]
async fn redirect_is_a_permanent_failure() {
    for status in [301, 302, 304, 307, 308] {
        let (world, host) = start(&[status]).await;
        told(&world, "job.completed", &job("e-1")).await;
        world.pass(Duration::from_mins(15)).await;
        assert_eq!(host.receiver().attempts.len(), 1, "{status}");
        let [delivery] = &deliveries(&world, "failed").await[..] else { panic!("one") };
        assert_eq!(delivery["state_reason"], "redirect", "{status}");
    }
}

#[tokio::test]
async fn truncated_payload_is_fetched_with_an_api_key() {
    let (world, host) = start(&[]).await;
    let mut whole = job("e-1");
    whole["log"] = "line\n".repeat(2_000).into();
    told(&world, "job.completed", &whole).await;

    let taken: Vec<Value> = host.receiver().taken.values().cloned().collect();
    let [body] = &taken[..] else { panic!("one") };
    assert_eq!((&body["truncated"], &body["payload"]["truncated"]), (&json!(true), &json!(true)));
    assert_eq!((&body["executionId"], &body["status"]), (&json!("e-1"), &json!("succeeded")));
    let url = text(&body["payload"]["data_url"]);
    let path = &url[url.find("/v1/").expect("the API's address")..];
    let key = format!("Bearer {}", world.key_with(&[Scope::WebhooksRead]).await);
    let with_key = [("authorization", &*key)];
    let fetched = world.call_with(Method::GET, path, &with_key, Value::Null).await;
    assert_eq!(fetched.status, StatusCode::OK, "{}", fetched.text());
    assert_eq!(fetched.json()["data"], whole);
    let without = world.send(Method::GET, path, &[], axum::body::Bytes::new()).await;
    assert_eq!(without.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn list_shows_delivered_retrying_and_failed_deliveries() {
    let moods = [&[200, 503, 200][..], &[500; 6]].concat();
    let (world, host) = start(&moods).await;
    let mut ids = Vec::new();
    for (execution, n_sweeps) in [("at once", 1), ("the second time", 1), ("never", 40)] {
        let delivery = told(&world, "job.completed", &job(execution)).await;
        ids.push(delivery["id"].clone());
        live(&world, n_sweeps, Duration::from_mins(15)).await;
    }
    let list = get(&world, "/v1/deliveries?webhook_id=flows").await;
    let shown = list["data"].as_array().expect("a list").iter().rev();
    let shown = shown.map(|it| (&it["id"], &it["status"], &it["attempts"]));
    let expected = [(1, "delivered"), (2, "delivered"), (6, "dead_lettered")];
    let expected = expected.map(|(attempts, status)| (json!(status), json!(attempts)));
    let expected = ids.iter().zip(&expected).map(|(id, (status, n))| (id, status, n));
    assert!(shown.eq(expected), "{list}");
    assert_eq!(host.receiver().taken.len(), 2);
    assert_eq!(deliveries(&world, "delivered").await.len(), 2);
    assert_eq!(deliveries(&world, "dead_lettered").await[0]["id"], ids[2]);
}
