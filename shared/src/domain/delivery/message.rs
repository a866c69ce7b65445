//! A message: a delivery that brings the link of a request to one of its recipients.
//!
//! It has one or more *ways*: notifiers in the order in which they are tried. The first that accepts it
//! ends it. A message has no body: it is rendered at each attempt, so no link is stored, and nothing is
//! sent for a request that has ended.

use std::time::Duration;

use crate::domain::{
    DeliveryId, EmailAddress, NotifierId, NotifierKind, breaker::Authority, retry::RetryPolicy,
};

/// Delays before the retries of a message, on each way.
pub const MESSAGE_DELAYS_SECONDS: [u32; 3] = [60, 300, 1_800];
/// The largest random extension of a delay, as a part of it.
const MESSAGE_JITTER: f64 = 0.2;
/// The time limit of one attempt.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(15);
/// Most messages to one recipient of one request.
pub const MESSAGES_MAX: u32 = 12;

/// A message to a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The recipient's row.
    pub row: usize,
    /// The reason for the message.
    pub purpose: Purpose,
    /// The notifiers, in the order in which they are tried. At least one.
    pub ways: Vec<Way>,
}

/// A message that shows whether a notifier works. It asks nothing, and is sent once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestMessage {
    /// The notifier.
    pub way: Way,
    /// The address, for a notifier that needs one.
    pub to: Option<EmailAddress>,
}

/// A change of what a person sees: the copy of a message shows what was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyUpdate {
    /// The message.
    pub message: DeliveryId,
    /// The notifier that sent it.
    pub way: Way,
}

/// A notifier by which a message can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The notifier.
    pub notifier: NotifierId,
    /// Its kind.
    pub kind: NotifierKind,
    /// The host and port that it called when the message was made.
    pub authority: Option<Authority>,
}

/// The reason for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The recipient is asked.
    Ask,
    /// The recipient has not answered yet.
    Remind,
    /// Others have not answered, so this recipient is asked.
    Escalate,
    /// The recipient needs a new code.
    Code,
}

impl Purpose {
    /// The name of the reason in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Remind => "remind",
            Self::Escalate => "escalate",
            Self::Code => "code",
        }
    }
}

/// The retries of a message on one way.
pub fn message_retry() -> RetryPolicy {
    RetryPolicy { delays_seconds: MESSAGE_DELAYS_SECONDS.to_vec(), jitter: MESSAGE_JITTER }
}
