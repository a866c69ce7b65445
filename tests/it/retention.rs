//! Expiry times of items: unfinished work never expires.

use serde_json::{Value, json};
use system_tests::{World, letters};

use crate::{
    requests::asking,
    upgrades::{Past, items, plain},
};

const DAY: i64 = 86_400;
/// Time for which long questions and answers are kept longer than their request.
const GRACE: i64 = 7 * DAY;
/// Local retention of finished items.
const RETENTION: i64 = 30 * DAY;

/// A time attribute of an item, in seconds.
fn second(item: &Value, name: &str) -> Option<i64> {
    item.get(name)?["N"].as_str()?.parse::<i64>().ok().map(|it| it / 1_000)
}

/// The content of an attribute that is JSON.
fn part(item: &Value, name: &str) -> Value {
    item.get(name).and_then(|it| serde_json::from_str(&plain(it)?).ok()).unwrap_or_default()
}

/// A time, in seconds.
fn at(time: &Value) -> Option<i64> {
    Some(time.as_i64()? / 1_000)
}

/// The expected expiry time of an item. `all` has the request of a long answer.
fn expected(item: &Value, all: &[Value]) -> Option<i64> {
    let key = |name: &str| item[name]["S"].as_str().expect("a key");
    let after = |name, length| second(item, name).map(|it| it + length);
    let unread = |request| part(request, "p")["l"].as_i64().unwrap_or(0);
    let kind = key("pk").split(['_', '#']).next().unwrap_or_default();
    match (kind, key("sk")) {
        ("acct", _) => None,
        ("own", _) => after("deleted_at", DAY),
        ("key", _) => after("revoked_at", RETENTION),
        ("ch", _) => after("deleted_at", RETENTION),
        ("brk", _) => after("changed_at", DAY),
        (_, sk) if sk.starts_with("dlv#") => {
            at(&part(item, "state")["d"][2]).map(|it| it + RETENTION)
        }
        (_, sk) if sk.starts_with("att#") => after("created_at", RETENTION),
        // A request ends at its deadline or before.
        ("req", long) if long != "-" => {
            let is_request = |it: &&Value| it["pk"] == item["pk"] && it["sk"]["S"] == "-";
            let request = all.iter().find(is_request).expect("it is there");
            second(request, "dl").map(|it| it + unread(request) + RETENTION + GRACE)
        }
        // Readers and deliveries have their time: no policy here is longer.
        ("req", _) => {
            let ended = at(&part(item, "e")["t"]).map(|it| it + unread(item) + RETENTION);
            at(&part(item, "er")["at"]).map(|it| it + 2 * DAY).or(ended)
        }
        ("clm", _) => after("created_at", RETENTION),
        ("evt", _) => {
            let is_over = item["status"]["S"] == "dispatched";
            is_over.then(|| after("created_at", RETENTION))?
        }
        ("use", _) => {
            let minute: i64 = key("pk").rsplit('#').next()?.parse().ok()?;
            Some((minute + 1) * 60 + 300)
        }
        other => panic!("no retention is known for {other:?}"),
    }
}

#[tokio::test]
async fn finished_items_expire_and_unfinished_items_do_not() {
    let Past { world, .. } = Past::live().await;
    let mut n_kept = [0, 0];
    let all = items(&world).await;
    for item in &all {
        let ttl = item.get("ttl").and_then(|it| it["N"].as_str()?.parse().ok());
        assert_eq!(ttl, expected(item, &all), "{item}");
        n_kept[usize::from(ttl.is_some())] += 1;
    }
    assert!(n_kept.iter().all(|it| *it > 10), "{n_kept:?}");
}

/// An approval that is usable for a week, with an answer that has its own item.
#[tokio::test]
async fn request_and_long_answer_outlive_the_approval() {
    let world = World::start().await;
    let week = 7 * DAY;
    let fields = ["a", "b", "c"].map(|key| json!({ "key": key, "type": "textarea", "label": key }));
    let asked = asking(json!({
        "action": { "name": "deploy", "args": null }, "fields": fields, "timeout_seconds": 60,
        "consume": { "option": "yes", "within_seconds": week },
    }));
    let request = world.create(asked).await;
    let texts = json!({ "a": "x".repeat(9_000), "b": "y".repeat(9_000), "c": "z".repeat(9_000) });
    let answer = json!({ "option": "yes", "fields": texts });
    assert_eq!(world.answer(&request, 0, answer).await.status, 200);
    let stored = items(&world).await;
    let mut n_items = 0;
    for item in stored.iter().filter(|it| it["pk"]["S"] == request["id"]) {
        let ttl = item["ttl"]["N"].as_str().and_then(|it| it.parse::<i64>().ok());
        let kept = ttl.expect("a time") - world.system.clock.now().as_second();
        assert!(kept >= week + RETENTION, "{kept} s: {item}");
        n_items += 1;
    }
    assert_eq!(n_items, 2);
}

#[tokio::test]
async fn request_outlives_all_retries_of_its_callback() {
    let world = World::start().await;
    let slowly = json!({ "delays_seconds": vec![172_800; 20], "jitter": 0 });
    let request = world
        .create(asking(json!({
            "callback_url": "https://hooks.example.com/",
            "callback": { "retry": slowly },
        })))
        .await;
    world.answer(&request, 0, json!({ "option": "yes" })).await;
    let stored = items(&world).await;
    let stored = stored.iter().find(|it| it["pk"]["S"] == request["id"]).expect("it exists");
    let ttl = stored["ttl"]["N"].as_str().and_then(|it| it.parse::<i64>().ok()).expect("a time");
    let kept = ttl - world.system.clock.now().as_second();
    assert_eq!(kept, (2 * 20 * 2 + 1) * DAY + 6 * 3_600, "each delay doubled, and a day");
}

/// A request that ends long before its deadline takes its long question and answer with it.
#[tokio::test]
async fn parts_of_a_request_that_ends_early_expire_soon_after_it() {
    let world = World::start().await;
    let asked = asking(json!({
        "body": letters(2_000), "timeout_seconds": 300 * DAY,
        "fields": [{ "key": "a", "type": "textarea", "label": "a" }],
    }));
    let request = world.create(asked).await;
    let answer = json!({ "option": "yes", "fields": { "a": "x".repeat(9_000) } });
    assert_eq!(world.answer(&request, 0, answer).await.status, 200);
    world.follow_hints().await;
    let stored = items(&world).await;
    let expiry = |beginning: &str| {
        let is_it = |it: &&Value| {
            it["pk"]["S"] == request["id"]
                && it["sk"]["S"].as_str().is_some_and(|it| it.starts_with(beginning))
        };
        let item = stored.iter().find(is_it).expect("it is stored");
        item["ttl"]["N"].as_str().and_then(|it| it.parse::<i64>().ok()).expect("it expires")
    };
    assert_eq!(expiry("qst#"), expiry("-") + GRACE);
    assert_eq!(expiry("ans#"), expiry("-") + GRACE);
}
