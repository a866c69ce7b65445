//! Lists of requests: newest first, page by page.

use std::time::Duration;

use answerback::{
    domain::Owner,
    store::{Listing, advance},
};
use axum::http::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use system_tests::World;

use crate::requests::{asking, faults, path_of};

async fn list(world: &World, query: &str) -> Value {
    let answer = world.call(Method::GET, &format!("/v1/requests?{query}"), Value::Null).await;
    answer.json()
}

fn ids(page: &Value) -> Vec<String> {
    let requests = page["data"].as_array().expect("a page").iter();
    requests.map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
}

/// Every page from the first to the last.
async fn pages(world: &World, query: &str) -> Vec<Vec<String>> {
    let mut page = list(world, query).await;
    let mut all = vec![ids(&page)];
    while let Some(cursor) = page["next_cursor"].as_str() {
        page = list(world, &format!("{query}&cursor={cursor}")).await;
        all.push(ids(&page));
    }
    all
}

#[tokio::test]
async fn requests_are_listed_newest_first_without_gaps_or_duplicates() {
    let world = World::start().await;
    assert_eq!(list(&world, "").await, json!({ "data": [], "next_cursor": null }));
    let mut made = Vec::new();
    for number in 0..45 {
        let request = world.create(asking(json!({ "title": number.to_string() }))).await;
        made.push(request["id"].as_str().expect("an id").to_owned());
        // Some of them are created within the same millisecond.
        world.system.clock.advance(Duration::from_millis(u64::from(number % 3 != 0)));
    }
    let all = pages(&world, "").await.concat();
    let titles = |ids: &[String]| -> Vec<usize> {
        ids.iter().map(|id| made.iter().position(|it| it == id).expect("one of ours")).collect()
    };
    let listed = titles(&all);
    let mut expected: Vec<usize> = (0..45).rev().collect();
    // Requests of the same millisecond are in the order of their identifiers.
    for pair in (0..45).filter(|it| it % 3 == 0 && it + 1 < 45) {
        if made[pair] > made[pair + 1] {
            expected.swap(44 - pair, 44 - pair - 1);
        }
    }
    assert_eq!(listed, expected);

    let sizes: Vec<_> = pages(&world, "").await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [20, 20, 5], "twenty is the usual");
    for limit in [1, 7, 44, 45, 100] {
        let pages = pages(&world, &format!("limit={limit}")).await;
        assert_eq!(pages.concat(), all, "{limit}");
        assert!(pages.iter().all(|it| it.len() <= limit));
    }

    // New requests come before all pages and move none of them.
    let first = list(&world, "limit=20").await;
    world.create(asking(json!({}))).await;
    let cursor = first["next_cursor"].as_str().expect("more");
    assert_eq!(ids(&list(&world, &format!("limit=20&cursor={cursor}")).await), all[20..40]);
}

#[tokio::test]
async fn list_items_equal_single_requests() {
    let world = World::start().await;
    let request = world.create(asking(json!({ "metadata": { "a": 1 } }))).await;
    assert_eq!(list(&world, "").await["data"], json!([request]));
}

#[tokio::test]
async fn list_filters_by_status_or_reference() {
    let world = World::start().await;
    let mut made = Vec::new();
    for reference in ["a", "b", "a", "ü & co"] {
        let body = asking(json!({ "external_reference_id": reference }));
        made.push(world.create(body).await);
        world.system.clock.advance(Duration::from_millis(1));
    }
    let id = |number: usize| made[number]["id"].as_str().expect("an id").to_owned();
    world.answer(&made[0], 0, json!({ "option": "yes" })).await;
    world.call(Method::POST, &format!("{}/cancel", path_of(&made[1])), Value::Null).await;
    for (query, expected) in [
        ("status=pending", vec![id(3), id(2)]),
        ("status=finished", vec![id(0)]),
        ("status=cancelled", vec![id(1)]),
        ("external_reference_id=a", vec![id(2), id(0)]),
        ("external_reference_id=%C3%BC+%26%20co", vec![id(3)]),
        ("external_reference_id=a&status=finished", vec![id(0)]),
        ("external_reference_id=A", vec![]),
        ("external_reference_id=b&status=pending", vec![]),
    ] {
        assert_eq!(ids(&list(&world, query).await), expected, "{query}");
        let pages = pages(&world, &format!("{query}&limit=1")).await;
        assert_eq!(pages.concat(), expected, "{query}, one by one");
    }
}

#[tokio::test]
async fn all_query_errors_are_reported() {
    let world = World::start().await;
    let longer = format!("external_reference_id={}", "x".repeat(201));
    for (query, names) in [
        ("limit=0", &["limit"] as &[&str]),
        ("limit=101", &["limit"]),
        ("limit=-1", &["limit"]),
        ("limit=1.5", &["limit"]),
        ("limit=", &["limit"]),
        ("limit=1&limit=2", &["limit"]),
        ("cursor=", &["cursor"]),
        ("cursor=%20", &["cursor"]),
        ("cursor=abc", &["cursor"]),
        // Properly encoded, but not keys: one has a zero byte.
        ("cursor=YQAgYg", &["cursor"]),
        ("status=open", &["status"]),
        ("status=", &["status"]),
        (longer.as_str(), &["external_reference_id"]),
        ("external_reference_id=", &["external_reference_id"]),
        ("limits=1", &["limits"]),
        ("limit=0&cursor=!&status=x&a=1", &["limit", "cursor", "status", "a"]),
    ] {
        let answer = world.call(Method::GET, &format!("/v1/requests?{query}"), Value::Null).await;
        assert_eq!(faults(&answer), names, "{query}");
    }
}

#[tokio::test]
async fn cursor_of_another_account_is_refused() {
    let world = World::start().await;
    for _ in 0..3 {
        world.create(asking(json!({}))).await;
    }
    let page = list(&world, "limit=1").await;
    let cursor = page["next_cursor"].as_str().expect("more");
    let stranger = world.system.make_account().await.expect("an account").key;
    let test = world
        .system
        .make_key(Owner::test(world.account.id), vec![answerback::domain::Scope::Admin])
        .await;
    for key in [stranger, test.expect("a key")] {
        let bearer = format!("Bearer {}", key.text.expose_secret());
        let headers = [("authorization", bearer.as_str())];
        for path in ["/v1/requests".to_owned(), format!("/v1/requests?cursor={cursor}")] {
            let list = world.call_with(Method::GET, &path, &headers, Value::Null).await;
            assert_eq!(list.json(), json!({ "data": [], "next_cursor": null }));
        }
    }
}

/// The operator raises the number of shards while events are posted. The deliveries of each event have
/// the same millisecond.
#[tokio::test]
async fn growth_to_32_shards_loses_no_delivery() {
    let world = World::start().await;
    for number in 0..12 {
        let hook = json!({
            "id": format!("hook-{number}"), "event_types": ["job.failed"],
            "url": format!("https://hooks.example.com/{number}"),
        });
        world.call(Method::POST, "/v1/webhooks", hook).await;
    }
    let post = async || {
        let data = json!({ "executionId": "x", "status": "failed" });
        let event = json!({ "type": "job.failed", "data": data });
        world.call(Method::POST, "/v1/events", event).await;
        world.follow_hints().await;
    };
    let shown = async |limit: u32| {
        let (mut shown, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/deliveries?limit={limit}{cursor}");
            let page = world.call(Method::GET, &path, Value::Null).await.json();
            shown.extend(ids(&page));
            let Some(next) = page["next_cursor"].as_str() else { return shown };
            cursor = format!("&cursor={next}");
        }
    };
    post().await;
    let account = world.account.clone();
    let account =
        advance(&world.system.store, account, |it| it.spread(32)).await.expect("it grows");
    // Workers know the number that they have cached, and readers the new one.
    post().await;
    assert_eq!(shown(100).await.len(), 24);
    world.system.clock.advance(Duration::from_secs(10));
    for _ in 0..3 {
        post().await;
    }
    let all = shown(100).await;
    assert_eq!(all.len(), 60);
    for limit in [1, 7, 20, 59, 60] {
        assert_eq!(shown(limit).await, all, "pages of {limit}");
    }
    let mut once = all.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), 60, "none is shown twice");
    // Without the new shards some are missing.
    let owner = Owner::live(account.id);
    let Listing { items, .. } =
        world.system.store.deliveries(owner, 5, 100, None).await.expect("a list");
    assert!((24..60).contains(&items.len()), "{}", items.len());
    assert!(account.spread(31).is_err(), "it cannot shrink");
}
