//! One call over the network, from the DNS look-up to the last byte.

use std::{error::Error, future, io, iter, net::SocketAddr, sync::OnceLock, time::Duration};

use reqwest::{
    Method, RequestBuilder, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT_ENCODING, HeaderMap, HeaderValue},
    redirect, retry,
};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::{EXCERPT_BYTES_MAX, Failure, FailureKind, Post, Reply, Resolver, USER_AGENT, tls};
use crate::domain::callback_url::{CallbackRules, CallbackUrl};

/// Timeout of connecting, shared by all addresses of a host.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of a DNS look-up when a URL is submitted, because the caller waits for it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a response's body that are read before the connection is closed.
const BODY_BYTES_MAX: usize = 16_384;
/// Most headers in a response.
const HEADERS_MAX: usize = 1_000;
/// Error text of hyper for a head with more than [`HEADERS_MAX`] headers or about 400 KiB. The
/// method that tests for it is not public to clients.
const HEAD_TOO_LARGE: &str = "message head is too large";
/// Characters of a cause that are kept; some causes quote the server.
pub(super) const MESSAGE_CHARS_MAX: usize = 300;

/// The network, and the rules about addresses that may be called.
#[derive(Debug)]
pub struct Network {
    pub(super) rules: CallbackRules,
    resolver: Resolver,
    tls: OnceLock<ClientConfig>,
}

impl Network {
    pub(super) fn new(rules: CallbackRules, resolver: Resolver) -> Self {
        Self { rules, resolver, tls: OnceLock::new() }
    }

    /// [`Network::new`] with other settings of TLS.
    pub(super) fn with_tls(rules: CallbackRules, resolver: Resolver, tls: ClientConfig) -> Self {
        Self { tls: OnceLock::from(tls), ..Self::new(rules, resolver) }
    }

    /// The settings of TLS, which usually trust webpki's roots.
    pub(super) fn tls(&self) -> &ClientConfig {
        self.tls.get_or_init(tls::webpki)
    }

    pub(super) async fn post(&self, post: Post) -> Result<Reply, Failure> {
        let Post { url, mut headers, body, timeout: limit } = post;
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut begun = None;
        let attempt = async {
            let addresses = self.addresses(&url).await?;
            let with = |request: RequestBuilder| request.headers(headers).body(body);
            let response = self.send(Method::POST, &url, &addresses, with).await?;
            let reply = begun.insert(head(&response));
            read_body(response, &mut reply.body).await
        };
        match timeout(limit, attempt).await.unwrap_or_else(|_| Err(too_slow(limit))) {
            Ok(()) => Ok(begun.expect("the response began before its body was read")),
            Err(failure) => Err(Failure { reply: begun, ..failure }),
        }
    }

    /// The addresses of `url`, if all of them are allowed.
    pub(super) async fn check(&self, url: &CallbackUrl) -> Result<Vec<SocketAddr>, Failure> {
        let checked = timeout(CHECK_TIMEOUT, self.addresses(url)).await;
        checked.unwrap_or_else(|_| {
            let seconds = CHECK_TIMEOUT.as_secs();
            let message = format!("DNS look-up failed: no answer within {seconds} s");
            Err(Failure::new(FailureKind::Dns, message))
        })
    }

    /// Sends a `HEAD` request to checked addresses, and returns the status.
    pub(super) async fn probe(
        &self,
        url: &CallbackUrl,
        addresses: &[SocketAddr],
        limit: Duration,
    ) -> Result<u16, Failure> {
        let probed = timeout(limit, self.send(Method::HEAD, url, addresses, |it| it)).await;
        let response = probed.unwrap_or_else(|_| Err(too_slow(limit)))?;
        Ok(response.status().as_u16())
    }

    /// The addresses of `url`, if all of them are allowed.
    pub(super) async fn addresses(&self, url: &CallbackUrl) -> Result<Vec<SocketAddr>, Failure> {
        // HTTP clients skip their resolver for a literal address, so its checks would not run.
        let addresses = match url.literal_address() {
            Some(address) => vec![SocketAddr::new(address, url.port())],
            None => self.resolver.look_up(url.host(), url.port()).await?,
        };
        match addresses.iter().find(|address| !self.rules.allows(address.ip())) {
            None => Ok(addresses),
            Some(address) => Err(Failure::new(
                FailureKind::BlockedAddress,
                format!("the host resolves to {}, which is not a public address", address.ip()),
            )),
        }
    }

    /// Sends one request to checked addresses, and returns when the response's head has arrived.
    async fn send(
        &self,
        method: Method,
        url: &CallbackUrl,
        addresses: &[SocketAddr],
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let client = self.client(addresses).map_err(failure)?;
        let response = with(client.request(method, url.as_str())).send().await.map_err(failure)?;
        match response.remote_addr() {
            Some(peer) if addresses.contains(&peer) => Ok(response),
            _ => Err(Failure::new(
                FailureKind::BlockedAddress,
                "the connection went to an address that was not checked",
            )),
        }
    }

    /// A client for one call, bound to the checked addresses.
    #[expect(clippy::disallowed_methods, reason = "the only place that builds an HTTP client")]
    fn client(&self, addresses: &[SocketAddr]) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .dns_resolver(Checked(addresses.to_vec()))
            .connect_timeout(CONNECT_TIMEOUT)
            .tls_backend_preconfigured(self.tls().clone())
            .https_only(!self.rules.is_development)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .pool_max_idle_per_host(0)
            .http1_only()
            .http1_max_headers(HEADERS_MAX)
            // A receiver that has sent its status has decided. What people write into their
            // servers' headers does not matter.
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .build()
    }
}

/// Resolves every name to the checked addresses. So no spelling of a host leads to a second look-up.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(future::ready(Ok(addresses)))
    }
}

fn too_slow(limit: Duration) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("no complete response within {} s", limit.as_secs_f64()),
    )
}

/// A reply with the response's head and an empty body.
fn head(response: &Response) -> Reply {
    Reply {
        status: response.status().as_u16(),
        headers: all_headers(response.headers()),
        body: Vec::new(),
    }
}

fn all_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// Reads the body to its end or its limit, and keeps an excerpt.
async fn read_body(mut response: Response, excerpt: &mut Vec<u8>) -> Result<(), Failure> {
    let mut n_bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        n_bytes += chunk.len();
        let n_free = EXCERPT_BYTES_MAX - excerpt.len();
        excerpt.extend(chunk.iter().take(n_free));
        if n_bytes > BODY_BYTES_MAX {
            let message = format!("the response body is larger than {BODY_BYTES_MAX} bytes");
            return Err(Failure::new(FailureKind::TooLarge, message));
        }
    }
    Ok(())
}

/// Classifies an error of the HTTP client, and removes the URL from it.
fn failure(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let causes: Vec<&(dyn Error + 'static)> =
        iter::successors(Some(&error as &(dyn Error + 'static)), |error| (*error).source())
            .collect();
    let texts: Vec<String> = causes.iter().map(ToString::to_string).collect();
    let kind = if texts.iter().any(|text| text == HEAD_TOO_LARGE) {
        FailureKind::TooLarge
    } else if error.is_timeout() {
        FailureKind::Timeout
    } else if causes.iter().copied().any(is_tls) {
        FailureKind::Tls
    } else if error.is_connect() {
        FailureKind::Connect
    } else {
        FailureKind::Protocol
    };
    let what = match kind {
        FailureKind::TooLarge => "the response is too large",
        FailureKind::Timeout => "no response in time",
        FailureKind::Tls => "the TLS handshake failed",
        FailureKind::Connect => "could not connect",
        FailureKind::Dns | FailureKind::BlockedAddress | FailureKind::Protocol => {
            "no valid HTTP response"
        }
    };
    // The last cause is the reason. The others only name layers of the library.
    let cause = texts.last().map_or("", String::as_str);
    let message = format!("{what}: {cause}");
    Failure::new(kind, message.chars().take(MESSAGE_CHARS_MAX).collect::<String>())
}

/// True for a TLS error. Two I/O errors wrap it, and an I/O error does not report the error that it
/// wraps as its source.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || wrapped.is_some_and(|error| is_tls(error))
}
