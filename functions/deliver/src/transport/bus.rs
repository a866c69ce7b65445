//! The event bus: publishes the body as the detail of an EventBridge event.

use answerback::{
    domain::{
        Delivery,
        attempt::{AttemptError, ErrorKind, Exchange},
        delivery::{AttemptVerdict, DeliveryEnd},
    },
    platform::bus::PublishError,
};
use jiff::Timestamp;

use super::{Exchanged, Sent};
use crate::{App, Error};

/// Publishes `delivery` on the operator's bus.
pub(super) async fn send(app: &App, delivery: &Delivery, _at: Timestamp) -> Result<Sent, Error> {
    let Some(body) = &delivery.body else { return Ok(Sent::Unsent(DeliveryEnd::Cancelled)) };
    let detail = String::from_utf8_lossy(body);
    let published = match &app.bus {
        Some(bus) => bus.publish(delivery.event_type.as_str(), &detail).await,
        None => Err(PublishError::no_bus()),
    };
    let name = app.bus.as_ref().map_or("", |it| it.name());
    let exchange = Exchange { url: format!("bus:{name}"), headers: Vec::new(), response: None };
    let error = published
        .err()
        .map(|err| AttemptError { kind: ErrorKind::Protocol, message: err.to_string() });
    let verdict = match error {
        None => AttemptVerdict::Accepted,
        Some(_) => AttemptVerdict::Retry { retry_after: None },
    };
    let exchanged =
        Exchanged { verdict, exchange, error, webhook: None, refused: None, copy: None };
    Ok(Sent::Exchanged(Box::new(exchanged)))
}
