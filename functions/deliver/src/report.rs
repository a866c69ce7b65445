//! Reports: a request learns that a message did not reach its recipient.
//!
//! ```text
//!  message fails ─▶ has_report, with a timer ─▶ the request: notification.failed, request.unreachable
//!                                                  └─▶ the message: reported
//! ```
//!
//! The failed message is its own outbox. Its timer brings another worker if this one dies, and the request
//! knows which failures it has heard of. So each is reported once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use answerback::{
    domain::{
        Delivery, Request,
        delivery::{DeliveryEnd, DeliveryState, FailureReason, REPORT_INTERVAL, Target},
        request::{FailedMessage, MessageKey, Unreached, reach::TooEarlyToReport},
    },
    platform::{Group, Hint},
    store::{AdvanceError, Listing, StepError, keys},
};

use crate::{App, Error};

/// Time until a report is tried again.
const REPORT_DELAY: Duration = Duration::from_secs(5);
/// Messages in one page.
const PAGE_ITEMS: i32 = 100;

/// Reports to the request of `delivery`, a message, that it failed. If that is not possible now, the timer of
/// the message brings another worker.
pub(crate) async fn report(app: &App, delivery: Delivery, hops: u32) -> Result<(), Error> {
    if let Some(request) = delivery.request()
        && let Some(request) = app.core.store.get::<Request>(keys::request(request)).await?
        && !tell(app, request, &delivery).await?
    {
        return postpone(app, delivery, hops).await;
    }
    app.core.step(delivery, Delivery::reported).await?;
    Ok(())
}

/// Returns false if the request takes no reports for now.
async fn tell(app: &App, request: Request, delivery: &Delivery) -> Result<bool, Error> {
    let Some(failed) = failure(delivery) else { return Ok(true) };
    // It may be one of an earlier request under the same idempotency key.
    if !request.is_message(delivery.id, failed.key.row) {
        return Ok(true);
    }
    // Recipients whose messages do not exist yet are not out of reach.
    if request.has_messages_to_create() {
        return Ok(false);
    }
    let unreached =
        Unreached { rows: unreached(app, &request).await?, steps: request.steps().clone() };
    let subscriptions = app.core.destinations.subscriptions(request.owner).await;
    let (now, op) = (app.core.now(), app.core.new_op());
    let step = |it: &Request| it.message_failed(&failed, &unreached, subscriptions, now, op);
    match app.core.advance(request, step).await {
        Ok(request) => {
            app.core.hints.send_for_request(&request).await;
            Ok(true)
        }
        Err(AdvanceError::Refused(TooEarlyToReport)) => Ok(false),
        Err(AdvanceError::Gone) => Ok(true),
        Err(AdvanceError::Contended) => Err(StepError::Contended.into()),
        Err(AdvanceError::Store(err)) => Err(err.into()),
    }
}

fn failure(delivery: &Delivery) -> Option<FailedMessage> {
    let Target::Message(message) = &delivery.target else { return None };
    let key = MessageKey { event: delivery.event().number(), row: message.row };
    let reason = failure_reason(delivery)?;
    Some(FailedMessage { key, notifier: delivery.way()?.notifier, reason })
}

fn failure_reason(delivery: &Delivery) -> Option<FailureReason> {
    match delivery.state {
        DeliveryState::Done {
            end: DeliveryEnd::Failed(reason) | DeliveryEnd::DeadLettered(reason),
            ..
        } => Some(reason),
        DeliveryState::Done { end: DeliveryEnd::Bounced, .. } => Some(FailureReason::Bounced),
        DeliveryState::Done { .. }
        | DeliveryState::Waiting { .. }
        | DeliveryState::Leased { .. } => None,
    }
}

/// The rows with messages that have all failed.
async fn unreached(app: &App, request: &Request) -> Result<BTreeSet<usize>, Error> {
    let mut all_failed: BTreeMap<usize, bool> = BTreeMap::new();
    let mut cursor = None;
    loop {
        let Listing { items, next } =
            app.core.store.deliveries_of_request(request.id, PAGE_ITEMS, cursor.as_ref()).await?;
        for delivery in items {
            // As above.
            if let Target::Message(message) = &delivery.target
                && request.is_message(delivery.id, message.row)
            {
                let has_failed = failure_reason(&delivery).is_some();
                all_failed
                    .entry(message.row)
                    .and_modify(|it| *it &= has_failed)
                    .or_insert(has_failed);
            }
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(all_failed.into_iter().filter(|it| it.1).map(|it| it.0).collect());
        }
    }
}

/// Sets the timer of the report again, and sends a hint for a little later.
async fn postpone(app: &App, delivery: Delivery, hops: u32) -> Result<(), Error> {
    let until = app.core.now() + REPORT_INTERVAL;
    let step = |it: &Delivery| {
        (it.has_report && it.due_at.is_none_or(|due_at| due_at < until)).then(|| it.hinted(until))
    };
    let Some(delivery) = app.core.step(delivery, step).await? else { return Ok(()) };
    if let Some(hint) = Hint::of(&delivery).hop(hops) {
        app.core.hints.send(Group::of(&delivery), &hint, REPORT_DELAY).await;
    }
    Ok(())
}
