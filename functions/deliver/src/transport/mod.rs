//! Transports: one file for each kind of target.
//!
//! Every transport has the same function: it sends the delivery's frozen body to the target and
//! judges the response. It writes nothing. A new kind of target is one more file here, and one more
//! arm in [`send`].

mod bus;
mod https;

use answerback::domain::{
    Delivery, Webhook,
    attempt::{AttemptError, Exchange},
    delivery::{AttemptVerdict, DeliveryEnd, Target},
};
use jiff::Timestamp;

use crate::{App, Error};

/// The result of sending.
pub(crate) enum Sent {
    /// The target was called, or could not be reached.
    Exchanged(Box<Exchanged>),
    /// The target is gone or disabled, so nothing was sent and the delivery ends.
    Unsent(DeliveryEnd),
}

/// An exchange with a target.
pub(crate) struct Exchanged {
    /// Consequence for the delivery.
    pub(crate) verdict: AttemptVerdict,
    /// Request and response, without secrets.
    pub(crate) exchange: Exchange,
    /// Cause, unless the target accepted.
    pub(crate) error: Option<AttemptError>,
    /// The webhook that was called, whose health the verdict changes.
    pub(crate) webhook: Option<Webhook>,
}

/// Sends `delivery` to its target. `at` is the time of this attempt. A webhook that is not among
/// `known`, which were loaded a moment ago, is loaded.
pub(crate) async fn send(
    app: &App,
    delivery: &Delivery,
    known: &[Webhook],
    at: Timestamp,
) -> Result<Sent, Error> {
    match &delivery.target {
        Target::Https(_) => https::send(app, delivery, known, at).await,
        Target::Bus => bus::send(app, delivery, at).await,
        Target::Erased => Ok(Sent::Unsent(DeliveryEnd::Cancelled)),
    }
}
