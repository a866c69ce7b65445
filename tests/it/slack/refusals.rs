//! Presses that do not count.

use std::mem;

use answerback::domain::Owner;
use secrecy::ExposeSecret as _;

use super::*;

#[tokio::test]
async fn only_the_recipient_answers() {
    let it = Workspace::start().await;
    let press = it.press(&it.button("Approve"));
    let mut others = [press.clone(), press.clone(), press.clone(), press.clone()];
    others[0]["user"]["id"] = json!("U0MALLORY1");
    others[1]["team"]["id"] = json!("T0OTHER123");
    others[2]["user"] = Value::Null;
    others[3]["team"] = Value::Null;
    for payload in &others[..2] {
        it.world.egress.script().answer(reply(200));
        assert_eq!(it.send(payload).await.status, StatusCode::OK);
    }
    let expected = "Only \u{2068}Ada\u{2069} can answer this message. Nothing was recorded.";
    let whispers = it.whispers();
    assert!(whispers.iter().all(|it| it == expected), "{whispers:?}");
    assert_eq!(whispers.len(), 2);
    for payload in &others[2..] {
        assert!(it.send(payload).await.status.is_success() || it.send(payload).await.status == 400);
    }
    assert_eq!(it.read().await["status"], "pending");
}

#[tokio::test]
async fn unsigned_and_old_calls_are_refused() {
    let it = Workspace::start().await;
    let press = it.press(&it.button("Approve"));
    for (secret, age) in [("another", 0), (SECRET, 301), (SECRET, -301)] {
        let refused = it.send_signed(&press, secret, age).await;
        assert_eq!(
            (refused.status, &*refused.code()),
            (StatusCode::UNAUTHORIZED, "invalid_signature")
        );
    }
    assert_eq!(it.read().await["status"], "pending");
    assert_eq!(it.send_signed(&press, SECRET, 299).await.status, StatusCode::OK);
    assert_eq!(it.read().await["status"], "finished");
}

#[tokio::test]
async fn messages_that_are_not_ours_are_unknown() {
    let mut it = Workspace::start().await;
    let value = it.button("Approve");
    let with = |at: usize, part| {
        let mut parts: Vec<_> = value.split('.').collect();
        parts[at] = part;
        parts.join(".")
    };
    for value in ["x", "", &with(1, "prod"), &with(2, "dlv_1"), &with(3, "x")] {
        let answer = it.send(&it.press(value)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{value}");
    }
    let body = it.world.visit(Method::POST, &format!("/v1/slack/{}", it.notifier), "a=b").await;
    assert_eq!(body.status, StatusCode::BAD_REQUEST);
    let sender = mem::replace(&mut it.notifier, notifier(&it.world, json!({})).await);
    assert_eq!(it.send(&it.press(&value)).await.status, StatusCode::NOT_FOUND, "not the sender");
    it.notifier = sender;
    assert_eq!(it.send(&it.press(&value)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_of_others_are_unknown() {
    let mut it = Workspace::start().await;
    let value = it.button("Approve");
    let [account, live, delivery, button] =
        value.split('.').collect::<Vec<_>>().try_into().expect("four parts");
    assert_eq!(live, "live");
    let unstored = format!("{}0000", &delivery[..delivery.len() - 4]);
    let stranger = it.world.system.make_account().await.expect("an account").account.id;
    let own = account.parse().expect("an account");
    for owner in [Owner::live(stranger), Owner::test(own)] {
        // The signatures are valid. The values name a message that is stored, and one that is not stored yet.
        let key = it.world.system.make_key(owner, vec![Scope::Admin]).await.expect("a key");
        let bearer = format!("Bearer {}", key.text.expose_secret());
        let settings = json!({ "bot_token": "xoxb-2", "signing_secret": SECRET, "team_id": TEAM });
        let body = json!({ "kind": "slack", "settings": settings });
        let headers = [("authorization", bearer.as_str())];
        let created = it.world.call_with(Method::POST, "/v1/notifiers", &headers, body).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
        it.notifier = created.json()["id"].as_str().expect("an id").to_owned();
        let Owner { account: theirs, mode } = owner;
        for value in [
            format!("{theirs}.{}.{unstored}.{button}", mode.as_str()),
            format!("{theirs}.{}.{delivery}.{button}", mode.as_str()),
            format!("{account}.live.{unstored}.{button}"),
        ] {
            let answer = it.send(&it.press(&value)).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{value}");
        }
    }
    assert!(it.whispers().is_empty(), "a stranger learned something");
}

#[tokio::test]
async fn press_in_another_message_does_not_count() {
    let it = Workspace::start().await;
    let press = it.press(&it.button("Approve"));
    for (name, value) in [("message_ts", "1503435956.000248"), ("channel_id", "C0OTHER123")] {
        let mut other = press.clone();
        other["container"][name] = json!(value);
        it.world.egress.script().answer(reply(200));
        assert_eq!(it.send(&other).await.status, StatusCode::OK);
    }
    assert_eq!(it.read().await["status"], "pending");
    // They are one message that was sent twice. Its recipient can go on.
    let whispers = it.whispers();
    assert!(whispers.iter().all(|it| it.contains("/a/")) && whispers.len() == 2, "{whispers:?}");
    // Nobody else gets the link.
    let mut stolen = press;
    stolen["container"]["message_ts"] = json!("1503435956.000248");
    stolen["user"]["id"] = json!("U0MALLORY1");
    it.world.egress.script().answer(reply(200));
    assert_eq!(it.send(&stolen).await.status, StatusCode::OK);
    assert!(!it.whispers()[2].contains("/a/"), "{:?}", it.whispers());
}

#[tokio::test]
async fn stale_press_says_what_was_decided() {
    let it = Workspace::start().await;
    it.world.pass(Duration::from_secs(5)).await;
    let (approve, reject) = (it.press(&it.button("Approve")), it.press(&it.button("Reject")));
    assert_eq!(it.send(&approve).await.status, StatusCode::OK);
    // The same press again changes and says nothing new to the record.
    for late in [&approve, &reject] {
        it.world.egress.script().answer(reply(200));
        assert_eq!(it.send(late).await.status, StatusCode::OK);
    }
    let read = it.read().await;
    assert_eq!(read["decision"], "approve");
    let whispers = it.whispers();
    assert!(
        whispers.iter().all(|it| it.contains("“\u{2068}Approve\u{2069}” by \u{2068}Ada\u{2069}")),
        "{whispers:?}"
    );
    assert_eq!(whispers.len(), 2);
}

#[tokio::test]
async fn replayed_press_does_not_undo_a_later_answer() {
    let mut question = question();
    question["mode"] = json!("on_timeout");
    let it = Workspace::asked(question).await;
    it.world.pass(Duration::from_secs(5)).await;
    let approve = it.press(&it.button("Approve"));
    assert_eq!(it.send(&approve).await.status, StatusCode::OK);
    it.world.pass(Duration::from_secs(5)).await;
    assert_eq!(it.send(&it.press(&it.button("Reject"))).await.status, StatusCode::OK);
    it.world.pass(Duration::from_secs(5)).await;
    assert_eq!(it.send(&approve).await.status, StatusCode::OK);
    assert_eq!(it.read().await["responses"][0]["option"], "reject");
}

#[tokio::test]
async fn two_presses_at_once_have_one_outcome() {
    let it = Workspace::start().await;
    it.world.pass(Duration::from_secs(5)).await;
    let (approve, reject) = (it.press(&it.button("Approve")), it.press(&it.button("Reject")));
    let (first, second) = futures::join!(it.send(&approve), it.send(&reject));
    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));
    let read = it.read().await;
    assert_eq!(read["responses"].as_array().expect("rows").len(), 1);
    assert_eq!(read["decision"], read["responses"][0]["option"]);
}

#[tokio::test]
async fn uninstalled_app_disables_its_notifier() {
    let world = World::start().await;
    let notifier = notifier(&world, json!({})).await;
    world.egress.script().answer(Ok(says(&json!({ "ok": false, "error": "account_inactive" }))));
    let request = world.create(question()).await;
    world.follow_hints().await;
    let path = format!("/v1/notifiers/{notifier}");
    let read = world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!((&read["enabled"], &read["disabled"]["reason"]), (&json!(false), &json!("refused")));
    let it = Workspace { world, notifier, request, ts: "1.1" };
    // Presses of older messages no longer count.
    let id = it.request["id"].as_str().expect("an id");
    let path = format!("/v1/requests/{id}/notifications");
    let listed = it.world.call(Method::GET, &path, Value::Null).await.json();
    assert_eq!(listed["data"][0]["status"], "failed");
}

#[tokio::test]
async fn unknown_person_is_not_reached() {
    let world = World::start().await;
    notifier(&world, json!({})).await;
    world.egress.script().answer(Ok(says(&json!({ "ok": false, "error": "users_not_found" }))));
    let request = world.create(question()).await;
    world.follow_hints().await;
    let path = format!("/v1/requests/{}/notifications", request["id"].as_str().expect("an id"));
    let listed = world.call(Method::GET, &path, Value::Null).await.json();
    let of = |name: &str| listed["data"][0][name].clone();
    assert_eq!(
        json!([of("status"), of("error"), of("attempts")]),
        json!(["failed", "not_accepted", 1])
    );
}

#[tokio::test]
async fn settings_show_no_secret_and_keep_them() {
    let world = World::start().await;
    let id = notifier(&world, json!({})).await;
    let path = format!("/v1/notifiers/{id}");
    let changed =
        world.call(Method::PATCH, &path, json!({ "settings": { "team_id": "T0OTHER123" } })).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    let expected = json!({
        "api_url": "https://slack.com/api/", "bot_token": "***", "signing_secret": "***",
        "team_id": "T0OTHER123", "default_channel": null,
    });
    assert_eq!(changed.json()["settings"], expected);
    let body = json!({ "settings": { "api_url": "https://slack.example.com/api" } });
    let refused = world.call(Method::PATCH, &path, body).await;
    let pointers: Vec<_> = refused.json()["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|it| it["pointer"].clone())
        .collect();
    assert_eq!(pointers, [json!("/settings/bot_token"), json!("/settings/signing_secret")]);
}

#[tokio::test]
async fn empty_settings_are_named() {
    let world = World::start().await;
    let settings = json!({
        "api_url": "", "bot_token": "", "signing_secret": "", "team_id": "", "default_channel": "",
    });
    let body = json!({ "kind": "slack", "settings": settings });
    let refused = world.call(Method::POST, "/v1/notifiers", body).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = refused.json()["errors"].clone();
    let errors = errors.as_array().expect("errors");
    let pointers: Vec<_> = errors.iter().filter_map(|it| it["pointer"].as_str()).collect();
    let members = ["api_url", "bot_token", "signing_secret", "team_id", "default_channel"];
    assert_eq!(pointers, members.map(|it| format!("/settings/{it}")));
}

/// Answers of `chat.update` that come late.
#[tokio::test]
async fn later_decision_is_shown_last() {
    let mut two = question();
    two["recipients"] = json!(["ada@example.com", "bob@example.com"]);
    two["quorum"] = json!("all");
    let world = World::start().await;
    let notifier = notifier(&world, json!({})).await;
    take_message(&world, "1.1");
    take_message(&world, "2.2");
    let request = world.create(two).await;
    world.follow_hints().await;
    let it = Workspace { world, notifier, request, ts: "1.1" };
    for _ in 0..8 {
        it.world.egress.script().answer(Ok(says(&json!({ "ok": true }))));
    }
    for row in [0, 1] {
        let answer = json!({ "option": "approve" });
        assert_eq!(it.world.answer(&it.request, row, answer).await.status, StatusCode::OK);
    }
    it.world.follow_hints().await;
    let updates = it.calls("chat.update");
    for ts in ["1.1", "2.2"] {
        let last = updates.iter().rfind(|it| it["ts"] == ts).expect("an update").to_string();
        assert!(last.contains("This question has been decided"), "{last}");
    }
}

#[tokio::test]
async fn others_in_a_channel_see_no_private_answer() {
    for read in ["once", "repeat"] {
        let world = World::start().await;
        let notifier = notifier(&world, json!({ "default_channel": "C0CHANNEL1" })).await;
        let script = world.egress.script();
        script.answer(Ok(says(&json!({ "ok": true, "user": { "id": ADA } }))));
        script.answer(Ok(says(&json!({ "ok": true, "channel": "C0CHANNEL1", "ts": "1.1" }))));
        let mut asked = question();
        asked["read"] = json!({ "mode": read });
        let request = world.create(asked).await;
        world.follow_hints().await;
        let it = Workspace { world, notifier, request, ts: "1.1" };
        for _ in 0..3 {
            it.world.egress.script().answer(Ok(says(&json!({ "ok": true }))));
        }
        let answer = json!({ "option": "approve" });
        assert_eq!(it.world.answer(&it.request, 0, answer).await.status, StatusCode::OK);
        it.world.follow_hints().await;
        let update = it.calls("chat.update").pop().expect("an update").to_string();
        assert!(update.contains("This question has been decided"), "{update}");
        assert_eq!(update.contains("\u{2068}Approve"), read == "repeat", "{update}");
    }
}

#[tokio::test]
async fn migrating_workspace_keeps_its_notifier() {
    for error in ["org_login_required", "ratelimited", "rate_limited", "fatal_error"] {
        let world = World::start().await;
        let notifier = notifier(&world, json!({})).await;
        world.egress.script().answer(Ok(says(&json!({ "ok": false, "error": error }))));
        take_message(&world, "1.1");
        world.create(question()).await;
        world.follow_hints().await;
        for _ in 0..3 {
            world.pass(Duration::from_secs(90)).await;
            world.system.sweep().await;
            world.follow_hints().await;
        }
        let path = format!("/v1/notifiers/{notifier}");
        assert_eq!(world.call(Method::GET, &path, Value::Null).await.json()["enabled"], true);
        let sent = world.posts().iter().any(|it| it.url.as_str().ends_with("chat.postMessage"));
        assert!(sent, "{error}");
    }
}
