//! How a function in Lambda comes to what it needs.

use std::{net::TcpStream, sync::Arc, thread, time::Duration};

use anyhow::Context as _;

use crate::{
    domain::RequestId,
    platform::{
        Bus, Config, Hints, Sdk, Vault, clock_skew::ClockWatch, config::optional, telemetry,
    },
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
        telemetry::init()?;
        if let Some(address) = optional::<String>("AWS_LAMBDA_RUNTIME_API")?
            && !await_runtime_api(&address)
        {
            tracing::warn!(address, "the Runtime API does not listen");
        }
        Ok(Self::new(Config::from_env()?, Sdk::from_env()?))
    }

    /// As if the environment had said so.
    pub fn new(config: Config, sdk: Sdk) -> Self {
        Self { config, sdk }
    }

    /// The store, with its connection made: before the first event a function has a whole
    /// processor, after it only a share.
    pub async fn store(&self) -> Store {
        let config = self.sdk.dynamodb_config().interceptor(ClockWatch::default());
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        let layout =
            Layout { n_due_shards: self.config.n_due_shards, retention: self.config.retention };
        let store = Store::new(Arc::new(DynamoDb::new(client, &self.config.table)), layout);
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
        let key = self.config.secrets_key_id.as_ref().context("`SECRETS_KEY_ID` must be set")?;
        Ok(Vault::kms(self.sdk.kms(), key))
    }

    /// The event bus, if there is one.
    pub fn bus(&self) -> Option<Bus> {
        let name = self.config.bus_name.as_ref()?;
        Some(Bus::new(self.sdk.eventbridge(), name))
    }
}

/// Waits until the Runtime API at `address` listens, and gives whether it does.
///
/// Lambda's emulator may start a function before it listens itself, and a function whose first call
/// is refused is dead.
fn await_runtime_api(address: &str) -> bool {
    // `cargo lambda watch` makes it a whole URL, or adds a path.
    let address = address.trim_start_matches("http://");
    let host_and_port = address.split('/').next().unwrap_or_default();
    for _ in 0..LOOKS_MAX {
        if TcpStream::connect(host_and_port).is_ok() {
            return true;
        }
        thread::sleep(LOOK);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::mpsc};

    use super::*;

    #[test]
    fn a_function_that_starts_before_the_runtime_api_waits_for_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let (done, listening) = mpsc::channel::<()>();
        let api = thread::spawn(move || {
            thread::sleep(20 * LOOK);
            let _listener = TcpListener::bind(address).expect("it is free again");
            listening.recv()
        });
        assert!(await_runtime_api(&format!("http://{address}/.rt/intake")));
        assert!(await_runtime_api(&address.to_string()));
        drop(done);
        let _ = api.join();
    }
}
