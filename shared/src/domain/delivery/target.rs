//! The target of a delivery: what a channel decides about timeouts, retries and breakers.

use std::time::Duration;

use super::{
    Receiver, TIMEOUT_SECONDS_MAX,
    message::{CopyUpdate, MESSAGE_TIMEOUT, Message, TestMessage, message_retry},
};
use crate::domain::{Profile, breaker::Authority, retry::RetryPolicy};

/// Time for one attempt to publish on the bus: the SDK's own limit, and a little more.
const BUS_TIMEOUT_SECONDS: u32 = 5;

/// The target of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A receiver of the sender's choice.
    Https(Receiver),
    /// The operator's event bus.
    Bus,
    /// A recipient of the request.
    Message(Message),
    /// The account itself: it tests a notifier.
    Test(TestMessage),
    /// The copy of a message that its recipient sees.
    Update(CopyUpdate),
    /// The target was erased.
    Erased,
}

impl Target {
    /// The time limit of one attempt.
    pub(super) fn timeout(&self) -> Duration {
        let seconds = match self {
            Self::Message(_) | Self::Test(_) | Self::Update(_) => return MESSAGE_TIMEOUT,
            Self::Https(receiver) => receiver.timeout_seconds.min(TIMEOUT_SECONDS_MAX),
            Self::Bus | Self::Erased => BUS_TIMEOUT_SECONDS,
        };
        Duration::from_secs(seconds.into())
    }

    /// The delays between attempts.
    pub(super) fn retry(&self) -> RetryPolicy {
        match self {
            Self::Https(receiver) => receiver.retry.clone(),
            Self::Message(_) => message_retry(),
            Self::Test(_) => RetryPolicy { delays_seconds: Vec::new(), jitter: 0.0 },
            // What people see must become true, however long their service is down.
            Self::Update(_) | Self::Bus | Self::Erased => Profile::Standard.spec().retry(),
        }
    }

    /// The host and port with a breaker, if it has one. A message goes by the notifier with the index
    /// `way`.
    pub(super) fn authority(&self, way: usize) -> Option<Authority> {
        match self {
            Self::Https(receiver) => Authority::of(&receiver.url),
            Self::Message(message) => message.ways.get(way)?.authority.clone(),
            Self::Test(test) => test.way.authority.clone(),
            Self::Update(update) => update.way.authority.clone(),
            Self::Bus | Self::Erased => None,
        }
    }
}
