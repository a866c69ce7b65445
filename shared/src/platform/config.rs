//! Configuration, read once when a function starts.
//!
//! A missing or malformed variable stops the function before its first event, so a bad deployment
//! fails at once. An empty variable counts as unset, because SAM cannot leave one out.

use std::{env, error, str::FromStr, time::Duration};

use anyhow::Context as _;

/// Settings of a deployment.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table (`TABLE_NAME`).
    pub table: String,
    /// Number of partitions of the due index (`DUE_SHARDS`, 4). It may grow, but must not shrink
    /// while items are due.
    pub n_due_shards: u32,
    /// Time for which finished items are kept (`RETENTION_DAYS`, 30).
    pub retention: Duration,
    /// The queue for hints (`HINT_QUEUE_URL`). Required by every function, but not by the command
    /// that creates API keys.
    pub hint_queue_url: Option<String>,
    /// The KMS key that signing secrets are sealed under (`SECRETS_KEY_ID`).
    pub secrets_key_id: Option<String>,
    /// The queue for receivers that are slow or down (`SLOW_HINT_QUEUE_URL`), required likewise.
    pub slow_hint_queue_url: Option<String>,
    /// The event bus, if events are published (`BUS_NAME`).
    pub bus_name: Option<String>,
    /// The deployment may send mail by Amazon SES (`SENDS_BY_SES`, `true` or `false`).
    pub sends_by_ses: bool,
    /// SES's configuration set, which publishes bounces (`SES_CONFIGURATION_SET`).
    pub ses_configuration_set: Option<String>,
    /// The base URL of links (`PUBLIC_BASE_URL`). Default: the host that the caller used.
    pub public_base_url: Option<String>,
}

/// Default number of partitions of the due index.
pub const DUE_SHARDS: u32 = 4;
/// Default number of days for which finished items are kept.
pub const RETENTION_DAYS: u32 = 30;

impl Config {
    /// Reads the environment.
    pub fn from_env() -> anyhow::Result<Self> {
        let retention_days = optional("RETENTION_DAYS")?.unwrap_or(RETENTION_DAYS);
        Ok(Self {
            table: required("TABLE_NAME")?,
            n_due_shards: optional("DUE_SHARDS")?.unwrap_or(DUE_SHARDS),
            retention: Duration::from_hours(24 * u64::from(retention_days)),
            hint_queue_url: optional("HINT_QUEUE_URL")?,
            secrets_key_id: optional("SECRETS_KEY_ID")?,
            slow_hint_queue_url: optional("SLOW_HINT_QUEUE_URL")?,
            bus_name: optional("BUS_NAME")?,
            sends_by_ses: optional("SENDS_BY_SES")?.unwrap_or(false),
            ses_configuration_set: optional("SES_CONFIGURATION_SET")?,
            public_base_url: optional("PUBLIC_BASE_URL")?
                .map(|it: String| it.trim_end_matches('/').to_owned()),
        })
    }
}

/// The value of `key`, which must be set.
pub fn required<T>(key: &str) -> anyhow::Result<T>
where
    T: FromStr<Err: error::Error + Send + Sync + 'static>,
{
    optional(key)?.with_context(|| format!("`{key}` must be set"))
}

/// The value of `key`, if it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "this is where configuration comes in")]
pub fn optional<T>(key: &str) -> anyhow::Result<Option<T>>
where
    T: FromStr<Err: error::Error + Send + Sync + 'static>,
{
    let text = env::var(key).ok().filter(|it| !it.is_empty());
    text.map(|it| it.parse()).transpose().with_context(|| format!("`{key}` does not parse"))
}
