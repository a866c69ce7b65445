//! One HTTP exchange with the server.

use std::{error::Error, iter, sync::Arc, time::Duration};

use answerback::platform::config::optional;
use anyhow::{Context as _, ensure};
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER},
    redirect, retry,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use secrecy::ExposeSecret as _;

use super::{Call, Problem, Reply, proxy};
use crate::settings::Server;

/// Timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest response. A page of 100 requests stays far below.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Sent with every call.
const USER_AGENT: &str = concat!("answerback-cli/", env!("CARGO_PKG_VERSION"));

/// A connection to one server, and the key for it.
pub(super) struct Transport {
    http: reqwest::Client,
    base: String,
    authorization: HeaderValue,
}

/// A write whose response is passed on as it is.
pub(crate) struct Exchange {
    pub(crate) path: &'static str,
    /// Headers that depend on the body. A value that no header can have is not sent.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// A body in JSON.
    pub(crate) body: String,
}

/// A response, whatever its status.
pub(crate) struct Exchanged {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// The times of one exchange.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// The time for which the server may hold the call.
    pub(super) hold: Duration,
    /// The time for all of it.
    pub(super) timeout: Duration,
}

/// The result of one exchange.
pub(super) enum Attempt {
    /// The call succeeded.
    Success(Reply),
    /// The server refused the call.
    Refused(Problem),
    /// The call cannot be written as HTTP.
    Unsendable(String),
    /// The server refused the call for now (429).
    Limited {
        /// The refusal.
        problem: Problem,
        /// The server's pause before the next attempt.
        retry_after: Option<Duration>,
    },
    /// No response, or one that another attempt may improve.
    Failed {
        /// What happened.
        failure: String,
        /// The server's pause before the next attempt.
        retry_after: Option<Duration>,
    },
}

impl Transport {
    #[expect(clippy::disallowed_methods, reason = "the user chose the address, so none is refused")]
    pub(super) fn new(server: &Server) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .tls_backend_preconfigured(tls()?)
            // The key goes to the configured server only.
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .http1_only();
        if server.is_loopback() {
            builder = builder.no_proxy();
        } else {
            proxy::check(&server.url)?;
        }
        let bearer = format!("Bearer {}", server.key.expose_secret());
        let mut authorization =
            HeaderValue::from_str(&bearer).context("the API key has invalid characters")?;
        authorization.set_sensitive(true);
        Ok(Self {
            http: builder.build().context("cannot set up the HTTP client")?,
            base: server.url.as_str().trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// Makes the call once.
    pub(super) async fn attempt(&self, call: &Call, times: Times) -> Attempt {
        let wait = match times.hold.as_secs() {
            0 => String::new(),
            seconds => format!("?wait={seconds}"),
        };
        let mut request = self
            .http
            .request(call.method.clone(), format!("{}{}{wait}", self.base, call.path))
            .header("authorization", self.authorization.clone())
            .timeout(times.timeout);
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        match request.send().await {
            Ok(response) => judge(response).await,
            Err(err) if err.is_builder() => {
                Attempt::Unsendable(format!("the call cannot be sent: {}", last_cause(err)))
            }
            Err(err) => failed(format!("no response from {}: {}", self.base, last_cause(err))),
        }
    }
}

impl Transport {
    /// Sends the body once, and returns what the server responds.
    pub(super) async fn exchange(
        &self,
        exchange: &Exchange,
        timeout: Duration,
    ) -> Result<Exchanged, String> {
        let mut request = self
            .http
            .post(format!("{}{}", self.base, exchange.path))
            .header("authorization", self.authorization.clone())
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .timeout(timeout)
            .body(exchange.body.clone());
        for (name, value) in &exchange.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                request = request.header(*name, value);
            }
        }
        let sent = request.send().await;
        let response =
            sent.map_err(|err| format!("no response from {}: {}", self.base, last_cause(err)))?;
        let status = response.status();
        Ok(Exchanged { status, body: read_body(response).await? })
    }
}

/// TLS with the roots that browsers trust, and those in `SSL_CERT_FILE`.
fn tls() -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = optional::<String>("SSL_CERT_FILE")? {
        let context = || format!("cannot read the certificates in `{path}` (SSL_CERT_FILE)");
        let n_known = roots.len();
        for certificate in CertificateDer::pem_file_iter(&path).with_context(context)? {
            roots.add(certificate.with_context(context)?).with_context(context)?;
        }
        ensure!(roots.len() > n_known, "`{path}` (SSL_CERT_FILE) has no certificate");
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Reads a response, and says what it means for the call.
async fn judge(response: Response) -> Attempt {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|it| it.trim().parse().ok());
    let retry_after = retry_after.map(Duration::from_secs);
    let is_replayed = response.headers().contains_key("idempotency-replayed");
    let location = header(LOCATION).map(str::to_owned);
    let body = match read_body(response).await {
        Ok(body) => body,
        // Some refusals have no body, so the status suffices.
        Err(_) if status.is_client_error() => Vec::new(),
        Err(failure) => return failed(failure),
    };
    if status.is_success() {
        return match serde_json::from_slice(&body) {
            Ok(json) => Attempt::Success(Reply { json, retry_after, is_replayed }),
            Err(err) => failed(format!("the server's response is not JSON: {err}")),
        };
    }
    if status.is_redirection() {
        let to = location.unwrap_or_default();
        let text = format!("it redirects to `{to}`, and the API does not");
        return Attempt::Refused(Problem::read(status, text.as_bytes()));
    }
    let problem = Problem::read(status, &body);
    match status {
        StatusCode::TOO_MANY_REQUESTS => Attempt::Limited { problem, retry_after },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
            Attempt::Failed { failure: problem.to_string(), retry_after }
        }
        StatusCode::NOT_IMPLEMENTED
        | StatusCode::HTTP_VERSION_NOT_SUPPORTED
        | StatusCode::LOOP_DETECTED => Attempt::Refused(problem),
        it if it.is_server_error() => {
            let failure = format!("the server failed with status {}", it.as_u16());
            Attempt::Failed { failure, retry_after }
        }
        _ => Attempt::Refused(problem),
    }
}

fn failed(failure: String) -> Attempt {
    Attempt::Failed { failure, retry_after: None }
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let cut_off = |err| format!("the response was cut off: {}", last_cause(err));
    while let Some(chunk) = response.chunk().await.map_err(cut_off)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(format!("the response is larger than {BODY_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The last cause is the reason. The others only name layers of the library.
fn last_cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let error = error.without_url();
    let causes = iter::successors(error.source(), |error: &&dyn Error| (*error).source());
    let causes = causes.map(ToString::to_string);
    causes.last().unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse_url;

    #[tokio::test]
    async fn call_that_cannot_be_written_is_not_repeated() {
        let url = parse_url("http://127.0.0.1:9").expect("a URL");
        let transport = Transport::new(&Server::new(url, "ab_live_x").expect("a key"));
        let call = Call::post("/v1/requests").once("a\nb".to_owned());
        let times = Times { hold: Duration::ZERO, timeout: Duration::from_secs(1) };
        let attempt = transport.expect("a client").attempt(&call, times).await;
        assert!(matches!(attempt, Attempt::Unsendable(_)));
    }
}
