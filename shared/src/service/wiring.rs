//! How a function in Lambda comes to what it needs.

use std::sync::Arc;

use anyhow::Context as _;

use super::{Bus, Config, Hints, Sdk, Vault, skew::ClockWatch, telemetry};
use crate::{
    domain::RequestId,
    store::{DynamoDb, Layout, Store, keys},
};

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
