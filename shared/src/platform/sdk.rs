//! AWS clients, configured for a fast cold start.
//!
//! Credentials come from the environment, where Lambda puts them, without a provider chain.
//! Amazon's own roots replace the system's, all clients share one HTTP client, and ring does TLS.
//! Every call has a timeout, which the SDK does not set by default.

use std::{fmt, time::Duration};

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
    SharedInterceptor, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use crate::platform::config::{optional, required};

/// Amazon's root certificates, from <https://www.amazontrust.com>.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");
/// Timeout of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Timeout of all attempts together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);
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
    timeout_factor: u32,
    watchers: Vec<SharedInterceptor>,
}

macro_rules! config {
    ($sdk:expr, $service:ident) => {{
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
            .http_client($sdk.http.clone())
            .timeout_config(timeouts)
            .retry_config(retries);
        config.set_endpoint_url($sdk.endpoint.clone());
        config.set_interceptors($sdk.watchers.iter().cloned());
        config
    }};
}

impl Sdk {
    /// Reads Lambda's environment: `AWS_REGION`, the credentials, and `AWS_ENDPOINT_URL` if an
    /// emulator replaces AWS.
    pub fn from_env() -> anyhow::Result<Self> {
        let credentials = Credentials::new(
            required::<String>("AWS_ACCESS_KEY_ID")?,
            required::<String>("AWS_SECRET_ACCESS_KEY")?,
            optional("AWS_SESSION_TOKEN")?,
            None,
            "environment",
        );
        let endpoint = optional("AWS_ENDPOINT_URL")?;
        Ok(Self::new(required("AWS_REGION")?, credentials, endpoint))
    }

    /// Configuration for an emulator of AWS at `endpoint`, with its credentials.
    pub fn local(endpoint: &str, access_key_id: &str, secret_access_key: &str) -> Self {
        let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "local");
        Self::new("us-east-1".to_owned(), credentials, Some(endpoint.to_owned()))
    }

    fn new(region: String, credentials: Credentials, endpoint: Option<String>) -> Self {
        let is_plain = endpoint.as_ref().is_some_and(|it| it.starts_with("http://"));
        let http = if is_plain {
            Builder::new().build_http()
        } else {
            let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
            let tls = TlsContext::builder().with_trust_store(roots).build();
            Builder::new()
                .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
                .tls_context(tls.expect("the roots are certificates"))
                .build_https()
        };
        Self {
            region: Region::new(region),
            credentials: SharedCredentialsProvider::new(credentials),
            http,
            endpoint,
            timeout_factor: if is_plain { LOCAL_TIMEOUT_FACTOR } else { 1 },
            watchers: Vec::new(),
        }
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
        config!(self, aws_sdk_dynamodb)
    }

    /// SQS client.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::from_conf(config!(self, aws_sdk_sqs).build())
    }

    /// KMS client.
    pub fn kms(&self) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::from_conf(config!(self, aws_sdk_kms).build())
    }

    /// EventBridge client.
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::from_conf(config!(self, aws_sdk_eventbridge).build())
    }
}

impl fmt::Debug for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sdk").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
