//! Delivery profiles: how a callback looks and behaves, as data.
//!
//! A receiver that was written for another product keeps working when its profile is chosen.

use super::{EventKind, retry::RetryPolicy};

/// A known way to make callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// [Standard Webhooks](https://www.standardwebhooks.com).
    Standard,
    /// As `NextKS`'s interactive notifications call back.
    NextKs,
}

/// What a [`Profile`] stands for.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// As it is written in the API.
    pub name: &'static str,
    /// Events that are told unless others are asked for.
    pub events: &'static [EventKind],
    /// The whole time for one attempt.
    pub timeout_seconds: u32,
    /// The delay before each retry.
    pub delays_seconds: &'static [u32],
    /// By how much of itself a delay may grow at random.
    pub jitter: f64,
    /// Whether a redirection ends the delivery at once; it is never followed.
    pub redirect_is_permanent: bool,
    /// Whether a 410 ends the delivery at once.
    pub gone_is_permanent: bool,
}

const SECOND: u32 = 1;
const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Standard, Self::NextKs];

    /// What it stands for.
    pub fn behaviour(self) -> &'static Behaviour {
        match self {
            Self::Standard => &Behaviour {
                name: "standard",
                events: &[EventKind::RequestFinished],
                timeout_seconds: 20,
                delays_seconds: &[
                    5 * SECOND,
                    5 * MINUTE,
                    30 * MINUTE,
                    2 * HOUR,
                    5 * HOUR,
                    10 * HOUR,
                    14 * HOUR,
                    20 * HOUR,
                    24 * HOUR,
                ],
                jitter: 0.2,
                redirect_is_permanent: true,
                gone_is_permanent: true,
            },
            Self::NextKs => &Behaviour {
                name: "nextks",
                events: &[EventKind::RequestFinished],
                timeout_seconds: 10,
                delays_seconds: &[MINUTE, MINUTE, MINUTE],
                jitter: 0.0,
                redirect_is_permanent: false,
                gone_is_permanent: false,
            },
        }
    }

    /// The profile that is written so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.behaviour().name == name)
    }
}

impl Behaviour {
    /// Its retries.
    pub fn retry(&self) -> RetryPolicy {
        RetryPolicy { delays_seconds: self.delays_seconds.to_vec(), jitter: self.jitter }
    }
}
