//! The subjects of a breaker: a host with its port, and the endpoints there.

use std::fmt;

use sha2::{Digest as _, Sha256};
use url::Url;

use crate::domain::{NotifierId, WebhookRef};

/// Bytes of the hash that names the URL of a callback.
const HASH_BYTES: usize = 8;
/// The prefix of a webhook's text.
const WEBHOOK: &str = "webhook:";
/// The prefix of a notifier's text.
const NOTIFIER: &str = "notifier:";
/// The prefix of a callback's text.
const CALLBACK: &str = "callback:";

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority(String);

/// A program behind a host and port, which answers with statuses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// A webhook.
    Webhook(WebhookRef),
    /// The URL of callbacks, without its query.
    Callback(PathHash),
    /// A notifier.
    Notifier(NotifierId),
}

/// The hash of a URL's path. The path itself may be a secret of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathHash([u8; HASH_BYTES]);

impl Authority {
    /// The host and port of a URL.
    pub fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let port = url.port_or_known_default()?;
        Some(Self(format!("{}:{port}", url.host_str()?)))
    }

    /// The authority with this text, as [`Self::as_str`] returned it.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without the port.
    pub fn host(&self) -> &str {
        self.0.rsplit_once(':').map_or(&self.0, |(host, _)| host)
    }
}

impl Endpoint {
    /// The endpoint of callbacks to `url`.
    pub fn of_callback(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let hash: [u8; 32] = Sha256::digest(url.path()).into();
        let hash = hash[..HASH_BYTES].try_into().expect("8 of 32 bytes");
        Some(Self::Callback(PathHash(hash)))
    }

    /// The endpoint with this text.
    pub fn parse(text: &str) -> Option<Self> {
        let endpoint = if let Some(reference) = text.strip_prefix(WEBHOOK) {
            Self::Webhook(WebhookRef::parse(reference)?)
        } else if let Some(id) = text.strip_prefix(NOTIFIER) {
            Self::Notifier(id.parse().ok()?)
        } else {
            let hash = u64::from_str_radix(text.strip_prefix(CALLBACK)?, 16).ok()?;
            Self::Callback(PathHash(hash.to_be_bytes()))
        };
        (endpoint.to_string() == text).then_some(endpoint)
    }

    /// The webhook, whose own answers show whether it is slow. Callbacks share the answers of their
    /// host, because their URLs are often used once.
    pub fn webhook(&self) -> Option<&WebhookRef> {
        match self {
            Self::Webhook(reference) => Some(reference),
            Self::Callback(_) | Self::Notifier(_) => None,
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(reference) => write!(f, "{WEBHOOK}{reference}"),
            Self::Notifier(id) => write!(f, "{NOTIFIER}{id}"),
            Self::Callback(PathHash(hash)) => {
                write!(f, "{CALLBACK}{:016x}", u64::from_be_bytes(*hash))
            }
        }
    }
}
