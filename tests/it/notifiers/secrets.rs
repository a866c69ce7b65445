//! Secrets of notifiers: sealed, never shown, and only for the server that they were set for.

use answerback::{
    domain::{
        Notifier,
        notifier::{EmailTransport, NotifierSettings},
        secret::{Holder, Sealed},
    },
    store::keys,
};

use super::*;
use crate::{
    access::stored,
    canaries::{Lines, listen},
};

async fn load(world: &World, notifier: &Value) -> Notifier {
    let id = notifier["id"].as_str().expect("text").parse().expect("an id");
    let key = keys::notifier(Owner::live(world.account.id), id);
    world.system.store.get(key).await.expect("read").expect("it is there")
}

/// The secrets of a notifier, opened as a worker does.
async fn opened(world: &World, notifier: &Value) -> Vec<String> {
    let notifier = load(world, notifier).await;
    let sealed: Vec<&Sealed> = match &notifier.settings {
        NotifierSettings::Email(it) => match &it.transport {
            EmailTransport::Ses => Vec::new(),
            EmailTransport::Smtp(it) => it.login.iter().map(|it| &it.password).collect(),
        },
        NotifierSettings::Slack(it) => vec![&it.bot_token, &it.signing_secret],
        NotifierSettings::Ntfy(it) => {
            [Some(&it.topic), it.token.as_ref()].into_iter().flatten().collect()
        }
        NotifierSettings::IncomingWebhook(it) => vec![&it.url],
        NotifierSettings::Webhook(it) => {
            let auth = it.credentials.auth.iter().map(|it| &it.value);
            auth.chain(it.credentials.headers.iter().map(|it| &it.value)).collect()
        }
    };
    let holder = Holder::Notifier(notifier.owner, notifier.id, notifier.created_by);
    let mut texts = Vec::new();
    for sealed in sealed {
        let now = world.system.clock.now();
        let text = world.system.vault.open_credential(&holder, sealed, now).await;
        texts.push(text.expect("it is the holder's").expose_secret().to_owned());
    }
    texts
}

#[tokio::test]
async fn no_answer_log_line_or_item_holds_a_secret() {
    let world = World::start().await;
    let lines = Lines::default();
    let texts = listen(&lines, async {
        let mut texts = Vec::new();
        for body in [smtp(), slack(), ntfy(), incoming(), own_system()] {
            let made = post(&world, body.clone()).await;
            assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
            let renamed = patch(&world, &made.json(), json!({ "name": "x" })).await;
            // A body that is refused quotes nothing of it.
            let mut wrong = body;
            wrong["settings"]["unknown"] = json!("x");
            let refused = post(&world, wrong).await;
            assert_eq!(faults(&refused), ["/settings/unknown"]);
            texts.extend([made.text(), renamed.text(), refused.text()]);
            texts.push(get(&world, &place(&made.json())).await.to_string());
        }
        texts.push(get(&world, PATH).await.to_string());
        texts
    })
    .await;
    for text in texts.iter().map(String::as_str).chain([&*lines.text(), &*stored(&world).await]) {
        assert!(!text.contains("c4nary"), "{text}");
    }
    for line in ["created a notifier", "changed a notifier"] {
        assert!(lines.text().contains(line), "{line} is in the audit log");
    }
    assert!(stored(&world).await.contains("ntfy.acme.com"), "the notifiers are stored");
}

#[tokio::test]
async fn secret_that_a_patch_does_not_name_stays() {
    let world = World::start().await;
    for (body, secrets, change_of_settings) in [
        (smtp(), vec!["c4nary-password"], json!({ "from": "ops@acme.example", "username": "ops" })),
        (ntfy(), vec!["c4nary-topic", "c4nary-token"], json!({ "url": "https://ntfy.acme.com/x" })),
        (slack(), vec!["c4nary-bot", "c4nary-signing"], json!({ "default_channel": "C012AB3CD" })),
        (incoming(), vec!["https://hooks.acme.com/s/c4nary-path"], json!({ "format": "slack" })),
        (
            own_system(),
            vec!["Bearer c4nary-bearer", "c4nary-header"],
            json!({ "url": "https://app.acme.com/other" }),
        ),
    ] {
        let made = make(&world, body).await;
        assert_eq!(opened(&world, &made).await, secrets);
        change(&world, &made, json!({ "settings": change_of_settings, "name": "x" })).await;
        assert_eq!(opened(&world, &made).await, secrets);
    }
}

#[tokio::test]
async fn secret_is_replaced_or_removed() {
    let world = World::start().await;
    for (body, patched, secrets) in [
        (smtp(), json!({ "password": "new" }), vec!["new"]),
        (smtp(), json!({ "password": null, "username": null }), vec![]),
        (smtp(), json!({ "username": null }), vec![]),
        (ntfy(), json!({ "topic": "new" }), vec!["new", "c4nary-token"]),
        (ntfy(), json!({ "token": null }), vec!["c4nary-topic"]),
        (incoming(), json!({ "url": "https://b.acme.com/n" }), vec!["https://b.acme.com/n"]),
        (own_system(), json!({ "auth": null }), vec!["c4nary-header"]),
        (own_system(), json!({ "headers": { "x-team": null } }), vec!["Bearer c4nary-bearer"]),
    ] {
        let made = make(&world, body).await;
        change(&world, &made, json!({ "settings": patched })).await;
        assert_eq!(opened(&world, &made).await, secrets, "{patched}");
        world.call(Method::DELETE, &place(&made), Value::Null).await;
    }
    let made = make(&world, smtp()).await;
    let refused = patch(&world, &made, json!({ "settings": { "password": null } })).await;
    assert_eq!(faults(&refused), ["/settings/password"]);
    let made = make(&world, incoming()).await;
    let refused = patch(&world, &made, json!({ "settings": { "url": null } })).await;
    assert_eq!(faults(&refused), ["/settings/url"]);
}

/// Otherwise one who may change a notifier, but does not know its password, could have it sent to a
/// server of theirs.
#[tokio::test]
async fn secret_never_goes_to_another_server() {
    let world = World::start().await;
    for (body, patched, required) in [
        (smtp(), json!({ "host": "evil.acme.com" }), "/settings/password"),
        (smtp(), json!({ "port": 2525 }), "/settings/password"),
        (ntfy(), json!({ "url": "https://evil.acme.com" }), "/settings/topic"),
        (ntfy(), json!({ "url": "https://ntfy.acme.com:8443" }), "/settings/topic"),
        (ntfy(), json!({ "url": "https://ntfy.acme.com.evil.com" }), "/settings/topic"),
    ] {
        let made = make(&world, body).await;
        let before = opened(&world, &made).await;
        let refused = patch(&world, &made, json!({ "settings": patched })).await;
        assert_eq!(faults(&refused), [required], "{patched}");
        assert_eq!(opened(&world, &made).await, before, "nothing changed");
    }
    let made = make(&world, ntfy()).await;
    let moved = json!({ "settings": { "url": "https://evil.acme.com", "topic": "new" } });
    change(&world, &made, moved).await;
    assert_eq!(opened(&world, &made).await, ["new"], "the token was dropped");
    let made = make(&world, own_system()).await;
    change(&world, &made, json!({ "settings": { "url": "https://evil.acme.com" } })).await;
    assert_eq!(opened(&world, &made).await, [] as [&str; 0], "all credentials were dropped");
}

#[tokio::test]
async fn mask_is_not_taken_for_a_secret() {
    let world = World::start().await;
    let made = make(&world, smtp()).await;
    let refused = patch(&world, &made, json!({ "settings": { "password": "***" } })).await;
    assert_eq!(faults(&refused), ["/settings/password"]);
    let made = make(&world, ntfy()).await;
    let masks = json!({ "settings": { "topic": "***", "token": "***" } });
    let refused = patch(&world, &made, masks).await;
    assert_eq!(faults(&refused), ["/settings/topic", "/settings/token"]);
}

#[tokio::test]
async fn deleted_notifier_keeps_no_secret() {
    let world = World::start().await;
    for body in [smtp(), slack(), ntfy(), incoming(), own_system()] {
        let made = make(&world, body).await;
        world.call(Method::DELETE, &place(&made), Value::Null).await;
        let deleted = load(&world, &made).await;
        assert!(deleted.is_deleted());
        let nothing = Sealed(Vec::new());
        match &deleted.settings {
            NotifierSettings::Email(it) => match &it.transport {
                EmailTransport::Ses => panic!("it was a mail server"),
                EmailTransport::Smtp(server) => assert_eq!(server.login, None),
            },
            NotifierSettings::Slack(it) => {
                assert_eq!((&it.bot_token, &it.signing_secret), (&nothing, &nothing));
            }
            NotifierSettings::Ntfy(it) => {
                assert_eq!((&it.topic, &it.token), (&nothing, &None));
            }
            NotifierSettings::IncomingWebhook(it) => assert_eq!(it.url, nothing),
            NotifierSettings::Webhook(it) => assert_eq!(it.credentials, <_>::default()),
        }
    }
}
