//! Starts a delivery: the worker that takes its lease attempts it.

use std::time::Duration;

use answerback::{
    domain::{
        Delivery, DeliveryId, OpId, Request,
        delivery::{DeliveryState, StartDecision},
        request::RequestState,
    },
    platform::{Group, Hint},
    store::{Saved, keys},
};

use crate::{
    App, Error, attempt::attempt, breaker, budget::Budget, delay_until, erasure,
    expected::Expected, report,
};

/// Most rounds of one worker against others that start the same delivery.
const RACES_MAX: u32 = 10;

/// Starts and attempts a delivery if it is due, no other worker has its lease, and its receiver may
/// be called.
pub(crate) async fn start(
    app: &App,
    id: DeliveryId,
    expected: Expected,
    budget: Budget,
) -> Result<(), Error> {
    let Some(mut delivery) = app.core.store.get::<Delivery>(keys::delivery(id)).await? else {
        return Ok(());
    };
    // Also one that is erased: the worker that brought the hint back may have recorded an attempt since.
    if delivery.body.is_none() || is_request_erased(app, &delivery).await? {
        return erasure::erase(app, delivery).await;
    }
    if delivery.has_report {
        return Box::pin(report::report(app, delivery, expected.hops)).await;
    }
    let op = app.core.new_op();
    let now = app.core.now();
    if budget.has_time(delivery.timeout(), now) && delivery.is_ready(expected.attempt, now) {
        match breaker::admit(app, delivery, expected, op).await? {
            Some(admitted) => delivery = admitted,
            None => return Ok(()),
        }
    }
    Box::pin(lease_and_attempt(app, delivery, expected, op, budget)).await
}

/// Only reads the request before the first failure or after a worker died. Both are rare, because the
/// worker that dispatches an event attempts its deliveries at once.
async fn is_request_erased(app: &App, delivery: &Delivery) -> Result<bool, Error> {
    if delivery.failures > 0 && !matches!(delivery.state, DeliveryState::Leased { .. }) {
        return Ok(false);
    }
    let Some(request) = delivery.request() else { return Ok(false) };
    let request = app.core.store.get::<Request>(keys::request(request)).await?;
    Ok(request.is_some_and(|it| matches!(it.state(), RequestState::Erased { .. })))
}

/// Takes the lease, in as many rounds as other workers interfere, and attempts the delivery.
async fn lease_and_attempt(
    app: &App,
    mut delivery: Delivery,
    expected: Expected,
    op: OpId,
    budget: Budget,
) -> Result<(), Error> {
    for _ in 0..RACES_MAX {
        let now = app.core.now();
        if !budget.has_time(delivery.timeout(), now) {
            pass_on(app, &delivery, expected, Duration::ZERO).await;
            return Ok(());
        }
        let next = match delivery.start(expected.attempt, now, op, app.lease) {
            StartDecision::Skip => return Ok(()),
            StartDecision::AlreadyMine => return attempt(app, delivery, op, expected.hops).await,
            StartDecision::TooEarly(not_before) => {
                pass_on(app, &delivery, expected, delay_until(not_before, now)).await;
                return Ok(());
            }
            StartDecision::Attempt(next) | StartDecision::GiveUp(next) => *next,
        };
        match app.core.store.save(&next).await? {
            Saved::Saved if is_leased_by(&next, op) => {
                return attempt(app, next, op, expected.hops).await;
            }
            Saved::Saved => return give_up(app, next, expected).await,
            // Our own write: its response was lost, and the SDK repeated it.
            Saved::Superseded(theirs) if is_ended_by(&theirs, op) => {
                return give_up(app, theirs, expected).await;
            }
            Saved::Superseded(theirs) => delivery = theirs,
            Saved::Gone => return Ok(()),
        }
    }
    Err(Error::Contended)
}

/// Sends the hint again, for a worker with more time or for a later time.
async fn pass_on(app: &App, delivery: &Delivery, expected: Expected, delay: Duration) {
    let hint = Hint::delivery(delivery.id, expected.attempt).in_lane(expected.lane);
    if let Some(hint) = hint.hop(expected.hops) {
        app.core.hints.send(Group::of(delivery), &hint, delay).await;
    }
}

/// Ends a delivery whose workers died, or goes on with the next way of a message.
async fn give_up(app: &App, delivery: Delivery, expected: Expected) -> Result<(), Error> {
    tracing::error!(
        delivery.id = %delivery.id,
        account.id = %delivery.owner.account,
        DeadLetters = 1,
        CrashLoops = 1,
        "gave up a delivery: its worker died in every attempt"
    );
    if delivery.has_report {
        return Box::pin(report::report(app, delivery, expected.hops)).await;
    }
    app.core.hints.send_for_delivery(&delivery, expected.hops, app.core.now()).await;
    Ok(())
}

fn is_leased_by(delivery: &Delivery, op: OpId) -> bool {
    matches!(delivery.state, DeliveryState::Leased { owner, .. } if owner == op)
}

fn is_ended_by(delivery: &Delivery, op: OpId) -> bool {
    matches!(delivery.state, DeliveryState::Done { op: by, .. } if by == op)
}
