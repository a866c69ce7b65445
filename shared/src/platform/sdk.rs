//! Amazon's clients, as lean as they go.
//!
//! A function's start is dear where it does what it does not need. So: credentials from the
//! environment, where Lambda puts them, and no chain of providers; Amazon's own roots in place of
//! the system's; one HTTP client for all; ring for TLS. Every call has a limit, which the SDK
//! leaves out.

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

/// The roots that Amazon's endpoints are certified by, from <https://www.amazontrust.com>.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");
/// Time for one try.
const ATTEMPT: Duration = Duration::from_millis(1_500);
/// Time for all tries.
const OPERATION: Duration = Duration::from_secs(4);
/// How many times as long what stands in for AWS may take: it does one thing at a time.
const LOCAL_PATIENCE: u32 = 10;
/// Tries: the first and three more.
const TRIES: u32 = 4;
/// The first wait between tries; the SDK doubles it, at random.
const BACKOFF: Duration = Duration::from_millis(50);

/// What all clients share.
#[derive(Clone)]
pub struct Sdk {
    region: Region,
    credentials: SharedCredentialsProvider,
    http: SharedHttpClient,
    endpoint: Option<String>,
    patience: u32,
    watchers: Vec<SharedInterceptor>,
}

macro_rules! config {
    ($sdk:expr, $service:ident) => {{
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT * $sdk.patience)
            .operation_timeout(OPERATION * $sdk.patience)
            .build();
        let retries =
            RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(BACKOFF);
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
    /// As Lambda's environment says: `AWS_REGION`, the credentials, and `AWS_ENDPOINT_URL` where
    /// something stands in for AWS.
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

    /// For something that stands in for AWS at `endpoint`.
    pub fn local(endpoint: &str) -> Self {
        let credentials = Credentials::new("local", "local", None, None, "local");
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
            patience: if is_plain { LOCAL_PATIENCE } else { 1 },
            watchers: Vec::new(),
        }
    }

    /// The same, with these looking at every call: tests count calls, and judge them.
    #[must_use]
    pub fn watched_by(self, watchers: Vec<SharedInterceptor>) -> Self {
        Self { watchers, ..self }
    }

    /// DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(self.dynamodb_config().build())
    }

    /// DynamoDB, still to be configured: some tests wait longer.
    pub fn dynamodb_config(&self) -> aws_sdk_dynamodb::config::Builder {
        config!(self, aws_sdk_dynamodb)
    }

    /// SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::from_conf(config!(self, aws_sdk_sqs).build())
    }

    /// KMS.
    pub fn kms(&self) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::from_conf(config!(self, aws_sdk_kms).build())
    }

    /// EventBridge.
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::from_conf(config!(self, aws_sdk_eventbridge).build())
    }
}

impl fmt::Debug for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sdk").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
