//! One HTTP exchange of a delivery, as it is kept for people to look at.

use super::{AttemptId, EventId, Owner, WebhookId};
use jiff::Timestamp;

/// How much of a receiver's body is kept.
pub const RESPONSE_EXCERPT_BYTES_MAX: usize = 4 * 1024;

/// One HTTP exchange of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Which attempt of which delivery.
    pub id: AttemptId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// What was told.
    pub event: EventId,
    /// The webhook that was told.
    pub webhook: Option<WebhookId>,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u32,
    /// What was asked, but for the body, which is the delivery's. `None`: erased.
    pub exchange: Option<Exchange>,
    /// What went wrong, if it did.
    pub error: Option<AttemptError>,
}

/// What was sent, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Where it went.
    pub url: String,
    /// What stood above the body, secrets masked.
    pub headers: Vec<(String, String)>,
    /// What came back.
    pub response: Option<Response>,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// What stood above its body.
    pub headers: Vec<(String, String)>,
    /// The beginning of its body.
    pub body: String,
}

/// What went wrong with an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptError {
    /// What kind of thing.
    pub kind: ErrorKind,
    /// In words, without the URL.
    pub message: String,
}

/// What kind of thing went wrong with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The host name did not resolve.
    Dns,
    /// It leads to an address that may not be called.
    BlockedAddress,
    /// No connection.
    Connect,
    /// No secure connection.
    Tls,
    /// It took too long.
    Timeout,
    /// It was not HTTP, or broke off.
    Protocol,
    /// The answer was too large.
    TooLarge,
    /// A status that is not 2xx.
    Status,
    /// A redirection, which is never followed.
    Redirect,
}

impl Attempt {
    /// The record without what was sent and what came back; nothing if that is gone already.
    pub fn erase(&self) -> Option<Self> {
        self.exchange.as_ref()?;
        let error = self.error.as_ref();
        let error = error.map(|it| AttemptError { kind: it.kind, message: String::new() });
        Some(Self { exchange: None, error, ..self.clone() })
    }
}

impl ErrorKind {
    /// Every kind.
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

    /// As it is written in the API.
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

    /// The kind that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}
