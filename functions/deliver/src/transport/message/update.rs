//! Changes of copies: people see what was decided in the message that asked them.
//!
//! Two changes of one copy may overtake each other. So each looks again when it is done, and the one that comes
//! last shows the latest.

use answerback::{
    domain::{
        Delivery, NotificationId, Notifier, NotifierId, Request,
        delivery::{CopyUpdate, DeliveryEnd, DeliveryState, FailureReason, Message, Target},
        notifier::NotifierSettings,
        request::RequestState,
        slack::SlackCopy,
    },
    notify,
    store::keys,
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Sent, conclude,
    slack::{self, Change},
};
use crate::{App, Error};

/// Most times that one attempt changes a copy.
const CHANGES_MAX: usize = 3;

/// Changes the copy of a message to what was decided. See [`CopyUpdate`].
pub(crate) async fn send_update(
    app: &App,
    delivery: &Delivery,
    update: &CopyUpdate,
    at: Timestamp,
) -> Result<Sent, Error> {
    let not_needed = Sent::Unsent(DeliveryEnd::Cancelled);
    let Some(id) = delivery.request() else { return Ok(not_needed) };
    let (request, message) = futures::try_join!(
        app.core.store.get::<Request>(keys::request(id)),
        app.core.store.get::<Delivery>(keys::delivery(update.message)),
    )?;
    let Some(mut request) = request else { return Ok(not_needed) };
    // It may be sent at this moment, and stored after that.
    let Some(message) = message else { return Ok(Sent::Postponed) };
    let Target::Message(Message { row, .. }) = message.target else { return Ok(not_needed) };
    if !request.is_message(update.message, row) {
        return Ok(not_needed);
    }
    let copy = match message {
        Delivery { copy: Some(copy), .. } => copy,
        Delivery { state: DeliveryState::Done { .. }, .. } => return Ok(not_needed),
        _ => return Ok(Sent::Postponed),
    };
    let destinations = app.reads.destinations(&app.core, delivery.owner).await?;
    if destinations.unreadable.contains(&update.way.notifier) {
        return Ok(Sent::Postponed);
    }
    let Some(notifier) = enabled(&destinations.notifiers, update.way.notifier) else {
        return Ok(Sent::Unsent(DeliveryEnd::Failed(FailureReason::Disabled)));
    };
    let shown = |request: &Request| shown(request, row, update, &copy, at);
    for _ in 0..CHANGES_MAX {
        let body = shown(&request);
        let sent = change(app, delivery, notifier, &body, at).await?;
        if !is_accepted(&sent) {
            return Ok(sent);
        }
        let current = app.core.store.get::<Request>(keys::request(id)).await?;
        let Some(current) = current.filter(|it| shown(it) != body) else { return Ok(sent) };
        request = current;
    }
    Ok(Sent::Postponed)
}

fn shown(
    request: &Request,
    row: usize,
    update: &CopyUpdate,
    copy: &SlackCopy,
    at: Timestamp,
) -> Value {
    if let RequestState::Erased { .. } = request.state() {
        return notify::slack::erased_copy(copy);
    }
    notify::slack::copy(request, row, NotificationId(update.message), copy, at)
}

/// Replaces the copy of a message whose request was erased, if that is possible.
pub(crate) async fn erase_copy(app: &App, message: &Delivery) -> Result<(), Error> {
    let (Some(copy), Some(way)) = (&message.copy, message.way()) else { return Ok(()) };
    let destinations = app.reads.destinations(&app.core, message.owner).await?;
    let Some(notifier) = enabled(&destinations.notifiers, way.notifier) else { return Ok(()) };
    let body = notify::slack::erased_copy(copy);
    if !is_accepted(&change(app, message, notifier, &body, app.core.now()).await?) {
        tracing::warn!(delivery.id = %message.id, "could not replace the copy of an erased message");
    }
    Ok(())
}

fn enabled(notifiers: &[Notifier], id: NotifierId) -> Option<&Notifier> {
    notifiers.iter().find(|it| it.id == id && it.is_enabled())
}

fn is_accepted(sent: &Sent) -> bool {
    matches!(sent, Sent::Exchanged(exchanged) if exchanged.error.is_none())
}

async fn change(
    app: &App,
    delivery: &Delivery,
    notifier: &Notifier,
    body: &Value,
    at: Timestamp,
) -> Result<Sent, Error> {
    let NotifierSettings::Slack(settings) = &notifier.settings else {
        return Ok(Sent::Unsent(DeliveryEnd::Cancelled));
    };
    let change = Change { app, notifier, body, at };
    conclude(app, delivery, notifier, Box::pin(slack::change(&change, settings))).await
}
