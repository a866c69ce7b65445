//! AWS clients, configured for a fast cold start.
//!
//! Credentials come from the environment, where Lambda puts them, without a provider chain.
//! Amazon's own roots replace the system's, and all clients share one HTTP client ([`http`]).
//! A client other than DynamoDB's is made when it is first used. Calls have a short user agent, and
//! [`signer`] signs them. Every call has a timeout, which the SDK does not set by default.

mod http;
mod rest;
mod signer;
mod user_agent;

use std::{
    borrow::Cow,
    fmt, fs,
    ops::Deref,
    sync::{Arc, LazyLock},
    time::Duration,
};

use anyhow::Context as _;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, IdentityCache, Region, SharedCredentialsProvider,
    SharedHttpClient, SharedInterceptor, StalledStreamProtectionConfig, retry::RetryConfig,
    timeout::TimeoutConfig,
};

use self::{signer::FastSigner, user_agent::ShortUserAgent};
use crate::platform::config::{optional, required};

pub(super) use rest::RestService;

/// Amazon's root certificates, from <https://www.amazontrust.com>.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");
/// Timeout of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Timeout of all attempts together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);
/// Region of the local emulator.
const LOCAL_REGION: &str = "us-east-1";
/// Factor of both timeouts for the local emulator, which handles one call at a time.
const LOCAL_TIMEOUT_FACTOR: u32 = 10;
/// Attempts in all: one and three retries.
const ATTEMPTS_MAX: u32 = 4;
/// First delay between attempts. The SDK doubles it each time and adds jitter.
const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// Configuration that all clients share.
#[derive(Clone)]
pub struct Sdk {
    region: Region,
    credentials: SharedCredentialsProvider,
    http: SharedHttpClient,
    endpoint: Option<String>,
    kms_endpoint: Option<String>,
    timeout_factor: u32,
    watchers: Vec<SharedInterceptor>,
}

/// A client that is made when it is first used.
#[derive(Clone)]
pub struct Deferred<C>(Arc<LazyLock<C, MakeClient<C>>>);

type MakeClient<C> = Box<dyn FnOnce() -> C + Send>;

macro_rules! config {
    ($sdk:expr, $service:ident, $signing_name:literal) => {{
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT * $sdk.timeout_factor)
            .operation_timeout(OPERATION_TIMEOUT * $sdk.timeout_factor)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS_MAX)
            .with_initial_backoff(RETRY_BACKOFF);
        let mut config = $service::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region($sdk.region.clone())
            .credentials_provider($sdk.credentials.clone())
            // Ours are in memory, and no response is a stream: the timeouts suffice.
            .identity_cache(IdentityCache::no_cache())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client($sdk.http.clone())
            .push_auth_scheme(FastSigner::new($sdk.region.as_ref(), $signing_name))
            .interceptor(ShortUserAgent)
            .timeout_config(timeouts)
            .retry_config(retries);
        config.set_endpoint_url($sdk.endpoint.clone());
        for watcher in &$sdk.watchers {
            config.push_interceptor(watcher.clone());
        }
        config
    }};
}

impl Sdk {
    /// Reads Lambda's environment: `AWS_REGION`, the credentials, and `AWS_ENDPOINT_URL` if an
    /// emulator replaces AWS. `AWS_ENDPOINT_URL_KMS` is for KMS alone. With TLS, `AWS_CA_BUNDLE` names the file
    /// of its root certificates.
    pub fn from_env() -> anyhow::Result<Self> {
        let credentials = Credentials::new(
            required::<String>("AWS_ACCESS_KEY_ID")?,
            required::<String>("AWS_SECRET_ACCESS_KEY")?,
            optional("AWS_SESSION_TOKEN")?,
            None,
            "environment",
        );
        let roots = match optional::<String>("AWS_CA_BUNDLE")? {
            Some(path) => Cow::from(fs::read(&path).context(path)?),
            None => AMAZON_ROOTS.into(),
        };
        let endpoint = optional("AWS_ENDPOINT_URL")?;
        let sdk = Self::new(required("AWS_REGION")?, credentials, endpoint, &roots)?;
        let kms_endpoint = optional("AWS_ENDPOINT_URL_KMS")?.or_else(|| sdk.kms_endpoint.clone());
        Ok(Self { kms_endpoint, ..sdk })
    }

    /// Configuration for an emulator of AWS at `endpoint`, with its credentials.
    pub fn local(endpoint: &str, access_key_id: &str, secret_access_key: &str) -> Self {
        let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "local");
        Self::new(LOCAL_REGION.to_owned(), credentials, Some(endpoint.to_owned()), AMAZON_ROOTS)
            .expect("the roots are certificates")
    }

    /// [`Sdk::local`] for an emulator in this process. Calls go to `http`, and to no socket.
    #[must_use]
    pub fn in_process(self, http: SharedHttpClient) -> Self {
        Self { http, ..self }
    }

    fn new(
        region: String,
        credentials: Credentials,
        endpoint: Option<String>,
        roots: &[u8],
    ) -> anyhow::Result<Self> {
        let is_plain = endpoint.as_ref().is_some_and(|it| it.starts_with("http://"));
        let http = http::client(roots, is_plain)?;
        Ok(Self {
            region: Region::new(region),
            credentials: SharedCredentialsProvider::new(credentials),
            http,
            kms_endpoint: endpoint.clone(),
            endpoint,
            timeout_factor: if is_plain { LOCAL_TIMEOUT_FACTOR } else { 1 },
            watchers: Vec::new(),
        })
    }

    /// Adds interceptors that see every call. Tests count and check calls with them.
    #[must_use]
    pub fn watched_by(self, watchers: Vec<SharedInterceptor>) -> Self {
        Self { watchers, ..self }
    }

    /// DynamoDB client.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(self.dynamodb_config().build())
    }

    /// DynamoDB configuration, to which callers add interceptors or longer timeouts.
    pub fn dynamodb_config(&self) -> aws_sdk_dynamodb::config::Builder {
        config!(self, aws_sdk_dynamodb, "dynamodb")
    }

    /// SQS client.
    pub fn sqs(&self) -> Deferred<aws_sdk_sqs::Client> {
        self.deferred(|it| aws_sdk_sqs::Client::from_conf(config!(it, aws_sdk_sqs, "sqs").build()))
    }

    /// KMS client.
    pub fn kms(&self) -> Deferred<aws_sdk_kms::Client> {
        self.deferred(|it| {
            let mut config = config!(it, aws_sdk_kms, "kms");
            config.set_endpoint_url(it.kms_endpoint.clone());
            aws_sdk_kms::Client::from_conf(config.build())
        })
    }

    /// EventBridge client.
    pub fn eventbridge(&self) -> Deferred<aws_sdk_eventbridge::Client> {
        self.deferred(|it| {
            aws_sdk_eventbridge::Client::from_conf(
                config!(it, aws_sdk_eventbridge, "events").build(),
            )
        })
    }
    pub(super) fn deferred<C>(
        &self,
        make: impl FnOnce(&Self) -> C + Send + 'static,
    ) -> Deferred<C> {
        let sdk = self.clone();
        Deferred(Arc::new(LazyLock::new(Box::new(move || make(&sdk)))))
    }
}

impl<C> Deref for Deferred<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> fmt::Debug for Deferred<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred").finish_non_exhaustive()
    }
}

impl fmt::Debug for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sdk").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
