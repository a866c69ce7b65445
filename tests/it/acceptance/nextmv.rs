//! Nextmv: events of a run, signed with a timestamp in milliseconds.

use std::{sync::Arc, time::Duration};

use answerback::egress::Post;
use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use system_tests::World;

use super::{Host, Receiver, get, header, live, second, text, timed, told, webhook_at};
use crate::profiles::hmac_sha256;

/// Maximum age of a signature, as a user would set it.
const TOLERANCE_MILLISECONDS: i64 = 5 * 60 * 1_000;

/// Recomputes the signature, and refuses old or foreign ones.
#[derive(Default)]
struct Runs {
    secret: String,
    /// Response statuses to use first, in order.
    moods: Vec<u16>,
    posts: Vec<Post>,
    /// Arrival times and response statuses.
    answers: Vec<(i64, u16)>,
    taken: Vec<Value>,
}

impl Runs {
    fn is_genuine(&self, signature: &str, body: &[u8], now: Timestamp) -> bool {
        let Some((time, signatures)) = timed(signature, &["v1"]) else { return false };
        let signed = [format!("{time}.").as_bytes(), body].concat();
        let expected = hmac_sha256(self.secret.as_bytes(), &signed);
        let age = now.as_millisecond() - time;
        signatures.contains(&&*expected) && (0..=TOLERANCE_MILLISECONDS).contains(&age)
    }
}

impl Receiver for Runs {
    fn receive(&mut self, post: &Post, now: Timestamp) -> u16 {
        let signature = header(post, "nextmv-signature").unwrap_or_default();
        let status = if !self.is_genuine(signature, &post.body, now) {
            401
        } else if self.moods.is_empty() {
            self.taken.push(serde_json::from_slice(&post.body).expect("JSON"));
            204
        } else {
            self.moods.remove(0)
        };
        self.posts.push(post.clone());
        self.answers.push((second(now), status));
        status
    }
}

fn run(status: &str) -> Value {
    json!({
        "application_id": "routing", "run_id": "run-7", "status": status, "instance_id": null,
        "statistics": { "result": { "value": 1.250, "duration": 0.1 } },
    })
}

/// A service with a webhook that uses this profile.
async fn start(moods: &[u16]) -> (World, Arc<Host<Runs>>) {
    let (world, host) = Host::start(Runs { moods: moods.to_vec(), ..<_>::default() }).await;
    let runs = json!({ "id": "runs", "endpoint_url": "https://nextmv.example.com/runs" });
    host.receiver().secret = webhook_at(&world, "/nextmv/v1/webhooks", runs).await;
    (world, host)
}

#[tokio::test]
async fn nextmv_receiver_accepts_run_events_as_posted() {
    let (world, host) = start(&[]).await;
    let statuses = ["queued", "running", "succeeded"];
    for status in statuses {
        let delivery = told(&world, "run.status", &run(status)).await;
        assert_eq!(delivery["status"], "delivered");
        world.system.clock.advance(Duration::from_millis(1_234));
    }
    let receiver = host.receiver();
    assert_eq!(receiver.taken, statuses.map(run));
    let first = timed(header(&receiver.posts[0], "nextmv-signature").expect("signed"), &["v1"]);
    let second = timed(header(&receiver.posts[1], "nextmv-signature").expect("signed"), &["v1"]);
    let (first, second) = (first.expect("a time").0, second.expect("a time").0);
    assert_eq!(second - first, 1_234, "in milliseconds");
}

#[tokio::test]
async fn nextmv_receiver_refuses_old_altered_and_foreign_signatures() {
    let (world, host) = start(&[]).await;
    told(&world, "run.status", &run("succeeded")).await;
    let now = world.system.clock.now();
    let receiver = host.receiver();
    let post = &receiver.posts[0];
    let signature = header(post, "nextmv-signature").expect("signed");
    let at = |milliseconds| now + Duration::from_millis(milliseconds);
    assert!(receiver.is_genuine(signature, &post.body, at(300_000)));
    assert!(!receiver.is_genuine(signature, &post.body, at(300_001)), "the signature is old");

    for index in 0..post.body.len() {
        let mut altered = post.body.clone();
        altered[index] ^= 1;
        assert!(!receiver.is_genuine(signature, &altered, now), "byte {index} is changed");
    }
    let time = now.as_millisecond();
    let later = signature.replace(&format!("t={time}"), &format!("t={}", time + 1));
    assert_ne!(later, signature);
    assert!(!receiver.is_genuine(&later, &post.body, at(1)), "the time is signed too");
    let other = Runs { secret: "whsec_other".to_owned(), ..<_>::default() };
    assert!(!other.is_genuine(signature, &post.body, now));
}

#[tokio::test]
async fn every_retry_and_redelivery_has_a_new_signature() {
    let (world, host) = start(&[503, 500, 429]).await;
    let delivery = told(&world, "run.status", &run("failed")).await;
    live(&world, 4, Duration::from_mins(15)).await;
    let path = format!("/v1/deliveries/{}", text(&delivery["id"]));
    assert_eq!(get(&world, &path).await["status"], "delivered");
    let again = world.call(Method::POST, &format!("{path}/redeliver"), Value::Null).await;
    assert!(again.status.is_success(), "{}", again.text());
    world.follow_hints().await;

    let receiver = host.receiver();
    let statuses: Vec<u16> = receiver.answers.iter().map(|it| it.1).collect();
    assert_eq!(statuses, [503, 500, 429, 204, 204], "{:?}", receiver.answers);
    assert_eq!(receiver.taken, [run("failed"), run("failed")]);
    let ids = receiver.posts.iter().map(|it| header(it, "answerback-delivery"));
    assert!(ids.eq([delivery["id"].as_str(); 5]));
    let (first, last) = (receiver.answers[0].0, receiver.answers[3].0);
    assert!((2_105..3_600).contains(&(last - first)), "{:?}", receiver.answers);
}
