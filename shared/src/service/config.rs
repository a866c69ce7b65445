//! Configuration, read once when a function starts.
//!
//! A missing or malformed variable stops the function before its first event, so a bad deployment
//! fails at once and not on the first unlucky request. A variable that is empty counts as unset:
//! SAM cannot leave one out.

use std::{env, error, str::FromStr, time::Duration};

use anyhow::Context as _;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// What a deployment decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table (`TABLE_NAME`).
    pub table: String,
    /// Over how many partitions the due index is spread (`DUE_SHARDS`, 16). It may grow, and
    /// must not shrink while something is due.
    pub n_due_shards: u32,
    /// How long what is over is kept (`RETENTION_DAYS`, 30).
    pub retention: Duration,
    /// The queue for hints (`HINT_QUEUE_URL`). Every function needs it; a key is made without.
    pub hint_queue_url: Option<String>,
    /// The key in KMS that signing secrets are sealed under (`SECRETS_KEY_ID`).
    pub secrets_key_id: Option<String>,
    /// In its place, where something stands in for AWS: a key in hexadecimal
    /// (`LOCAL_SECRETS_KEY`).
    pub local_secrets_key: Option<LocalKey>,
    /// The queue for hints at receivers that are slow or down (`SLOW_HINT_QUEUE_URL`), likewise.
    pub slow_hint_queue_url: Option<String>,
    /// The event bus, if events are published (`BUS_NAME`).
    pub bus_name: Option<String>,
    /// The address in links, unless it is that of the call (`PUBLIC_BASE_URL`).
    pub public_base_url: Option<String>,
    /// Under which name metrics are counted, if they are (`STACK_NAME`).
    pub stack: Option<String>,
    /// How log lines look (`AWS_LAMBDA_LOG_FORMAT`, which Lambda sets).
    pub log_format: LogFormat,
    /// Which log lines are written (`RUST_LOG`, `info`). Metrics are lines of `info`.
    pub log_levels: Targets,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For programs: one JSON object each.
    Json,
    /// For people.
    Text,
}

impl FromStr for LogFormat {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text.eq_ignore_ascii_case("json") { Self::Json } else { Self::Text })
    }
}

/// A key that seals secrets where there is no KMS: 64 hexadecimal digits. It cannot be printed.
#[derive(Clone)]
pub struct LocalKey(pub [u8; 32]);

/// The text is no key.
#[derive(Debug, thiserror::Error)]
#[error("a key has 64 hexadecimal digits")]
pub struct ParseKeyError;

impl FromStr for LocalKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let key: Option<Vec<u8>> = crate::signing::unhex(text);
        key.and_then(|it| it.try_into().ok()).map(Self).ok_or(ParseKeyError)
    }
}

impl LocalKey {
    /// As it is written.
    pub fn to_hex(&self) -> String {
        crate::signing::hex(&self.0)
    }
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalKey(…)")
    }
}

/// Over how many partitions the due index is spread, unless configured.
pub const DUE_SHARDS: u32 = 16;
/// How long what is over is kept, unless configured.
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
            local_secrets_key: optional("LOCAL_SECRETS_KEY")?,
            slow_hint_queue_url: optional("SLOW_HINT_QUEUE_URL")?,
            bus_name: optional("BUS_NAME")?,
            public_base_url: optional("PUBLIC_BASE_URL")?
                .map(|it: String| it.trim_end_matches('/').to_owned()),
            stack: optional("STACK_NAME")?,
            log_format: optional("AWS_LAMBDA_LOG_FORMAT")?.unwrap_or(LogFormat::Text),
            log_levels: optional("RUST_LOG")?
                .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)),
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
