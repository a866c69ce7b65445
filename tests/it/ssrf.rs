//! Deliveries never call forbidden addresses: not if an older rule accepted the URL, nor if its
//! name now has another address.

use answerback::{
    domain::{
        Attempt, CallbackRules, Delivery, DeliveryId, Mode, OpId, Owner, Profile, RequestEvent,
        RequestId,
        attempt::ErrorKind,
        delivery::{DeliveryEnd, DeliveryState, FailureReason, Receiver, Target},
    },
    egress::{self, Resolver},
    platform::{Group, Hint},
    store::{Saved, keys},
};
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::{Setup, World};

/// URLs that are refused as text, or after their name is resolved.
const URLS: &str = include_str!("../corpora/ssrf/urls.jsonl");

fn rows(expected: &str) -> Vec<Value> {
    let rows = URLS.lines().map(|it| serde_json::from_str::<Value>(it).expect("JSON"));
    rows.filter(|it| it["expect"] == expected).collect()
}

/// Stores deliveries to these URLs as if they had been accepted, and attempts them. Returns the
/// results.
async fn deliver<'a>(
    world: &World,
    rows: &'a [Value],
) -> Vec<(&'a str, Option<ErrorKind>, DeliveryState)> {
    let urls = rows.iter().map(|row| row["url"].as_str().expect("a URL"));
    let mut ids = Vec::new();
    for (number, url) in (1..).zip(urls) {
        ids.push((url, put(world, number, url).await));
    }
    world.follow_hints().await;
    let store = &world.system.store;
    let mut came = Vec::new();
    for (url, id) in ids {
        let attempt: Option<Attempt> =
            store.get(keys::attempt(id.attempt(1))).await.expect("the store exists");
        let delivery: Option<Delivery> =
            store.get(keys::delivery(id)).await.expect("the store exists");
        let error = attempt.expect("it was attempted").error.map(|it| it.kind);
        came.push((url, error, delivery.expect("the delivery is stored").state));
    }
    came
}

async fn put(world: &World, number: u128, url: &str) -> DeliveryId {
    let now = world.system.clock.now();
    let event = RequestId::from_bits(number << 20).event(1);
    let delivery = Delivery {
        id: Delivery::id_of(event, OpId(1), "callback"),
        owner: Owner { account: world.account.id, mode: Mode::Live },
        channel: None,
        event_type: RequestEvent::RequestFinished.into(),
        happened_at: now,
        trace: None,
        webhook: None,
        way: 0,
        has_report: false,
        copy: None,
        target: Target::Https(Receiver {
            timeout_seconds: 1,
            ..Receiver::of(url, Profile::Standard)
        }),
        body: Some(b"{}".to_vec()),
        created_at: now,
        state: DeliveryState::Waiting { not_before: now, reason: None },
        attempt: 0,
        starts: 0,
        failures: 0,
        breaker_wait: Duration::ZERO,
        expedited_by: None,
        redeliveries: None,
        first_attempt: None,
        is_private: false,
        due_at: Some(now),
        revision: 0,
    };
    let created = world.system.store.create(&delivery).await.expect("the store exists");
    assert!(matches!(created, Saved::Saved));
    let hint = Hint::delivery(delivery.id, 0);
    world
        .system
        .deliver
        .core
        .hints
        .send(Group::Account(world.account.id), &hint, Duration::ZERO)
        .await;
    delivery.id
}

#[tokio::test]
async fn delivery_to_an_invalid_url_fails_without_a_call() {
    let world = World::start().await;
    let rows = rows("reject");
    assert!(rows.len() > 200);
    for (url, error, state) in deliver(&world, &rows).await {
        assert_eq!(error, Some(ErrorKind::BlockedAddress), "{url}");
        let failed = DeliveryEnd::Failed(FailureReason::BlockedAddress);
        assert!(
            matches!(state, DeliveryState::Done { end, .. } if end == failed),
            "{url}: {state:?}"
        );
    }
    assert_eq!(world.posts().len(), 0);
}

#[tokio::test]
async fn name_with_a_private_address_is_not_called_but_retried() {
    let rows = rows("reject-at-dns");
    assert!(!rows.is_empty());
    let host = |row: &Value| {
        let url = row["url"].as_str().expect("a URL");
        let rest = url.trim_start_matches("https://");
        rest.split('/').next().expect("a host").to_owned()
    };
    let answers: serde_json::Map<String, Value> =
        rows.iter().map(|row| (host(row), json!([row["dns"]]))).collect();
    let resolver = Resolver::from_json(&Value::from(answers).to_string()).expect("answers");
    let egress = egress::Client::network(CallbackRules::strict(), resolver);
    let world = World::start_with(Setup { egress: Some(egress), ..Setup::default() }).await;
    for (url, error, state) in deliver(&world, &rows).await {
        assert_eq!(error, Some(ErrorKind::BlockedAddress), "{url}");
        assert!(matches!(state, DeliveryState::Waiting { .. }), "{url}: {state:?}");
    }
}
