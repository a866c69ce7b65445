//! Many events for many webhooks. `infra/tests` has as many again for the program itself.

use std::collections::BTreeMap;

use answerback::egress::Post;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Host, Receiver, event, header, text, webhook};

const N_EVENTS: usize = 200;
const N_WEBHOOKS: usize = 10;

/// Counts what it gets, by webhook and event, with the delivery's identifier.
#[derive(Default)]
struct Counter(BTreeMap<(String, String), Vec<String>>);

impl Receiver for Counter {
    fn receive(&mut self, post: &Post, _: Timestamp) -> u16 {
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        let id = header(post, "webhook-id").expect("it is named").to_owned();
        let url = post.url.as_str().to_owned();
        self.0.entry((url, text(&body["id"]).to_owned())).or_default().push(id);
        204
    }
}

#[tokio::test]
async fn two_hundred_events_reach_ten_webhooks_once_each() {
    let (world, host) = Host::start(Counter::default()).await;
    let urls: Vec<String> =
        (0..N_WEBHOOKS).map(|it| format!("https://hooks{it}.example.com/all")).collect();
    for url in &urls {
        webhook(&world, json!({ "endpoint_url": url })).await;
    }
    let mut ids = Vec::new();
    for number in 0..N_EVENTS {
        ids.push(event(&world, "build.done", &json!({ "number": number })).await);
        if number % 100 == 99 {
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
    assert_eq!(deliveries.len(), N_EVENTS * N_WEBHOOKS, "something came twice");
    deliveries.sort();
    deliveries.dedup();
    assert_eq!(deliveries.len(), N_EVENTS * N_WEBHOOKS, "two deliveries have one name");
}
