//! The claim of a worker on an event.
//!
//! A worker that claims an event may attempt the event's deliveries before it stores them, and then
//! stores each together with its result. No other worker dispatches the event until the claim has
//! expired. The event's timer finds an event whose worker died.
//!
//! An event is claimed once. A worker that finds an expired claim stores each delivery, with a timer,
//! before it attempts it.

use std::time::Duration;

use jiff::Timestamp;

use super::{EventId, OpId, delivery::LEASE_GUARD};

/// Time from an event to the sweep that looks for it, unless it is dispatched before. A claim that
/// allows attempts before storing expires earlier.
pub const DISPATCH_INTERVAL: Duration = Duration::from_mins(1);

/// The claim of a worker on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The event.
    pub event: EventId,
    /// The operation of the worker.
    pub op: OpId,
    /// The time at which it was made.
    pub made_at: Timestamp,
    /// The end of the claim, by which the worker's function has ended. `None`: the worker stores each
    /// delivery before the attempt, so others need not wait for it.
    pub until: Option<Timestamp>,
}

impl Claim {
    /// The worker may still be at work.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|it| now < it + LEASE_GUARD)
    }
}
