//! The only way out to addresses that we did not choose.
//!
//! A receiver's URL comes from a stranger, and its server may be slow, endless, hostile or our
//! own. Each attempt goes the same way, under one time limit from the first step to the last:
//!
//! ```text
//! look up    once; a literal address stands for itself            dns
//! check      every address; one that is not allowed refuses all   blocked_address
//! connect    to these addresses only: no second look-up, no       connect, tls
//!            proxy, a connection of its own, webpki's roots
//! send       once: no retry, no redirect followed                 timeout, protocol
//! read       the head, and at most 16 KiB of a body that is not   too_large
//!            decompressed
//! ```
//!
//! This module knows nothing of deliveries: any status is a [`Reply`], and what to make of it is
//! for others to say. No text that it makes holds the URL, for its path may be a secret.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    Promise,
    domain::callback_url::{CallbackRules, CallbackUrl},
};

pub use network::Network;
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
pub use resolver::{ParseAnswersError, Resolver};
pub use script::Script;

mod network;
mod resolver;
mod script;

/// How much of a response's body is kept: enough to show what went wrong.
pub const EXCERPT_BYTES_MAX: usize = 4_096;

/// Makes HTTP calls to callback URLs.
#[derive(Clone, Debug)]
pub enum Client {
    /// Over the network.
    Network(Arc<Network>),
    /// Nowhere: keeps what it was asked to post, and answers as told.
    Scripted(Arc<Script>),
    /// Into the simulation.
    Simulated(Arc<dyn Receivers>),
}

/// What stands in for names and receivers in the simulation.
pub trait Receivers: fmt::Debug + Send + Sync {
    /// Posts to a receiver.
    fn post(&self, post: Post) -> Promise<'_, Result<Reply, Failure>>;

    /// Resolves the host, and refuses it unless every address may be called.
    fn check(&self, url: CallbackUrl) -> Promise<'_, Result<(), Failure>>;
}

/// One request to a receiver.
#[derive(Clone)]
pub struct Post {
    /// Where it goes.
    pub url: CallbackUrl,
    /// What goes above the body.
    pub headers: HeaderMap,
    /// What it says.
    pub body: Vec<u8>,
    /// How long the whole attempt may take.
    pub timeout: Duration,
}

/// What a receiver answered, whatever the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The first of the headers, read as UTF-8 as far as they are.
    pub headers: Vec<(String, String)>,
    /// The first [`EXCERPT_BYTES_MAX`] of the body.
    pub body: Vec<u8>,
}

/// No whole answer came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// The cause, for the owner of the receiver; without the URL.
    pub message: String,
    /// What had come by then, if the response had begun.
    pub reply: Option<Reply>,
}

/// Where an attempt came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The name does not resolve.
    Dns,
    /// The host has an address that may not be called.
    BlockedAddress,
    /// No connection came about.
    Connect,
    /// No TLS session came about.
    Tls,
    /// The time was up.
    Timeout,
    /// What came is not HTTP, or stopped half-way.
    Protocol,
    /// More came than we read.
    TooLarge,
}

impl Client {
    /// A client for the network. Nothing is built before its first use.
    pub fn network(rules: CallbackRules, resolver: Resolver) -> Self {
        Self::Network(Arc::new(Network::new(rules, resolver)))
    }

    /// A client that answers posts with `answers`, in order, and then with an empty 200.
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

    /// Resolves the host, and refuses it unless every address may be called.
    pub async fn check(&self, url: &CallbackUrl) -> Result<(), Failure> {
        match self {
            Self::Network(network) => network.check(url).await,
            Self::Scripted(script) => script.check(url),
            Self::Simulated(receivers) => receivers.check(url.clone()).await,
        }
    }

    /// Checks the host, and asks it for the head of its answer, whatever the status.
    pub async fn probe(&self, url: &CallbackUrl) -> Result<(), Failure> {
        match self {
            Self::Network(network) => network.probe(url).await,
            Self::Scripted(script) => script.check(url),
            Self::Simulated(receivers) => receivers.check(url.clone()).await,
        }
    }

    /// What a scripted client was asked, and will answer.
    ///
    /// # Panics
    ///
    /// On a client for the network.
    pub fn script(&self) -> &Script {
        let Self::Scripted(script) = self else { panic!("only a scripted client has a script") };
        script
    }
}

impl Failure {
    /// A failure before any answer.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), reply: None }
    }
}

// The headers hold signatures and bearer tokens, the body what people said.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post")
            .field("url", &self.url)
            .field("n_body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
