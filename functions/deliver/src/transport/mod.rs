//! Transports: one file for each kind of target.
//!
//! Every transport has the same function: it sends the delivery's frozen body, or renders a message, and
//! judges the response. It writes nothing. A new kind of target is one more file here, and one more
//! arm in [`send`].

mod bus;
mod https;
mod message;

use answerback::domain::{
    Delivery, Notifier, Webhook,
    attempt::{AttemptError, Exchange},
    delivery::{AttemptVerdict, DeliveryEnd, Target},
    slack::SlackCopy,
};
use jiff::Timestamp;

use crate::{App, Error};

pub(crate) use message::{erase_copy, is_wanted};

/// The result of sending.
pub(crate) enum Sent {
    /// The target was called, or could not be reached.
    Exchanged(Box<Exchanged>),
    /// The target is gone or disabled, so nothing was sent and the delivery ends.
    Unsent(DeliveryEnd),
    /// Nothing was sent, for a reason of our own, so the delivery is attempted later.
    Postponed,
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
    /// The notifier that its service refused.
    pub(crate) refused: Option<Notifier>,
    /// The message as its recipient sees it, where it can be changed.
    pub(crate) copy: Option<SlackCopy>,
}

/// Sends `delivery` to its target. `at` is the time of this attempt. A webhook that is not among
/// `known`, which were loaded a moment ago, is loaded.
///
/// Most deliveries are HTTPS, and the other futures are boxed so that those are small.
pub(crate) async fn send(
    app: &App,
    delivery: &Delivery,
    known: &[Webhook],
    at: Timestamp,
) -> Result<Sent, Error> {
    match &delivery.target {
        Target::Https(_) => https::send(app, delivery, known, at).await,
        Target::Bus => Box::pin(bus::send(app, delivery, at)).await,
        Target::Message(message) => Box::pin(message::send(app, delivery, message, at)).await,
        Target::Test(test) => Box::pin(message::send_test(app, delivery, test, at)).await,
        Target::Update(update) => Box::pin(message::send_update(app, delivery, update, at)).await,
        Target::Erased => Ok(Sent::Unsent(DeliveryEnd::Cancelled)),
    }
}
