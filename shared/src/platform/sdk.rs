//! AWS clients, configured for a fast cold start.
//!
//! Credentials come from the environment, where Lambda puts them, without a provider chain.
//! Amazon's own roots replace the system's, all clients share one HTTP client, and ring does TLS.
//! A client other than DynamoDB's is made when it is first used. Calls have a short user agent, and
//! [`signer`] signs them. Every call has a timeout, which the SDK does not set by default.

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
use aws_smithy_http_client::{
    Builder,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    },
    orchestrator::HttpRequest,
};

use tokio::{sync::Semaphore, time::timeout};

use self::{signer::FastSigner, user_agent::ShortUserAgent};
use crate::platform::config::{optional, required};

pub(super) use rest::RestService;

/// Amazon's root certificates, from <https://www.amazontrust.com>.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");
/// Timeout of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Timeout of all attempts together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);
/// Calls at a time over TLS, unless they take long: each has its connection, and a handshake takes as long
/// as some calls.
const CALLS_MAX: usize = 8;
/// Longest wait of a call for its turn. So calls that hang do not hold others up.
const TURN_WAIT_MAX: Duration = Duration::from_millis(500);
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

/// A connector that lets other tasks run before each call. So the connection of the call before is
/// usually back in the pool, and the call begins no other one, which would take a TLS handshake. Above
/// [`CALLS_MAX`] calls wait for their turn.
#[derive(Debug)]
struct PatientConnector {
    connector: SharedHttpConnector,
    /// `None`: the calls take no TLS.
    turns: Option<Arc<Semaphore>>,
}

impl HttpConnector for PatientConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, turns) = (self.connector.clone(), self.turns.clone());
        HttpConnectorFuture::new(async move {
            tokio::task::yield_now().await;
            // One attempt at a time holds a turn, and the wait is in its timeout.
            let _turn = match turns {
                Some(turns) => timeout(TURN_WAIT_MAX, turns.acquire_owned()).await.ok(),
                None => None,
            };
            connector.call(request).await
        })
    }
}

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
        let turns = (!is_plain).then(|| Arc::new(Semaphore::new(CALLS_MAX)));
        let http = if is_plain {
            Builder::new().build_http()
        } else {
            let roots = TrustStore::empty().with_pem_certificate(roots);
            let tls = TlsContext::builder().with_trust_store(roots).build();
            Builder::new()
                .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
                .tls_context(tls.context("the root certificates do not parse")?)
                .build_https()
        };
        Ok(Self {
            region: Region::new(region),
            credentials: SharedCredentialsProvider::new(credentials),
            // Hides the client's validation, for which each service's client would make a
            // connector with a TLS configuration, and drop it.
            http: http_client_fn(move |settings, components| {
                let connector = http.http_connector(settings, components);
                let turns = turns.clone();
                SharedHttpConnector::new(PatientConnector { connector, turns })
            }),
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

#[cfg(test)]
mod tests {
    use std::{
        future,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;
    use futures::{future::join_all, poll};

    use super::*;

    /// A connector whose first calls hang.
    #[derive(Debug)]
    struct Hanging(AtomicUsize);

    impl HttpConnector for Hanging {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            if self.0.fetch_add(1, Ordering::Relaxed) < CALLS_MAX {
                return HttpConnectorFuture::new(future::pending());
            }
            let status = StatusCode::try_from(200).expect("a status");
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::empty())))
        }
    }

    #[tokio::test]
    async fn calls_that_hang_do_not_hold_others_up() {
        let connector = PatientConnector {
            connector: SharedHttpConnector::new(Hanging(AtomicUsize::new(0))),
            turns: Some(Arc::new(Semaphore::new(CALLS_MAX))),
        };
        let call = || connector.call(HttpRequest::new(SdkBody::empty()));
        let mut hanging = Box::pin(join_all((0..CALLS_MAX).map(|_| call())));
        while connector.turns.as_ref().is_some_and(|it| it.available_permits() > 0) {
            assert!(poll!(&mut hanging).is_pending());
        }
        let answered = timeout(TURN_WAIT_MAX * 20, call()).await.expect("it is not held up");
        assert_eq!(answered.expect("a response").status().as_u16(), 200);
    }
}
