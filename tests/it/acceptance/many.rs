//! Many events for many webhooks. A test with killed processes is in `infra/cli/tests`.
//!
//! `ANSWERBACK_MANY_EVENTS=1000` makes a longer run: a delivery takes about 20 ms in this
//! unoptimized build.

use std::collections::BTreeMap;

use answerback::egress::Post;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Host, Receiver, event, header, text, webhook};

/// The variable with another number of events.
const EVENTS: &str = "ANSWERBACK_MANY_EVENTS";
const N_EVENTS: usize = 200;
const N_WEBHOOKS: usize = 10;

/// Counts deliveries by webhook and event, with the delivery's identifier.
#[derive(Default)]
struct Counter(BTreeMap<(String, String), Vec<String>>);

impl Receiver for Counter {
    fn receive(&mut self, post: &Post, _: Timestamp) -> u16 {
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        let id = header(post, "webhook-id").expect("the post names it").to_owned();
        let url = post.url.as_str().to_owned();
        self.0.entry((url, text(&body["id"]).to_owned())).or_default().push(id);
        204
    }
}

#[tokio::test]
async fn every_event_reaches_every_webhook_once() {
    let n_events = n_events();
    let (world, host) = Host::start(Counter::default()).await;
    let urls: Vec<String> =
        (0..N_WEBHOOKS).map(|it| format!("https://hooks{it}.example.com/all")).collect();
    for url in &urls {
        webhook(&world, json!({ "url": url })).await;
    }
    let mut ids = Vec::new();
    for number in 0..n_events {
        ids.push(event(&world, "build.done", &json!({ "number": number })).await);
        if number % 100 == 99 || number + 1 == n_events {
            world.follow_hints().await;
        }
    }

    let receiver = host.receiver();
    let mut expected = Vec::new();
    for url in &urls {
        expected.extend(ids.iter().map(|id| (url.clone(), id.clone())));
    }
    expected.sort();
    assert!(receiver.0.keys().eq(&expected), "an event did not reach a webhook");
    let mut deliveries: Vec<&String> = receiver.0.values().flatten().collect();
    assert_eq!(deliveries.len(), n_events * N_WEBHOOKS, "a delivery is duplicated");
    deliveries.sort();
    deliveries.dedup();
    assert_eq!(deliveries.len(), n_events * N_WEBHOOKS, "two deliveries have the same identifier");
}

#[expect(clippy::disallowed_methods, reason = "a setting of this test")]
fn n_events() -> usize {
    let given = std::env::var(EVENTS).ok();
    given.map_or(N_EVENTS, |it| it.parse().expect("a whole number"))
}
