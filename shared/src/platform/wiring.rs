//! Wiring of a deployed function: from its environment to the ports that it uses.

use std::{net::TcpStream, sync::Arc, thread, time::Duration};

use anyhow::Context as _;

use crate::{
    domain::{RequestId, account::LIST_SHARDS},
    platform::{
        Bus, Config, Hints, Sdk, Ses, Vault, clock_skew::ClockWatch, config::optional, telemetry,
    },
    store::{DynamoDb, Layout, Store, keys},
};

/// Most attempts to connect to the Runtime API, which take a second in all.
const RUNTIME_API_POLLS_MAX: u32 = 1_000;
/// Time between two attempts to connect to the Runtime API.
const RUNTIME_API_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The environment of a function.
#[derive(Debug)]
pub struct Wiring {
    /// Settings of the deployment.
    pub config: Config,
    sdk: Sdk,
}

impl Wiring {
    /// Starts to log, and reads the environment.
    pub fn from_env() -> anyhow::Result<Self> {
        telemetry::init()?;
        if let Some(address) = optional::<String>("AWS_LAMBDA_RUNTIME_API")?
            && !await_runtime_api(&address)
        {
            tracing::warn!(address, "the Runtime API did not listen");
        }
        Ok(Self::new(Config::from_env()?, Sdk::from_env()?))
    }

    /// The wiring of these settings and clients.
    pub fn new(config: Config, sdk: Sdk) -> Self {
        Self { config, sdk }
    }

    /// The store, already connected: before its first event a function has a whole CPU, and
    /// afterwards only a share.
    pub async fn store(&self) -> Store {
        let config = self.sdk.dynamodb_config().interceptor(ClockWatch::default());
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        let layout = Layout {
            n_due_shards: self.config.n_due_shards,
            n_list_shards: LIST_SHARDS,
            retention: self.config.retention,
        };
        let table = DynamoDb::new(client, &self.config.table);
        let store = Store::new(Arc::new(table), layout);
        // No request has this id. A failure repeats at the first event, where it is reported.
        let missing = keys::request(RequestId::from_bits(0));
        let _: Result<Option<crate::domain::Request>, _> = store.get(missing).await;
        store
    }

    /// The hint queues. Fails if one is not configured, because deliveries depend on them.
    pub fn hints(&self) -> anyhow::Result<Hints> {
        let url = self.config.hint_queue_url.clone().context("`HINT_QUEUE_URL` must be set")?;
        let slow_url = self.config.slow_hint_queue_url.clone();
        let slow_url = slow_url.context("`SLOW_HINT_QUEUE_URL` must be set")?;
        Ok(Hints::Queue { client: self.sdk.sqs(), url, slow_url })
    }

    /// The vault that seals and opens signing secrets.
    pub fn vault(&self) -> anyhow::Result<Vault> {
        let key = self.config.secrets_key_id.as_ref().context("`SECRETS_KEY_ID` must be set")?;
        Ok(Vault::kms(self.sdk.kms(), key))
    }

    /// The event bus, if one is configured.
    pub fn bus(&self) -> Option<Bus> {
        let name = self.config.bus_name.as_ref()?;
        Some(Bus::new(self.sdk.eventbridge(), name))
    }

    /// Amazon SES, if the deployment sends by it.
    pub fn ses(&self) -> Option<Ses> {
        self.config.sends_by_ses.then(|| self.sdk.ses())
    }
}

/// Waits until the Runtime API at `address` listens. Returns false if it does not.
///
/// An emulator of Lambda may start a function before it listens itself, and the runtime stops when
/// its first call is refused.
fn await_runtime_api(address: &str) -> bool {
    // `cargo lambda watch` sets a whole URL, or adds a path.
    let address = address.trim_start_matches("http://");
    let host_and_port = address.split('/').next().unwrap_or_default();
    for _ in 0..RUNTIME_API_POLLS_MAX {
        if TcpStream::connect(host_and_port).is_ok() {
            return true;
        }
        thread::sleep(RUNTIME_API_POLL_INTERVAL);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::mpsc};

    use super::*;

    #[test]
    fn function_waits_until_the_runtime_api_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let (done, listening) = mpsc::channel::<()>();
        let api = thread::spawn(move || {
            thread::sleep(20 * RUNTIME_API_POLL_INTERVAL);
            let _listener = TcpListener::bind(address).expect("it is free again");
            listening.recv()
        });
        assert!(await_runtime_api(&format!("http://{address}/.rt/intake")));
        assert!(await_runtime_api(&address.to_string()));
        drop(done);
        let _ = api.join();
    }
}
