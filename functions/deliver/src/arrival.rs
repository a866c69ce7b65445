//! Arrivals: mails by SES that the recipient's mail server has accepted.
//!
//! A mail whose attempt had an unknown outcome is not sent again once it has arrived.

use answerback::{
    domain::{
        Delivery, NotificationId,
        delivery::{DeliveryState, Target},
    },
    platform::{Group, Hint},
    store::keys,
};

use crate::{
    App, Error,
    bounce::{come_back, request_of},
};

/// Notes that the mail of message `id` by the way with this index has arrived. `hint` says so.
pub(crate) async fn note(
    app: &App,
    hint: &Hint,
    id: NotificationId,
    way: usize,
    hops: u32,
) -> Result<(), Error> {
    let NotificationId(id) = id;
    let found = app.core.store.get::<Delivery>(keys::delivery(id)).await?;
    let (now, op) = (app.core.now(), app.core.new_op());
    let group = match found {
        Some(delivery) => match app.core.step(delivery, |it| it.arrive(way, now, op)).await? {
            Some(it) if is_being_sent(&it, way) => Group::of(&it),
            Some(_) | None => return Ok(()),
        },
        // The worker that sent it may be about to store it.
        None => match request_of(app, id).await? {
            Some(request) => Group::Account(request.owner.account),
            None => return Ok(()),
        },
    };
    come_back(app, hint, group, hops).await
}

/// It is a message that is being sent by this way, so it does not say yet that it was.
fn is_being_sent(delivery: &Delivery, way: usize) -> bool {
    let is_leased = matches!(delivery.state, DeliveryState::Leased { .. });
    is_leased && delivery.way == way && matches!(delivery.target, Target::Message(_))
}
