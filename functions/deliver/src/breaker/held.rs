//! Deliveries that an open breaker holds, and a success before the end of the wait.
//!
//! A redelivery or a trigger passes an open breaker. If the receiver accepts it, the receiver is back,
//! and its other deliveries need not wait for up to an hour more. They are found through the index of
//! webhooks, which also lists a host's held callbacks while they are held. This is only a shortcut:
//! a delivery that is not found here is attempted when its own wait is over.

use answerback::{
    domain::Delivery,
    store::{Listing, Related, StepError},
};
use futures::{StreamExt as _, stream};

use super::{ReceiverKey, resume_jitter};
use crate::App;

/// Deliveries in one page.
const PAGE_ITEMS: i32 = 50;
/// Most deliveries of a receiver that are looked at, the latest first.
const LOOKED_AT_MAX: usize = 200;
/// Most deliveries that are brought forward.
const BROUGHT_FORWARD_MAX: usize = 100;
/// Deliveries that are brought forward concurrently.
const CONCURRENCY: usize = 16;

/// Brings forward deliveries that wait for `receiver`, which has just accepted `delivery`. They are
/// spread over the time in which held deliveries resume. A failure is only logged.
pub(super) async fn bring_forward(app: &App, delivery: &Delivery, receiver: &ReceiverKey) {
    match find(app, delivery, receiver).await {
        Ok(held) => {
            let all = stream::iter(held.into_iter().map(|it| resume(app, it)));
            all.buffer_unordered(CONCURRENCY).for_each(|resumed| async { log(resumed) }).await;
        }
        Err(err) => log(Err(StepError::Store(err))),
    }
}

async fn find(
    app: &App,
    delivery: &Delivery,
    receiver: &ReceiverKey,
) -> Result<Vec<Delivery>, answerback::store::Error> {
    let related = match receiver.endpoint.webhook() {
        Some(webhook) => Related::WebhookDeliveries(delivery.owner, webhook.clone()),
        None => Related::HeldCallbacks(delivery.owner, receiver.host.authority.clone()),
    };
    let (mut held, mut n_looked_at, mut cursor) = (Vec::new(), 0, None);
    while n_looked_at < LOOKED_AT_MAX {
        let Listing { items, next } =
            app.core.store.related::<Delivery>(&related, PAGE_ITEMS, cursor.as_ref()).await?;
        n_looked_at += items.len();
        let is_behind =
            |it: &Delivery| it.is_held() && ReceiverKey::of(it).as_ref() == Some(receiver);
        held.extend(items.into_iter().filter(is_behind));
        cursor = next;
        if cursor.is_none() || held.len() >= BROUGHT_FORWARD_MAX {
            break;
        }
    }
    held.truncate(BROUGHT_FORWARD_MAX);
    Ok(held)
}

async fn resume(app: &App, delivery: Delivery) -> Result<(), StepError> {
    let now = app.core.now();
    let not_before = now + resume_jitter(&delivery);
    let step = |it: &Delivery| it.bring_forward(not_before, now);
    if let Some(delivery) = app.core.step(delivery, step).await? {
        app.core.hints.send_for_delivery(&delivery, 0, now).await;
    }
    Ok(())
}

fn log(resumed: Result<(), StepError>) {
    if let Err(err) = resumed {
        tracing::warn!(
            error = &err as &(dyn std::error::Error + 'static),
            "could not bring a held delivery forward; it is attempted after its wait"
        );
    }
}
