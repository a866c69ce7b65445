//! One attempt at a delivery: send, record, advance.
//!
//! ```text
//!  transport::send ─▶ verdict ─┬─▶ the attempt's record
//!                              ├─▶ the delivery: done, or waiting for its next attempt
//!                              ├─▶ the receiver's circuit breaker
//!                              └─▶ the webhook's health
//! ```
//!
//! The delivery alone matters. A failure of the other writes is logged and does not stop it. This
//! module does not know how a target is reached; see [`transport`].

use answerback::{
    domain::{
        Attempt, Delivery, OpId, Trace,
        delivery::{AttemptVerdict, DeliveryEnd, DeliveryState},
    },
    store::StepError,
};
use jiff::Timestamp;

use crate::{
    App, Error, breaker, erasure, health,
    transport::{self, Exchanged, Sent},
};

/// Attempts `delivery`, which is leased to `op`, and saves the result.
///
/// `hops` is the number of workers in a row that passed the delivery's hint on.
pub(crate) async fn attempt(
    app: &App,
    delivery: Delivery,
    op: OpId,
    hops: u32,
) -> Result<(), Error> {
    let started_at = app.core.now();
    let exchanged = match transport::send(app, &delivery, started_at).await? {
        Sent::Exchanged(exchanged) => *exchanged,
        Sent::Unsent(end) => return end_unsent(app, delivery, end, op).await,
    };
    let number = delivery.attempt;
    // Boxed, because the future is large.
    let saved = Box::pin(save(app, delivery, exchanged, started_at, op)).await?;
    let Some(delivery) = saved else { return Ok(()) };
    if delivery.body.is_none() {
        // The request was erased during the attempt, so the record that was just written goes too.
        return erasure::erase(app, delivery).await;
    }
    if delivery.attempt == number && matches!(delivery.state, DeliveryState::Waiting { .. }) {
        app.core.hints.send_for_delivery(&delivery, hops, app.core.now()).await;
    }
    Ok(())
}

/// Ends a delivery whose target is gone or disabled.
async fn end_unsent(
    app: &App,
    delivery: Delivery,
    end: DeliveryEnd,
    op: OpId,
) -> Result<(), Error> {
    let now = app.core.now();
    let (id, account) = (delivery.id, delivery.owner.account);
    let verdict = AttemptVerdict::Unsent(end);
    app.core.step(delivery, |it| it.finish(verdict, now, 0.0, op)).await?;
    tracing::info!(delivery.id = %id, account.id = %account, ?end, "ended a delivery without sending it");
    Ok(())
}

/// Saves everything that an attempt showed. Returns the delivery in its new state. `None`: it is
/// gone.
async fn save(
    app: &App,
    delivery: Delivery,
    exchanged: Exchanged,
    started_at: Timestamp,
    op: OpId,
) -> Result<Option<Delivery>, Error> {
    let now = app.core.now();
    let Exchanged { verdict, exchange, error, webhook } = exchanged;
    let duration_ms = now.duration_since(started_at).as_millis();
    let record = Attempt {
        id: delivery.id.attempt(delivery.attempt),
        owner: delivery.owner,
        event: delivery.event,
        webhook: delivery.webhook.clone(),
        started_at,
        duration_ms: u32::try_from(duration_ms).unwrap_or(0),
        exchange: Some(exchange),
        error,
    };
    let chance = chance(app.core.entropy.next());
    let subject = Subject { trace: delivery.trace_or_own(), happened_at: delivery.happened_at };
    let report = breaker::report_of(&delivery, &record, op);
    let lane = breaker::lane_after(app, report.as_ref());
    // The record comes first, so that a delivery that is over shows its last attempt.
    if let Err(err) = app.core.store.create(&record).await {
        tracing::error!(
            delivery.id = %record.id.delivery(),
            error = &err as &(dyn std::error::Error + 'static),
            "could not record an attempt"
        );
    }
    let finish = app.core.step(delivery.clone(), |it| {
        let next = it.finish(verdict, now, chance, op)?;
        Some(next.retried_in(lane))
    });
    let (finished, (), ()) = futures::join!(
        finish,
        breaker::observe(app, &delivery, report),
        health::observe(app, webhook, verdict, started_at),
    );
    log(&record, subject, verdict, end_by(&finished, op));
    Ok(finished?)
}

/// The end of the delivery, if `op` ended it.
fn end_by(finished: &Result<Option<Delivery>, StepError>, op: OpId) -> Option<DeliveryEnd> {
    match finished {
        Ok(Some(Delivery { state: DeliveryState::Done { end, op: by, .. }, .. })) if *by == op => {
            Some(*end)
        }
        _ => None,
    }
}

/// Maps random bits to a number from 0 to 1.
fn chance(entropy: u128) -> f64 {
    let bits = u32::try_from(entropy & u128::from(u32::MAX)).expect("32 bits");
    f64::from(bits) / f64::from(u32::MAX)
}

/// The event that an attempt is about, for its log line.
#[derive(Clone, Copy)]
struct Subject {
    trace: Trace,
    happened_at: Timestamp,
}

/// Logs an attempt and its metrics. `end` is the end of the delivery, if this attempt ended it.
fn log(record: &Attempt, subject: Subject, verdict: AttemptVerdict, end: Option<DeliveryEnd>) {
    let is_dead = matches!(end, Some(DeliveryEnd::DeadLettered(_)));
    let result = match verdict {
        AttemptVerdict::Accepted => "delivered",
        AttemptVerdict::Retry { .. } if !is_dead => "retried",
        AttemptVerdict::Retry { .. } | AttemptVerdict::Permanent(_) | AttemptVerdict::Unsent(_) => {
            "failed"
        }
    };
    let is_first = record.id.number() == 1;
    let latency = is_first.then(|| record.started_at.duration_since(subject.happened_at));
    let response = record.exchange.as_ref().and_then(|it| it.response.as_ref());
    tracing::info!(
        delivery.id = %record.id.delivery(),
        account.id = %record.owner.account,
        trace.id = %subject.trace,
        attempt = record.id.number(),
        status = response.map(|it| it.status),
        error.kind = record.error.as_ref().map(|it| it.kind.as_str()),
        duration_ms = record.duration_ms,
        Result = result,
        Attempts = 1,
        FirstAttemptLatency = latency.map(|it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX)),
        // Of each delivery that ends, so that the average is their share.
        DeadLetters = end.map(|_| u32::from(is_dead)),
        "attempted a delivery"
    );
}
