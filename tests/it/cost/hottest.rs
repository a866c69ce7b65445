//! The partition that limits the events of one account: DynamoDB writes 1,000 units a second to each.

use std::collections::BTreeMap;

use answerback::{domain::account::LIST_SHARDS_MAX, store::advance};
use system_tests::meter::Partition;

use super::*;

/// The units that a partition takes in a second.
const PARTITION_UNITS: f64 = 1_000.0;
/// Events that are measured: enough for the shards to differ little.
const N_EVENTS: u32 = 100;

/// Units that one event writes to the busiest partition of each kind. The kind of a key is the key
/// without its numbers and identifiers.
async fn units_of_an_event(n_list_shards: Option<u32>) -> BTreeMap<String, f64> {
    let (world, meter) = metered(false).await;
    if let Some(n) = n_list_shards {
        let account = world.account.clone();
        advance(&world.system.store, account, |it| it.spread(n)).await.expect("written");
    }
    subscribe(&world, 50).await;
    post_event(&world).await;
    meter.take();
    for _ in 0..N_EVENTS {
        post_event(&world).await;
        world.system.clock.advance(Duration::from_millis(7));
    }
    let mut hottest = BTreeMap::<String, f64>::new();
    for (partition, units) in meter.take().written() {
        let units = if is_of_one_event(partition) { *units } else { units / f64::from(N_EVENTS) };
        let most = hottest.entry(kind(partition)).or_default();
        *most = most.max(units);
    }
    hottest
}

/// Each event has new partitions for itself, so these limit no rate.
fn is_of_one_event(partition: &Partition) -> bool {
    partition.of == "table" && ["evt_", "clm#"].iter().any(|it| partition.key.starts_with(it))
}

fn kind(Partition { of, key }: &Partition) -> String {
    let parts = key.split('#').filter(|it| !it.contains('_') && it.parse::<u32>().is_err());
    let parts: Vec<_> = parts.filter(|it| !it.starts_with("hook-")).collect();
    let own = key.split_once('_').filter(|_| of == "table").map(|it| it.0);
    format!("{of} {}", own.map_or_else(|| parts.join("#"), str::to_owned))
}

/// Events a second that the busiest partition allows, of those that all events share.
fn events_per_second(hottest: &BTreeMap<String, f64>) -> f64 {
    let shared =
        hottest.iter().filter(|it| !["table evt", "table clm#evt"].contains(&it.0.as_str()));
    PARTITION_UNITS / shared.map(|it| *it.1).fold(0.0, f64::max)
}

#[tokio::test]
async fn account_with_50_webhooks_may_post_80_events_a_second() {
    let hottest = units_of_an_event(None).await;
    assert!(events_per_second(&hottest) >= 80.0, "{hottest:?}");
    // All that an event writes to one partition, and what it adds to those that all events share.
    let rest = hottest.iter().filter(|it| !it.0.ends_with("#dlv"));
    let rest: Vec<_> =
        rest.map(|(kind, units)| (kind.as_str(), (units * 10.0).round() / 10.0)).collect();
    let expected = [
        ("due ", 0.7),
        ("list live#evt", 1.0),
        ("table clm#evt", 1.0),
        ("table evt", 52.0),
        ("webhook live#whk", 1.0),
    ];
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn account_with_32_shards_may_post_500_events_a_second() {
    let hottest = units_of_an_event(Some(LIST_SHARDS_MAX)).await;
    assert!(events_per_second(&hottest) >= 500.0, "{hottest:?}");
}
