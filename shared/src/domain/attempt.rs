//! An attempt: the record of one HTTP exchange of a delivery, for people to read.

use super::{AttemptId, EventId, Owner, WebhookRef};
use jiff::Timestamp;

/// Longest stored part of a receiver's response body.
pub const RESPONSE_EXCERPT_BYTES_MAX: usize = 4 * 1024;

/// The record of one HTTP exchange of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Its identifier: the delivery's, and the number of the attempt.
    pub id: AttemptId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The webhook, if the target is one.
    pub webhook: Option<WebhookRef>,
    /// The time at which it began.
    pub started_at: Timestamp,
    /// Its duration.
    pub duration_ms: u32,
    /// The exchange, without the request body, which is the delivery's. `None` after an erasure.
    pub exchange: Option<Exchange>,
    /// The error, if it failed.
    pub error: Option<AttemptError>,
}

/// An HTTP request and its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The URL.
    pub url: String,
    /// The request headers, with secrets masked.
    pub headers: Vec<(String, String)>,
    /// The response, if there was one.
    pub response: Option<Response>,
}

/// A receiver's response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: String,
}

/// The error of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptError {
    /// The kind of error.
    pub kind: ErrorKind,
    /// The error in words, without the URL.
    pub message: String,
}

/// The kind of error of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The host name did not resolve.
    Dns,
    /// The host leads to an address that must not be called.
    BlockedAddress,
    /// The connection failed.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// It timed out.
    Timeout,
    /// The response was not HTTP, or broke off.
    Protocol,
    /// The response was too large.
    TooLarge,
    /// The status was not 2xx.
    Status,
    /// The receiver redirected. Redirects are never followed.
    Redirect,
}

/// Largest attempt that is stored in its delivery, in bytes.
const SHORT_BYTES_MAX: usize = 4 * 1024;

impl Attempt {
    /// The event.
    pub fn event(&self) -> EventId {
        self.id.delivery().event()
    }

    /// It is short enough to be stored in its delivery, whose every write it makes more expensive.
    pub fn is_short(&self) -> bool {
        let headers = |it: &[(String, String)]| -> usize {
            it.iter().map(|(name, value)| name.len() + value.len()).sum()
        };
        let response = |it: &Response| headers(&it.headers) + it.body.len();
        let exchange = self.exchange.as_ref().map_or(0, |it| {
            it.url.len() + headers(&it.headers) + it.response.as_ref().map_or(0, response)
        });
        exchange + self.error.as_ref().map_or(0, |it| it.message.len()) <= SHORT_BYTES_MAX
    }

    /// The record without the exchange, or `None` if it was erased before.
    pub fn erase(&self) -> Option<Self> {
        self.exchange.as_ref()?;
        let error = self.error.as_ref();
        let error = error.map(|it| AttemptError { kind: it.kind, message: String::new() });
        Some(Self { exchange: None, error, ..self.clone() })
    }
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Dns,
        Self::BlockedAddress,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Protocol,
        Self::TooLarge,
        Self::Status,
        Self::Redirect,
    ];

    /// The name of the kind in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::BlockedAddress => "blocked_address",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Status => "status",
            Self::Redirect => "redirect",
        }
    }

    /// The kind with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}
