//! The target of a delivery: what a channel decides about timeouts, retries and breakers.

use std::time::Duration;

use super::{Receiver, TIMEOUT_SECONDS_MAX};
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
    /// The target was erased.
    Erased,
}

impl Target {
    /// The time limit of one attempt.
    pub(super) fn timeout(&self) -> Duration {
        let seconds = match self {
            Self::Https(receiver) => receiver.timeout_seconds.min(TIMEOUT_SECONDS_MAX),
            Self::Bus | Self::Erased => BUS_TIMEOUT_SECONDS,
        };
        Duration::from_secs(seconds.into())
    }

    /// The delays between attempts.
    pub(super) fn retry(&self) -> RetryPolicy {
        match self {
            Self::Https(receiver) => receiver.retry.clone(),
            Self::Bus | Self::Erased => Profile::Standard.spec().retry(),
        }
    }

    /// The host and port with a breaker, if it has one.
    pub(super) fn authority(&self) -> Option<Authority> {
        match self {
            Self::Https(receiver) => Authority::of(&receiver.url),
            Self::Bus | Self::Erased => None,
        }
    }
}
