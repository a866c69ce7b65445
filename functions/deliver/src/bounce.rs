//! Bounces: mails that SES accepted, and that came back or were reported as spam.
//!
//! ```text
//!  SES ─▶ event bus ─▶ rule in template.yaml ─▶ hint ─┬─▶ the account sends no mail to the address for 30 days
//!                                                     └─▶ the message: its next way, or bounced and reported
//! ```
//!
//! A bounce may come before the worker that sent the mail has written so, or twice, or after an erasure. A
//! hint that comes too early is sent again for a little later. If that worker died, another one finds the
//! address suppressed.

use std::time::Duration;

use answerback::{
    domain::{
        Delivery, DeliveryId, NotificationId, Request,
        delivery::{Bounce, DeliveryState, Message, Target, TestMessage},
    },
    platform::{Group, Hint, OutgoingHint},
    store::keys,
};

use crate::{App, Error, attempt, suppression, transport::is_wanted};

/// Time until the hint at a message that is being sent comes again.
const EARLY_DELAY: Duration = Duration::from_secs(10);

/// Notes that the mail of message `id` by the way with this index came back. `hint` says so.
pub(crate) async fn note(
    app: &App,
    hint: &Hint,
    id: NotificationId,
    way: usize,
    hops: u32,
) -> Result<(), Error> {
    let NotificationId(id) = id;
    let Some(delivery) = app.core.store.get::<Delivery>(keys::delivery(id)).await? else {
        // The worker that sent it may be about to store it, or has died.
        let Some(request) = request_of(app, id).await? else { return Ok(()) };
        let mut rows = 0..request.rows().len();
        if let Some(row) = rows.find(|it| request.is_message(id, *it)) {
            suppress(app, &request, row).await?;
        }
        return come_back(app, hint, Group::Account(request.owner.account), hops).await;
    };
    let message = match &delivery.target {
        Target::Message(message) => message,
        Target::Test(TestMessage { to: Some(to), .. }) => {
            let (account, now) = (delivery.owner.account, app.core.now());
            suppression::suppress(app, account, to, now).await?;
            let op = app.core.new_op();
            let group = Group::of(&delivery);
            return match app.core.step(delivery, |it| it.bounce_test(now, op)).await? {
                Some(it) if matches!(it.state, DeliveryState::Leased { .. }) => {
                    come_back(app, hint, group, hops).await
                }
                Some(_) | None => Ok(()),
            };
        }
        Target::Test(_) | Target::Update(_) | Target::Https(_) | Target::Bus | Target::Erased => {
            return Ok(());
        }
    };
    let (message, number) = (message.clone(), delivery.attempt);
    let is_wanted = is_wanted_after_suppression(app, &delivery, &message).await?;
    let (now, op) = (app.core.now(), app.core.new_op());
    let bounce = Bounce { way, is_wanted };
    let Some(delivery) = app.core.step(delivery, |it| it.bounce(bounce, now, op)).await? else {
        return Ok(());
    };
    match delivery.state {
        DeliveryState::Leased { .. } if delivery.way == way => {
            come_back(app, hint, Group::of(&delivery), hops).await
        }
        DeliveryState::Leased { .. } => Ok(()),
        DeliveryState::Waiting { .. } | DeliveryState::Done { .. } => {
            attempt::go_on(app, delivery, number, 0).await
        }
    }
}

/// Suppresses the address of the message's recipient, and returns true if the recipient still has to be
/// reached. The address of an erased request is unknown.
async fn is_wanted_after_suppression(
    app: &App,
    delivery: &Delivery,
    message: &Message,
) -> Result<bool, Error> {
    let request = request_of(app, delivery.id).await?;
    // It may be a message of an earlier request under the same idempotency key.
    let Some(request) = request.filter(|it| it.is_message(delivery.id, message.row)) else {
        return Ok(false);
    };
    suppress(app, &request, message.row).await?;
    Ok(is_wanted(&request, message, app.core.now()))
}

/// Suppresses the address of the recipient of row `row`, who has one.
async fn suppress(app: &App, request: &Request, row: usize) -> Result<(), Error> {
    let Some(recipient) = request.question.recipients.get(row) else { return Ok(()) };
    suppression::suppress(app, request.owner.account, &recipient.email, app.core.now()).await
}

/// The request of a message, unless it is gone.
pub(crate) async fn request_of(app: &App, id: DeliveryId) -> Result<Option<Request>, Error> {
    let Some(id) = id.event().request() else { return Ok(None) };
    Ok(app.core.store.get(keys::request(id)).await?)
}

/// Sends `hint` again for a little later. If that fails, the queue has to keep this one.
pub(crate) async fn come_back(
    app: &App,
    hint: &Hint,
    group: Group,
    hops: u32,
) -> Result<(), Error> {
    let Some(next) = hint.clone().hop(hops) else {
        tracing::warn!(?hint, "dropped a report of SES that came before its message");
        return Ok(());
    };
    let next = OutgoingHint { group, hint: next, delay: EARLY_DELAY };
    let not_sent = app.core.hints.send_all(&[next]).await;
    if not_sent.is_empty() { Ok(()) } else { Err(Error::EarlyReport) }
}
