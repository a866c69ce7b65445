//! Canaries: one flow uses every secret while all log lines of every level are kept. No line may
//! hold a secret, and every use of one must be audited.

mod flow;

use answerback::{
    domain::{Account, ApiKey, Channel, Delivery, Owner, Request, Webhook, WebhookId},
    signing::SigningKey,
    store::{Item, Key, keys},
};
use std::{
    io,
    sync::{Arc, Mutex},
};

use secrecy::ExposeSecret as _;
use system_tests::World;
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::EnvFilter;

pub(crate) use flow::Flow;

/// All log lines, except the bytes that the SDK exchanges with the table, which it logs at `trace`:
/// they include all stored values.
const HEARD: &str = "trace,aws_smithy_runtime=debug";

/// Log lines in memory.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no holder panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().expect("no holder panics").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }
}

/// Runs `run`, and keeps its log lines from this thread: parallel tests have threads of their own.
pub(crate) async fn listen<T>(lines: &Lines, run: impl Future<Output = T>) -> T {
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(HEARD))
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With a single subscriber, tracing caches the interest of the thread that logs a line first,
    // which may be another test's. A second one prevents that.
    let _second = Dispatch::new(NoSubscriber::default());
    let _guard = tracing::subscriber::set_default(subscriber);
    run.await
}

/// Panics with the line that contains a secret.
#[track_caller]
fn assert_unspoken(flow: &Flow, text: &str) {
    assert!(flow.canaries.len() > 20, "there are secrets to look for");
    for (what, canary) in &flow.canaries {
        assert!(canary.len() >= 16, "{what} is too short to be looked for: {canary}");
        let told = text.lines().find(|line| line.contains(canary.as_str()));
        assert_eq!(told, None, "the line holds {what}: {canary}");
    }
}

#[tokio::test]
async fn logs_hold_no_secret_and_every_use_of_one_is_audited() {
    let lines = Lines::default();
    let flow = Box::pin(listen(&lines, Flow::go())).await;
    let text = lines.text();
    for target in ["intake", "deliver", "aws_", "audit"] {
        assert!(text.contains(target), "no log line is from {target}");
    }
    assert_unspoken(&flow, &text);
    assert!(!text.contains(flow::PATH), "the path of a receiver's URL is secret");

    let audit: Vec<&str> = text.lines().filter(|it| it.contains(" audit: ")).collect();
    for (who, did, what) in &flow.audited {
        let account = format!("account.id={}", flow.world.account.id);
        let key = format!("key.id=key_{}", who.split('_').nth(2).expect("a key's identifier"));
        let is_it = |line: &&&str| {
            let (time, rest) = line.split_once(' ').expect("a time and the rest");
            time.parse::<jiff::Timestamp>().is_ok()
                && rest.contains(&format!("audit: {did} "))
                && [&account, &key, what].iter().all(|it| rest.contains(it.as_str()))
        };
        assert!(audit.iter().any(|it| is_it(&it)), "not audited: {did} {what}\n{audit:#?}");
    }
}

/// The debug output of the item.
async fn printed<T: Item + std::fmt::Debug>(world: &World, key: Key) -> String {
    let item = world.system.store.get::<T>(key).await.expect("the table exists");
    let item = item.expect("the item is stored");
    format!("{item:?}\n{item:#?}\n")
}

#[tokio::test]
async fn debug_output_holds_no_secret() {
    let flow = Flow::go().await;
    let world = &flow.world;
    let account = world.account.id;
    let mut text = format!("{:?}\n{:?}\n{:?}\n", world.system, world.account, world.posts());
    text += &printed::<Account>(world, keys::account(account)).await;
    for (id, prefix) in &flow.webhooks {
        let id = WebhookId::parse(id).expect("it is one");
        let printed = printed::<Webhook>(world, keys::webhook(Owner::live(account), &id)).await;
        assert!(printed.contains(prefix), "it is this one: {printed}");
        text += &printed;
    }
    for id in &flow.channels {
        text += &printed::<Channel>(world, keys::channel(id.parse().expect("one"))).await;
    }
    for id in &flow.keys {
        text += &printed::<ApiKey>(world, keys::api_key(id.parse().expect("one"))).await;
    }
    for id in &flow.requests {
        text += &printed::<Request>(world, keys::request(id.parse().expect("one"))).await;
    }
    for id in &flow.deliveries {
        text += &printed::<Delivery>(world, keys::delivery(id.parse().expect("one"))).await;
    }
    let secrets = flow.canaries.iter().map(|it| format!("whsec_{}", it.1).into());
    let keys: Vec<SigningKey> = secrets.filter_map(|it| SigningKey::parse(&it).ok()).collect();
    assert!(keys.len() >= 6, "the secrets are among them");
    assert_unspoken(&flow, &text);
    assert_unspoken(&flow, &format!("{keys:?}"));
    let made =
        world.system.make_key(Owner::live(world.account.id), Vec::new()).await.expect("a key");
    assert!(!format!("{made:?}").contains(made.text.expose_secret()));
}
