//! One call over the network, from the DNS look-up to the last byte.

use std::{
    error::Error,
    io, iter,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{
    Method, Request,
    header::{ACCEPT, ACCEPT_ENCODING, HOST, HeaderMap, HeaderName, HeaderValue},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    EXCERPT_BYTES_MAX, Failure, FailureKind, Post, Reply, Resolver, USER_AGENT,
    status_line::{Status, Watched},
};
use crate::domain::callback_url::{CallbackRules, CallbackUrl};

/// Timeout of connecting, with TLS, shared by all addresses of a host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of a DNS look-up when a URL is submitted, because the caller waits for it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a response's body that are read before the connection is closed.
const BODY_BYTES_MAX: usize = 16_384;
/// Most headers in a response that are read. Those of a response with more are unknown.
const HEADERS_MAX: usize = 1_000;
/// Error text of hyper for a head with more than [`HEADERS_MAX`] headers or about 400 KiB. The
/// method that tests for it is not public to clients.
const HEAD_TOO_LARGE: &str = "message head is too large";
/// Characters of a cause that are kept; some causes quote the server.
const MESSAGE_CHARS_MAX: usize = 300;

/// The network, and the rules about addresses that may be called.
#[derive(Debug)]
pub struct Network {
    rules: CallbackRules,
    resolver: Resolver,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// A connection, plain or with TLS.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// One request, to addresses that were checked.
struct Call<'a> {
    method: Method,
    url: &'a CallbackUrl,
    addresses: &'a [SocketAddr],
    headers: HeaderMap,
    body: Vec<u8>,
}

/// The part of a response that has arrived.
#[derive(Default)]
struct Arrived {
    status: Status,
    reply: Option<Reply>,
}

impl Network {
    pub(super) fn new(rules: CallbackRules, resolver: Resolver) -> Self {
        Self { rules, resolver, tls: OnceLock::new() }
    }

    pub(super) async fn post(&self, post: Post) -> Result<Reply, Failure> {
        let Post { url, headers, body, timeout: limit } = post;
        let mut arrived = Arrived::default();
        let called = async {
            let addresses = self.addresses(&url).await?;
            let method = Method::POST;
            let call = Call { method, url: &url, addresses: &addresses, headers, body };
            self.call(call, &mut arrived).await
        };
        let called = timeout(limit, called).await.unwrap_or_else(|_| Err(too_slow(limit)));
        arrived.end(called)
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
        let mut arrived = Arrived::default();
        let (method, headers, body) = (Method::HEAD, HeaderMap::new(), Vec::new());
        let call = Call { method, url, addresses, headers, body };
        let called = timeout(limit, self.call(call, &mut arrived)).await;
        match arrived.end(called.unwrap_or_else(|_| Err(too_slow(limit)))) {
            Ok(reply) | Err(Failure { reply: Some(reply), .. }) => Ok(reply.status),
            Err(failure) => Err(failure),
        }
    }

    async fn addresses(&self, url: &CallbackUrl) -> Result<Vec<SocketAddr>, Failure> {
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

    /// Sends one request on a new connection, and reads the response into `arrived`.
    #[expect(clippy::disallowed_methods, reason = "the only place that speaks HTTP to receivers")]
    async fn call(&self, call: Call<'_>, arrived: &mut Arrived) -> Result<(), Failure> {
        let connection = self.connect(call.url, call.addresses).await?;
        let connection = Watched::new(connection, arrived.status.clone());
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(HEADERS_MAX)
            // What people write into their servers' headers does not matter here.
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .handshake(connection)
            .await
            .map_err(|err| failure(&err))?;
        let request = call.into_request();
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|err| failure(&err))?;
            let (head, body) = response.into_parts();
            let headers = all_headers(&head.headers);
            let reply = Reply { status: head.status.as_u16(), headers, body: Vec::new() };
            read_body(body, &mut arrived.reply.insert(reply).body).await
        };
        // The connection does the work. When it is over, the exchange has a result.
        let (mut exchange, connection) = (pin!(exchange), pin!(connection));
        tokio::select! {
            done = &mut exchange => done,
            _ = connection => exchange.await,
        }
    }

    /// Connects to the first address that accepts.
    async fn connect(
        &self,
        url: &CallbackUrl,
        addresses: &[SocketAddr],
    ) -> Result<Box<dyn Connection>, Failure> {
        if !url.is_https() && !self.rules.is_development {
            return Err(Failure::new(FailureKind::Protocol, "only https is allowed"));
        }
        let ends_at = Instant::now() + CONNECT_TIMEOUT;
        let stream = connect_to_any(addresses, ends_at).await?;
        if !url.is_https() {
            return Ok(Box::new(stream));
        }
        let host = url.host().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::new(FailureKind::Tls, "the host has no valid name for TLS"))?;
        let tls = TlsConnector::from(Arc::clone(self.tls.get_or_init(tls)));
        let left = ends_at.saturating_duration_since(Instant::now());
        match timeout(left, tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(err)) => Err(tls_failure(&err)),
            Err(_) => Err(Failure::new(FailureKind::Tls, "the TLS handshake took too long")),
        }
    }
}

impl Call<'_> {
    fn into_request(self) -> Request<Full<Bytes>> {
        let Self { method, url, headers, body, .. } = self;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = url.target().parse().expect("checked when it was parsed");
        let host = HeaderValue::from_str(&url.host_and_port()).expect("a host is ASCII");
        request.headers_mut().insert(HOST, host);
        request.headers_mut().extend(headers);
        let defaults: [(HeaderName, &str); 3] = [
            (http::header::USER_AGENT, USER_AGENT),
            (ACCEPT, "*/*"),
            (ACCEPT_ENCODING, "identity"),
        ];
        for (name, value) in defaults {
            request.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        request
    }
}

impl Arrived {
    /// The result of a call that ended like this.
    fn end(self, called: Result<(), Failure>) -> Result<Reply, Failure> {
        let Self { status, reply } = self;
        let bare = |status| Reply { status, headers: Vec::new(), body: Vec::new() };
        let reply = reply.or_else(|| status.get().map(bare));
        match called {
            Ok(()) => Ok(reply.expect("a response arrived before its body was read")),
            Err(failure) => Err(Failure { reply, ..failure }),
        }
    }
}

/// Connects to the addresses one after another. Each gets its share of the time that is left.
async fn connect_to_any(addresses: &[SocketAddr], ends_at: Instant) -> Result<TcpStream, Failure> {
    let mut last = Failure::new(FailureKind::Connect, "the host name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let n_left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = ends_at.saturating_duration_since(Instant::now()) / n_left;
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Head and body go out together, so there is nothing to delay.
                _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(err)) => Failure::new(FailureKind::Connect, format!("could not connect: {err}")),
            Err(_) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                let message = format!("could not connect within {seconds} s");
                Failure::new(FailureKind::Connect, message)
            }
        };
    }
    Err(last)
}

/// TLS with the roots that browsers trust. Uses `ring`, because AWS-LC spends 24 ms on entropy when
/// it starts.
fn tls() -> Arc<ClientConfig> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn too_slow(limit: Duration) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("no complete response within {} s", limit.as_secs_f64()),
    )
}

fn all_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// Reads the body to its end or its limit, and keeps an excerpt.
async fn read_body(mut body: Incoming, excerpt: &mut Vec<u8>) -> Result<(), Failure> {
    let mut n_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|err| failure(&err))?;
        let Some(chunk) = frame.data_ref() else { continue };
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

/// Classifies an error of an exchange.
fn failure(error: &hyper::Error) -> Failure {
    let error: &(dyn Error + 'static) = error;
    let texts: Vec<String> =
        iter::successors(Some(error), |it| (*it).source()).map(ToString::to_string).collect();
    // The last cause is the reason. The others only name layers of the library.
    let cause = texts.last().map_or("", String::as_str);
    if texts.iter().any(|text| text == HEAD_TOO_LARGE) {
        return Failure::new(FailureKind::TooLarge, "the response head is too large");
    }
    Failure::new(FailureKind::Protocol, shortened(&format!("no valid HTTP response: {cause}")))
}

/// Classifies an error of a TLS handshake. One that the network broke off is not TLS's fault.
fn tls_failure(error: &io::Error) -> Failure {
    let is_tls = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>()).is_some();
    let (kind, what) = if is_tls {
        (FailureKind::Tls, "the TLS handshake failed")
    } else {
        (FailureKind::Connect, "could not connect with TLS")
    };
    Failure::new(kind, shortened(&format!("{what}: {error}")))
}

fn shortened(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}
