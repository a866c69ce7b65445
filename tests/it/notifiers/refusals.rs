//! Notifiers that are refused, and where.

use answerback::egress::{Failure, FailureKind};

use super::*;

/// `body` with these members of its settings. Null removes one.
fn with(mut body: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("members are an object: {members}") };
    let settings = body["settings"].as_object_mut().expect("an object");
    for (name, value) in members {
        if value.is_null() {
            settings.remove(&name);
        } else {
            settings.insert(name, value);
        }
    }
    body
}

#[tokio::test]
async fn every_fault_is_reported_with_its_place() {
    let world = World::start().await;
    for (body, places) in [
        (json!({}), &["/kind", "/settings"][..]),
        (json!({ "kind": "fax", "settings": { "number": 1 } }), &["/kind"]),
        (
            json!({ "kind": "ntfy", "settings": 7 }),
            &["/settings", "/settings/url", "/settings/topic"],
        ),
        (json!({ "kind": "ntfy", "settings": {} }), &["/settings/url", "/settings/topic"]),
        (
            json!({
                "kind": "email", "settings": {}, "name": "a\nb", "enabled": 1, "default": "yes",
                "more": 1,
            }),
            &["/name", "/enabled", "/default", "/settings/transport", "/settings/from", "/more"],
        ),
        (with(ses(), json!({ "transport": "fax", "host": "x" })), &["/settings/transport"]),
        (with(ses(), json!({ "host": "smtp.acme.com" })), &["/settings/host"]),
        (
            with(smtp(), json!({ "host": null, "port": null })),
            &["/settings/host", "/settings/port"],
        ),
        (with(smtp(), json!({ "host": "smtp.acme.com/x" })), &["/settings/host"]),
        (with(smtp(), json!({ "host": "user@smtp.acme.com" })), &["/settings/host"]),
        (with(smtp(), json!({ "host": "smtp.acme.com:587" })), &["/settings/host"]),
        (with(smtp(), json!({ "port": 25 })), &["/settings/port"]),
        (with(smtp(), json!({ "port": 443 })), &["/settings/port"]),
        (with(smtp(), json!({ "port": "587" })), &["/settings/port"]),
        (with(smtp(), json!({ "tls": "none" })), &["/settings/tls"]),
        (with(smtp(), json!({ "password": null })), &["/settings/password"]),
        (with(smtp(), json!({ "username": null })), &["/settings/username"]),
        (with(smtp(), json!({ "password": "a\r\nb" })), &["/settings/password"]),
        (
            with(smtp(), json!({ "from": "Ada\r\nBcc: eve@example.com <a@b.example>" })),
            &["/settings/from"],
        ),
        (with(smtp(), json!({ "from": "a@b.example, c@d.example" })), &["/settings/from"]),
        (with(smtp(), json!({ "reply_to": "Ada <a@b.example>" })), &["/settings/reply_to"]),
        (with(ntfy(), json!({ "topic": "a/b" })), &["/settings/topic"]),
        (with(ntfy(), json!({ "topic": "x".repeat(65) })), &["/settings/topic"]),
        (
            with(ntfy(), json!({ "token": "a b", "buttons": "yes" })),
            &["/settings/token", "/settings/buttons"],
        ),
        (
            with(incoming(), json!({ "url": null, "format": "irc" })),
            &["/settings/url", "/settings/format"],
        ),
        (with(incoming(), json!({ "format": null })), &["/settings/format"]),
        (
            with(own_system(), json!({ "auth": { "type": "bearer" }, "headers": { "Host": "x" } })),
            &["/settings/headers/Host", "/settings/auth/token"],
        ),
    ] {
        let refused = post(&world, body.clone()).await;
        assert_eq!(faults(&refused), places, "{body} {}", refused.text());
    }
    assert_eq!(listed(&world).await, [] as [Value; 0]);
}

#[tokio::test]
async fn addresses_that_callbacks_must_not_call_are_refused() {
    let world = World::start().await;
    for host in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "[::1]",
        "localhost",
        "mail",
        "db.internal",
    ] {
        let refused = post(&world, with(smtp(), json!({ "host": host }))).await;
        assert_eq!(faults(&refused), ["/settings/host"], "{host}");
    }
    for url in ["http://ntfy.acme.com", "https://127.0.0.1/", "https://a.acme.com:25/", "not a URL"]
    {
        for body in [ntfy(), incoming(), own_system()] {
            let refused = post(&world, with(body, json!({ "url": url }))).await;
            assert_eq!(faults(&refused), ["/settings/url"], "{url}");
        }
    }
    for body in [smtp(), ntfy(), incoming(), own_system()] {
        let place = if body["kind"] == "email" { "/settings/host" } else { "/settings/url" };
        let private = Failure::new(FailureKind::BlockedAddress, "10.0.0.1 is not public");
        world.egress.script().refuse(private);
        let refused = post(&world, body).await;
        assert_eq!(faults(&refused), [place], "a name that leads to a private address");
    }
    let made = make(&world, ntfy()).await;
    let private = Failure::new(FailureKind::BlockedAddress, "10.0.0.1 is not public");
    world.egress.script().refuse(private);
    let moved = json!({ "settings": { "url": "https://b.acme.com", "topic": "t" } });
    assert_eq!(faults(&patch(&world, &made, moved).await), ["/settings/url"]);
    assert_eq!(listed(&world).await, [made]);
}

#[tokio::test]
async fn sender_of_ses_is_allowed_by_the_operator() {
    let world = World::start().await;
    let refused = post(&world, ses()).await;
    assert_eq!(faults(&refused), ["/settings/from"]);
    assert!(refused.text().contains("`answerback accounts allow-from`"), "{}", refused.text());
    allow_from(&world, "*@acme.example").await;
    let made = make(&world, ses()).await;
    let other = json!({ "settings": { "from": "Acme <ceo@other.example>" } });
    assert_eq!(faults(&patch(&world, &made, other).await), ["/settings/from"]);
    let by_smtp = with(smtp(), json!({ "from": "ceo@other.example" }));
    let by_smtp = make(&world, by_smtp).await;
    let moved = json!({ "settings": { "transport": "ses" } });
    assert_eq!(faults(&patch(&world, &by_smtp, moved).await), ["/settings/from"]);
}

#[tokio::test]
async fn kind_never_changes() {
    let world = World::start().await;
    let made = make(&world, ntfy()).await;
    for kind in [json!("webhook"), Value::Null] {
        let refused = patch(&world, &made, json!({ "kind": kind })).await;
        assert_eq!(faults(&refused), ["/kind"], "{kind}");
    }
    let unknown = patch(&world, &made, json!({ "settings": { "format": "slack" } })).await;
    assert_eq!(faults(&unknown), ["/settings/format"]);
    let whole = patch(&world, &made, json!(7)).await;
    assert_eq!(whole.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(get(&world, &place(&made)).await, made);
}
