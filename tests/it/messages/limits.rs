//! The limit of messages in an hour.

use super::*;

#[tokio::test]
async fn messages_of_an_hour_are_limited() {
    let world = World::start().await;
    let way = chat(&world, "chat.acme.com").await;
    let key = keys::account(world.account.id);
    let account: Account = world.system.store.get(key).await.expect("read").expect("it is there");
    let limited = account.limit_messages(3).expect("another limit");
    drop(world.system.store.save(&limited).await.expect("written"));
    world.system.clock.advance(Duration::from_secs(5));
    let ask = async |recipients: Value, idempotency_key: &str| {
        let mut body = question(&[&way]);
        body["recipients"] = recipients;
        let headers = [("idempotency-key", idempotency_key)];
        world.call_with(Method::POST, "/v1/requests", &headers, body).await
    };
    let made = ask(json!(["ada@example.com"]), "first").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let first = made.json();
    // A repeated call does not count, and neither does a refused one.
    for _ in 0..3 {
        assert_eq!(ask(json!(["ada@example.com"]), "first").await.status, StatusCode::CREATED);
    }
    let three = json!(["ada@example.com", "bob@example.com", "eve@example.com"]);
    let refused = ask(three, "second").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    assert_eq!(refused.code(), "rate_limited");
    let detail = "limit of 3 messages to recipients per hour exceeded; this call asks for 3";
    assert_eq!(refused.json()["detail"], detail);
    let wait: u64 =
        refused.headers["retry-after"].to_str().expect("ASCII").parse().expect("seconds");
    let two = json!(["ada@example.com", "bob@example.com"]);
    assert_eq!(ask(two, "third").await.status, StatusCode::CREATED);
    let remind = format!("/v1/requests/{}/remind", first["id"].as_str().expect("an id"));
    let refused = world.call(Method::POST, &remind, Value::Null).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    assert_eq!(ask(json!(["ada@example.com"]), "first").await.status, StatusCode::CREATED);
    // Those whom a step asks later count, too.
    let mut later = question(&[&way]);
    later["recipients"] = json!(["ada@example.com"]);
    later["steps"] = json!([
        { "after_seconds": 60, "do": "escalate", "to": ["bob@example.com", "eve@example.com", "joe@example.com"] },
    ]);
    let refused = world.call(Method::POST, "/v1/requests", later).await;
    assert!(refused.text().contains("this call asks for 4"), "{}", refused.text());
    // What sends no message is not limited.
    let mut silent = question(&[&way]);
    silent["notify"] = json!("none");
    world.create(silent).await;

    world.system.clock.advance(Duration::from_secs(wait));
    let reminded = world.call(Method::POST, &remind, Value::Null).await;
    assert_eq!(reminded.status, StatusCode::OK, "{}", reminded.text());
}
