//! Quorum, timeout, read and callback policies: every form and its limits.

use serde_json::{Value, json};
use system_tests::World;

use super::{asking, check_refused};

const URL: &str = "https://hooks.example.com/";

fn two(members: &Value) -> Value {
    let mut body = asking(members.clone());
    body["recipients"] = json!(["a@example.com", "b@example.com"]);
    body
}

#[tokio::test]
async fn quorum_is_a_word_or_a_count_with_an_option() {
    let world = World::start().await;
    for (asked, shown) in [
        (json!("all"), json!("all")),
        (json!("any"), json!("any")),
        (json!({ "count": "all" }), json!("all")),
        (json!({ "count": 1 }), json!("any")),
        (json!({ "count": 2 }), json!({ "count": 2 })),
        (json!({ "count": 2.0, "option": null, "veto": [] }), json!({ "count": 2 })),
        (json!({ "count": 1, "option": "yes" }), json!({ "count": 1, "option": "yes" })),
        (json!({ "count": "all", "veto": ["no"] }), json!({ "count": "all", "veto": ["no"] })),
        (
            json!({ "count": "all", "option": "yes", "veto": ["no"] }),
            json!({ "count": "all", "option": "yes", "veto": ["no"] }),
        ),
    ] {
        let request = world.create(two(&json!({ "quorum": asked }))).await;
        assert_eq!(request["quorum"], shown, "{asked}");
    }
    for (asked, places) in [
        (json!("most"), &["/quorum"] as &[&str]),
        (json!(1), &["/quorum"]),
        (json!({}), &["/quorum/count"]),
        (json!({ "count": 0 }), &["/quorum/count"]),
        (json!({ "count": 3 }), &["/quorum/count"]),
        (json!({ "count": "any" }), &["/quorum/count"]),
        (json!({ "count": 1.5, "option": "maybe" }), &["/quorum/count", "/quorum/option"]),
        (
            json!({ "count": 1, "option": "yes", "veto": ["maybe", "yes", "no", "no", 1] }),
            &["/quorum/veto/0", "/quorum/veto/1", "/quorum/veto/3", "/quorum/veto/4"],
        ),
    ] {
        check_refused(&world, two(&json!({ "quorum": asked })), places).await;
    }
}

#[tokio::test]
async fn implied_button_of_a_form_is_an_option() {
    let world = World::start().await;
    let fields = json!([{ "key": "k", "type": "text", "label": "L" }]);
    let form = |quorum: Value, option: &str| {
        json!({
            "title": "Go?", "fields": fields, "quorum": quorum,
            "on_deadline": { "kind": "default", "option": option },
        })
    };
    world.create(form(json!({ "count": 1, "option": "submit" }), "submit")).await;
    let body = form(json!({ "count": 1, "option": "yes" }), "yes");
    check_refused(&world, body, &["/quorum/option", "/on_deadline/option"]).await;
}

#[tokio::test]
async fn invalid_option_is_not_also_reported_as_unknown() {
    let world = World::start().await;
    let body = json!({
        "title": "Go?",
        "options": [{ "value": "yes" }],
        "quorum": { "count": 1, "option": "yes" },
        "on_deadline": { "kind": "default", "option": "yes" },
    });
    check_refused(&world, body, &["/options/0/label"]).await;
}

#[tokio::test]
async fn timeout_is_between_five_seconds_and_a_year() {
    let world = World::start().await;
    for (seconds, deadline) in
        [(5, "2026-01-01T00:00:05.000Z"), (31_536_000, "2027-01-01T00:00:00.000Z")]
    {
        let request = world.create(asking(json!({ "timeout_seconds": seconds }))).await;
        assert_eq!(request["deadline"], deadline);
    }
    for seconds in [json!(4), json!(31_536_001), json!(5.5), json!("60"), json!(-1), json!(1e300)] {
        check_refused(&world, asking(json!({ "timeout_seconds": seconds })), &["/timeout_seconds"])
            .await;
    }
    check_refused(&world, asking(json!({ "mode": "later" })), &["/mode"]).await;
}

#[tokio::test]
async fn deadline_expires_the_request_or_applies_the_default() {
    let world = World::start().await;
    for good in [
        json!({ "kind": "expire" }),
        json!({ "kind": "expire", "option": null }),
        json!({ "kind": "default", "option": "no" }),
    ] {
        world.create(asking(json!({ "on_deadline": good }))).await;
    }
    for (bad, places) in [
        (json!("expire"), &["/on_deadline", "/on_deadline/kind"] as &[&str]),
        (json!({}), &["/on_deadline/kind"]),
        (json!({ "kind": "decide" }), &["/on_deadline/kind"]),
        (json!({ "kind": "expire", "option": "no" }), &["/on_deadline/option"]),
        (json!({ "kind": "default" }), &["/on_deadline/option"]),
        (json!({ "kind": "default", "option": "maybe" }), &["/on_deadline/option"]),
    ] {
        check_refused(&world, asking(json!({ "on_deadline": bad })), places).await;
    }
}

#[tokio::test]
async fn read_policy_limits_are_checked() {
    let world = World::start().await;
    for (asked, shown) in [
        (json!({}), json!({ "mode": "repeat", "ttl_seconds": null })),
        (
            json!({ "mode": null, "ttl_seconds": 60 }),
            json!({ "mode": "repeat", "ttl_seconds": 60 }),
        ),
        (
            json!({ "mode": "once", "ttl_seconds": 31_536_000, "lease_seconds": null }),
            json!({ "mode": "once", "ttl_seconds": 31_536_000 }),
        ),
        (
            json!({ "mode": "lease" }),
            json!({ "mode": "lease", "ttl_seconds": null, "lease_seconds": 60 }),
        ),
        (
            json!({ "mode": "lease", "lease_seconds": 5 }),
            json!({ "mode": "lease", "ttl_seconds": null, "lease_seconds": 5 }),
        ),
        (
            json!({ "mode": "lease", "lease_seconds": 900 }),
            json!({ "mode": "lease", "ttl_seconds": null, "lease_seconds": 900 }),
        ),
    ] {
        let request = world.create(asking(json!({ "read": asked }))).await;
        assert_eq!(request["read"], shown, "{asked}");
    }
    for (bad, places) in [
        (json!("once"), &["/read"] as &[&str]),
        (json!({ "mode": "twice" }), &["/read/mode"]),
        (json!({ "ttl_seconds": 59 }), &["/read/ttl_seconds"]),
        (json!({ "ttl_seconds": 31_536_001 }), &["/read/ttl_seconds"]),
        (json!({ "mode": "lease", "lease_seconds": 4 }), &["/read/lease_seconds"]),
        (json!({ "mode": "lease", "lease_seconds": 901 }), &["/read/lease_seconds"]),
        (json!({ "mode": "once", "lease_seconds": 60 }), &["/read/lease_seconds"]),
        (json!({ "lease_seconds": 1 }), &["/read/lease_seconds"]),
    ] {
        check_refused(&world, asking(json!({ "read": bad })), places).await;
    }
}

/// Checks that the callback `bad` is refused at these places.
async fn check_callback(world: &World, bad: Value, places: &[&str]) {
    let places: Vec<_> = places.iter().map(|it| format!("/callback{it}")).collect();
    let places: Vec<_> = places.iter().map(String::as_str).collect();
    check_refused(world, asking(json!({ "callback_url": URL, "callback": bad })), &places).await;
}

#[tokio::test]
async fn wrong_credentials_of_a_callback_are_refused() {
    let world = World::start().await;
    for (bad, places) in [
        (json!({ "auth": { "type": "bearer", "token": "" } }), &["/auth/token"] as &[&str]),
        (json!({ "auth": { "type": "digest" } }), &["/auth/type"]),
        (json!({ "auth": { "token": "t" } }), &["/auth/type", "/auth/token"]),
        (
            json!({ "auth": { "type": "basic", "username": "a:b", "password": "" } }),
            &["/auth/username"],
        ),
        (json!({ "auth": { "type": "basic", "username": "a" } }), &["/auth/password"]),
        (
            json!({ "auth": { "type": "header", "name": "webhook_id", "value": "1" } }),
            &["/auth/name"],
        ),
        (json!({ "auth": { "type": "header", "name": "x-key" } }), &["/auth/value"]),
        (
            json!({ "auth": { "type": "header", "name": "x-a", "value": "1" }, "headers": { "X-A": "2" } }),
            &["/auth"],
        ),
        (
            json!({ "headers": { "answerback_event": "x", "content_length": "1" } }),
            &["/headers/answerback_event", "/headers/content_length"],
        ),
        (json!({ "auth": { "type": "bearer", "token": "t".repeat(1025) } }), &["/auth/token"]),
        (json!({ "auth": { "type": "bearer", "token": "two words" } }), &["/auth/token"]),
        (json!({ "auth": { "type": "bearer", "token": "a\r\nX: y" } }), &["/auth/token"]),
    ] {
        check_callback(&world, bad, places).await;
    }
}

#[tokio::test]
async fn callback_settings_are_accepted_within_limits() {
    let world = World::start().await;
    let every = ["request.created", "request.answered", "request.finished", "request.cancelled"];
    for good in [
        json!({}),
        json!({ "profile": "standard", "events": every, "probe": "skip" }),
        json!({ "profile": "nextks", "events": null, "probe": null, "retry": null }),
        json!({ "probe": "report" }),
        json!({ "probe": "require" }),
        json!({ "timeout_seconds": 1, "retry": {} }),
        json!({ "timeout_seconds": 20, "retry": { "delays_seconds": [] } }),
        json!({ "retry": { "delays_seconds": vec![1; 20], "jitter": 0 } }),
        json!({ "retry": { "delays_seconds": [172_800], "jitter": 1 } }),
        json!({ "retry": { "delays_seconds": null, "jitter": 0.5 } }),
        json!({ "auth": { "type": "bearer", "token": "a:b\"{c}=" } }),
        json!({ "auth": { "type": "bearer", "token": "t".repeat(1024) } }),
    ] {
        world.create(asking(json!({ "callback_url": URL, "callback": good }))).await;
    }
    for (bad, places) in [
        (json!([]), &[""] as &[&str]),
        (json!({ "profile": "fax" }), &["/profile"]),
        (json!({ "events": [] }), &["/events"]),
        (
            json!({ "events": ["request.finished", "request.finished", "run.status", 1] }),
            &["/events/1", "/events/2", "/events/3"],
        ),
        (json!({ "probe": "no" }), &["/probe"]),
        (json!({ "probe": true }), &["/probe"]),
        (json!({ "timeout_seconds": 0 }), &["/timeout_seconds"]),
        (json!({ "timeout_seconds": 21 }), &["/timeout_seconds"]),
        (json!({ "retry": 3 }), &["/retry"]),
        (json!({ "retry": { "delays_seconds": vec![1; 21] } }), &["/retry/delays_seconds"]),
        (
            json!({ "retry": { "delays_seconds": [0, 1, 172_801, 1.5, "1"], "jitter": -0.1 } }),
            &[
                "/retry/delays_seconds/0",
                "/retry/delays_seconds/2",
                "/retry/delays_seconds/3",
                "/retry/delays_seconds/4",
                "/retry/jitter",
            ],
        ),
        (
            json!({ "retry": { "delays_seconds": 5, "jitter": 1.1 } }),
            &["/retry/delays_seconds", "/retry/jitter"],
        ),
    ] {
        check_callback(&world, bad, places).await;
    }
    check_refused(&world, asking(json!({ "callback": {} })), &["/callback_url"]).await;
    check_refused(&world, asking(json!({ "callback_url": 1, "callback": {} })), &["/callback_url"])
        .await;
}
