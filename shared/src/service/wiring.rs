//! How a function in Lambda comes to what it needs.

use std::{net::TcpStream, sync::Arc, thread, time::Duration};

use anyhow::Context as _;

use super::{Bus, Config, Hints, Sdk, Vault, config::optional};
use crate::{
    domain::RequestId,
    store::{DynamoDb, Layout, Store, keys},
};

/// Most looks whether the Runtime API listens already.
const LOOKS_MAX: u32 = 1_000;
/// The time between two.
const LOOK: Duration = Duration::from_millis(1);

/// The environment of a function, read.
#[derive(Debug)]
pub struct Wiring {
    /// What the deployment decides.
    pub config: Config,
    sdk: Sdk,
}

impl Wiring {
    /// Reads the environment, and begins to log.
    pub fn from_env() -> anyhow::Result<Self> {
        lambda_http::tracing::init_default_subscriber();
        await_runtime_api()?;
        Ok(Self { config: Config::from_env()?, sdk: Sdk::from_env()? })
    }

    /// The store, with its connection made: before the first event a function has a whole
    /// processor, after it only a share.
    pub async fn store(&self) -> Store {
        let layout =
            Layout { n_due_shards: self.config.n_due_shards, retention: self.config.retention };
        let store =
            Store::new(Arc::new(DynamoDb::new(self.sdk.dynamodb(), &self.config.table)), layout);
        // Nobody has this identifier. What fails here will fail again where somebody is told.
        let nobody = keys::request(RequestId::from_bits(0));
        let _: Result<Option<crate::domain::Request>, _> = store.get(nobody).await;
        store
    }

    /// Where hints go. Without its queues nothing would ever be told, so that is an error.
    pub fn hints(&self) -> anyhow::Result<Hints> {
        let url = self.config.hint_queue_url.clone().context("`HINT_QUEUE_URL` must be set")?;
        let slow_url = self.config.slow_hint_queue_url.clone();
        let slow_url = slow_url.context("`SLOW_HINT_QUEUE_URL` must be set")?;
        Ok(Hints::Queue { client: self.sdk.sqs(), url, slow_url })
    }

    /// What opens secrets.
    pub fn vault(&self) -> anyhow::Result<Vault> {
        Vault::of(&self.config, &self.sdk).context("`SECRETS_KEY_ID` must be set")
    }

    /// The event bus, if there is one.
    pub fn bus(&self) -> Option<Bus> {
        let name = self.config.bus_name.as_ref()?;
        Some(Bus::new(self.sdk.eventbridge(), name))
    }
}

/// Waits until somebody listens who has events.
///
/// Lambda's emulator may start a function before its own Runtime API, and a function that asks too
/// early is dead. Whoever still refuses after all looks is found out by the first call.
fn await_runtime_api() -> anyhow::Result<()> {
    let Some(address) = optional::<String>("AWS_LAMBDA_RUNTIME_API")? else { return Ok(()) };
    // `cargo lambda watch` has a path behind host and port.
    let host_and_port = address.split('/').next().unwrap_or_default();
    for _ in 0..LOOKS_MAX {
        if TcpStream::connect(host_and_port).is_ok() {
            break;
        }
        thread::sleep(LOOK);
    }
    Ok(())
}
