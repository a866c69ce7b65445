//! The only way out to addresses that we did not choose.
//!
//! A receiver's URL comes from a stranger. Its server may be slow, endless, hostile, or our own.
//! Every call takes the same steps under one timeout; the right column is the kind of failure:
//!
//! ```text
//! look up    once; a literal address needs no look-up             dns
//! check      every address; one blocked address blocks the call   blocked_address
//! connect    to these addresses only: no second look-up, no       connect, tls
//!            proxy, no pooled connection, webpki's roots
//! send       once: no retries, no redirects                       timeout, protocol
//! read       the head, and at most 16 KiB of the body, without    too_large
//!            decompression
//! ```
//!
//! [`mail`] takes the same steps up to the connection, and then talks SMTP.
//!
//! This module does not know deliveries. Every status is a [`Reply`], and callers decide what it
//! means. A failure after the head has a reply too: the receiver has decided. Malformed headers are
//! ignored. A head that ends too early, has more than 1,000 headers, or has a contradictory
//! `Content-Length` is a failure without a reply. No message contains the URL, because its path may be a secret.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    Promise,
    domain::{
        attempt::ErrorKind,
        callback_url::{CallbackRules, CallbackUrl},
    },
};

pub use mail::{Login, Mail, MailFailure, SmtpReply, SmtpStage};
pub use mime::{Letter, LetterError};
pub use network::Network;
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
pub use resolver::{ParseAnswersError, Resolver};
pub use script::Script;
pub use slack::{SlackAnswer, SlackApi, SlackError};

pub mod mail;
pub mod mime;
mod network;
mod resolver;
mod script;
mod slack;
pub(crate) mod tls;

/// The `User-Agent` of every call, unless a profile has another.
pub const USER_AGENT: &str = concat!("Answerback/", env!("CARGO_PKG_VERSION"));
/// Bytes of a response's body that are kept, enough to debug a receiver.
pub const EXCERPT_BYTES_MAX: usize = 4_096;

/// Makes HTTP calls to callback URLs, and sends mails.
#[derive(Clone, Debug)]
pub enum Client {
    /// The network.
    Network(Arc<Network>),
    /// A script for tests, which records posts and mails, and returns prepared replies.
    Scripted(Arc<Script>),
    /// The simulation's receivers.
    Simulated(Arc<dyn Receivers>),
}

/// The simulation's replacement for DNS and receivers.
pub trait Receivers: fmt::Debug + Send + Sync {
    /// Posts to a receiver.
    fn post(&self, post: Post) -> Promise<'_, Result<Reply, Failure>>;

    /// Resolves the host, and fails unless every address is allowed.
    fn check(&self, url: CallbackUrl) -> Promise<'_, Result<(), Failure>>;

    /// Sends a `HEAD` request, which may take `limit`, and returns the status.
    fn probe(&self, url: CallbackUrl, limit: Duration) -> Promise<'_, Result<u16, Failure>>;

    /// Gives a mail to its server. By default no server listens.
    fn mail(&self, _: Mail) -> Promise<'_, Result<SmtpReply, MailFailure>> {
        Box::pin(async { Err(MailFailure::new(FailureKind::Connect, "no mail server listens")) })
    }
}

/// A URL whose host has only addresses that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    url: CallbackUrl,
    addresses: Vec<SocketAddr>,
}

/// One request to a receiver.
#[derive(Clone)]
pub struct Post {
    /// Target URL.
    pub url: CallbackUrl,
    /// Request headers.
    pub headers: HeaderMap,
    /// Request body.
    pub body: Vec<u8>,
    /// Timeout of the whole call.
    pub timeout: Duration,
}

/// The response of a receiver, with any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The response headers, decoded as lossy UTF-8.
    pub headers: Vec<(String, String)>,
    /// The first [`EXCERPT_BYTES_MAX`] of the body.
    pub body: Vec<u8>,
}

/// The call failed before a complete response arrived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Kind of failure.
    pub kind: FailureKind,
    /// Cause, for the owner of the receiver. Does not contain the URL.
    pub message: String,
    /// The part of the response that arrived, if it had begun.
    pub reply: Option<Reply>,
}

/// The step at which a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The host name does not resolve.
    Dns,
    /// The host has a blocked address.
    BlockedAddress,
    /// Could not connect.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The timeout expired.
    Timeout,
    /// The response is not HTTP, or it is incomplete.
    Protocol,
    /// The response exceeds our limits.
    TooLarge,
}

impl Checked {
    /// The URL.
    pub fn url(&self) -> &CallbackUrl {
        &self.url
    }
}

impl Client {
    /// A client for the network. TLS is set up at its first use.
    pub fn network(rules: CallbackRules, resolver: Resolver) -> Self {
        Self::Network(Arc::new(Network::new(rules, resolver)))
    }

    /// [`Client::network`] that also trusts these certificates, in PEM. For measurements against a server of ours.
    pub fn trusting(
        rules: CallbackRules,
        resolver: Resolver,
        certificates: &[u8],
    ) -> anyhow::Result<Self> {
        let tls = tls::webpki_and(certificates)?;
        Ok(Self::Network(Arc::new(Network::with_tls(rules, resolver, tls))))
    }

    /// A client that replies with `answers`, in order, and then with an empty 200.
    pub fn scripted(answers: impl IntoIterator<Item = Result<Reply, Failure>>) -> Self {
        Self::Scripted(Arc::new(Script::new(answers)))
    }

    /// Posts to a receiver.
    pub async fn post(&self, post: Post) -> Result<Reply, Failure> {
        match self {
            Self::Network(network) => network.post(post).await,
            Self::Scripted(script) => script.post(post),
            Self::Simulated(receivers) => receivers.post(post).await,
        }
    }

    /// Resolves the host, and fails unless every address is allowed.
    pub async fn check(&self, url: &CallbackUrl) -> Result<Checked, Failure> {
        let addresses = match self {
            Self::Network(network) => network.check(url).await?,
            Self::Scripted(script) => script.check(url).map(|()| Vec::new())?,
            Self::Simulated(receivers) => {
                receivers.check(url.clone()).await.map(|()| Vec::new())?
            }
        };
        Ok(Checked { url: url.clone(), addresses })
    }

    /// Sends a `HEAD` request to a host that was checked, and returns the status. It takes at most
    /// `limit`.
    pub async fn probe(&self, checked: &Checked, limit: Duration) -> Result<u16, Failure> {
        let Checked { url, addresses } = checked;
        match self {
            Self::Network(network) => network.probe(url, addresses, limit).await,
            Self::Scripted(script) => script.probe(url),
            Self::Simulated(receivers) => receivers.probe(url.clone(), limit).await,
        }
    }

    /// Gives a mail to its server, and returns the reply by which the server took the mail over.
    ///
    /// The outcome is unknown after a failure of the kind `Timeout`, `Protocol` or `TooLarge` without a
    /// reply: the server may have taken the mail over. After all others it has not.
    pub async fn mail(&self, mail: Mail) -> Result<SmtpReply, MailFailure> {
        match self {
            Self::Network(network) => mail::send(network, mail).await,
            Self::Scripted(script) => script.mail(mail),
            Self::Simulated(receivers) => receivers.mail(mail).await,
        }
    }

    /// The script of a scripted client.
    ///
    /// # Panics
    ///
    /// If the client is not scripted.
    pub fn script(&self) -> &Script {
        let Self::Scripted(script) = self else { panic!("only a scripted client has a script") };
        script
    }
}

impl From<FailureKind> for ErrorKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Dns => Self::Dns,
            FailureKind::BlockedAddress => Self::BlockedAddress,
            FailureKind::Connect => Self::Connect,
            FailureKind::Tls => Self::Tls,
            FailureKind::Timeout => Self::Timeout,
            FailureKind::Protocol => Self::Protocol,
            FailureKind::TooLarge => Self::TooLarge,
        }
    }
}

impl Failure {
    /// A failure before a response began.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), reply: None }
    }
}

// Headers contain signatures and bearer tokens, and bodies contain what people wrote.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post")
            .field("url", &self.url)
            .field("n_body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
