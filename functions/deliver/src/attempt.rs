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
//!
//! The worker that has claimed an event attempts its deliveries before they are stored, and stores
//! each with its result. One whose receiver takes long is stored before, so that the event does not
//! wait for it.
//!
//! A dispatch may have an attempt at each of 50 webhooks at the same time. So the futures of steps that
//! are short or rare are boxed: then an attempt has memory only for the step that it is in.

use std::pin::pin;

use answerback::{
    domain::{
        Attempt, Delivery, OpId, Trace, Webhook,
        breaker::SLOW_AFTER,
        delivery::{AttemptVerdict, DeliveryEnd, DeliveryState},
    },
    store::{Saved, StepError, Store},
};
use futures::{
    channel::oneshot,
    future::{Either, join, select},
};
use jiff::Timestamp;

use crate::{
    App, Error, breaker, erasure, health, report,
    transport::{self, Exchanged, Sent},
};

/// A delivery that is not stored yet.
pub(crate) struct Unstored {
    /// The store for new deliveries of its account.
    pub(crate) store: Store,
    /// Reports to the worker that dispatches its event that it is stored. Dropped if it is not.
    pub(crate) signal: oneshot::Sender<()>,
}

/// An attempt that has begun.
struct Begun {
    /// The delivery, leased to `op`.
    delivery: Box<Delivery>,
    op: OpId,
    started_at: Timestamp,
    place: Place,
}

/// Where the delivery is.
enum Place {
    /// In the table, as it was last seen.
    Stored(Box<Delivery>),
    /// Only here. It is stored with its result.
    Unstored(Unstored),
}

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
    let delivery = Box::new(delivery);
    let sent = transport::send(app, &delivery, &[], started_at).await?;
    let place = Place::Stored(delivery.clone());
    conclude(app, Begun { delivery, op, started_at, place }, sent, hops).await
}

/// Attempts `delivery`, which is leased to `op` and not stored, and stores it with the result. `op` has
/// claimed its event, and has loaded the webhooks `known` a moment ago.
pub(crate) async fn attempt_unstored(
    app: &App,
    delivery: Box<Delivery>,
    op: OpId,
    known: &[Webhook],
    unstored: Unstored,
) -> Result<(), Error> {
    let started_at = app.core.now();
    let mut place = Place::Unstored(unstored);
    let sent = {
        let sending = Box::pin(transport::send(app, &delivery, known, started_at));
        match select(sending, pin!(app.core.clock.sleep(SLOW_AFTER))).await {
            Either::Left((sent, _)) => sent?,
            Either::Right(((), sending)) => {
                let (stored, sent) = join(Box::pin(place.store(&delivery)), sending).await;
                place = stored;
                sent?
            }
        }
    };
    conclude(app, Begun { delivery, op, started_at, place }, sent, 0).await
}

impl Place {
    /// Stores `delivery`, which is leased. A failure is only logged, because it is stored again with its
    /// result.
    async fn store(self, delivery: &Delivery) -> Self {
        let Self::Unstored(unstored) = self else { return self };
        let current = match unstored.store.create(delivery).await {
            // If another worker has it, its lease decides.
            Ok(Saved::Superseded(theirs)) => theirs,
            Ok(Saved::Saved | Saved::Gone) => delivery.clone(),
            Err(err) => {
                let error = &err as &(dyn std::error::Error + 'static);
                tracing::warn!(delivery.id = %delivery.id, error, "could not store a delivery");
                return Self::Unstored(unstored);
            }
        };
        // An error means that the dispatch has ended.
        let _: Result<(), ()> = unstored.signal.send(());
        Self::Stored(Box::new(current))
    }

    /// Saves the delivery after `step`, which returns `None` if another worker has it. Returns the
    /// delivery in its new state, `None` if it is gone.
    async fn save(
        self,
        app: &App,
        delivery: &Delivery,
        step: impl Fn(&Delivery) -> Option<Delivery>,
    ) -> Result<Option<Delivery>, StepError> {
        let Unstored { store, signal } = match self {
            Self::Stored(current) => return Box::pin(app.core.step(*current, step)).await,
            Self::Unstored(unstored) => unstored,
        };
        let Some(next) = step(delivery) else { return Ok(None) };
        let saved = match store.create(&next).await? {
            Saved::Saved => Some(next),
            // Stored before, by us if `Self::store` failed after its write: then the lease is ours.
            Saved::Superseded(found) => {
                if let Some(first) = next.first_attempt.filter(|_| step(&found).is_some()) {
                    Box::pin(record(app, &first)).await;
                }
                Box::pin(app.core.step(found, step)).await?
            }
            Saved::Gone => None,
        };
        let _: Result<(), ()> = signal.send(());
        Ok(saved)
    }
}

/// Saves the result of an attempt, and sends the hint for the next one.
async fn conclude(app: &App, begun: Begun, sent: Sent, hops: u32) -> Result<(), Error> {
    let exchanged = match sent {
        Sent::Exchanged(exchanged) => exchanged,
        Sent::Unsent(end) => {
            let verdict = AttemptVerdict::Unsent(end);
            return Box::pin(conclude_unsent(app, begun, verdict, hops)).await;
        }
        Sent::Postponed => {
            let verdict = AttemptVerdict::Throttled { retry_after: None };
            return Box::pin(conclude_unsent(app, begun, verdict, hops)).await;
        }
    };
    let number = begun.delivery.attempt;
    let saved = Box::pin(save(app, begun, exchanged)).await?;
    let Some(delivery) = saved else { return Ok(()) };
    go_on(app, delivery, number, hops).await
}

/// Does what comes after attempt `number` at a delivery: reports a failed message, or sends the hint
/// for the next attempt.
pub(crate) async fn go_on(
    app: &App,
    delivery: Delivery,
    number: u32,
    hops: u32,
) -> Result<(), Error> {
    if delivery.has_report {
        return Box::pin(report::report(app, delivery, hops)).await;
    }
    if delivery.body.is_none() {
        // The request was erased during the attempt, so the record that was just written goes too.
        return Box::pin(erasure::erase(app, delivery)).await;
    }
    if delivery.attempt == number && matches!(delivery.state, DeliveryState::Waiting { .. }) {
        let hints = &app.core.hints;
        Box::pin(hints.send_for_delivery(&delivery, hops, app.core.now())).await;
    }
    Ok(())
}

/// Saves `verdict` on a delivery of which nothing was sent: it ends, goes on with the next way of a
/// message, or waits.
async fn conclude_unsent(
    app: &App,
    begun: Begun,
    verdict: AttemptVerdict,
    hops: u32,
) -> Result<(), Error> {
    let now = app.core.now();
    let Begun { delivery, op, place, .. } = begun;
    let (id, account) = (delivery.id, delivery.owner.account);
    let chance = chance(app.core.entropy.next());
    let saved = place.save(app, &delivery, |it| it.finish(verdict, now, chance, op)).await?;
    tracing::info!(delivery.id = %id, account.id = %account, ?verdict, "did not send a delivery");
    match saved {
        Some(saved) => go_on(app, saved, delivery.attempt, hops).await,
        None => Ok(()),
    }
}

/// Saves everything that an attempt showed. Returns the delivery in its new state. `None`: it is
/// gone.
async fn save(
    app: &App,
    begun: Begun,
    exchanged: Box<Exchanged>,
) -> Result<Option<Delivery>, Error> {
    let now = app.core.now();
    let Begun { delivery, op, started_at, place } = begun;
    let Exchanged { verdict, exchange, error, webhook, refused, copy } = *exchanged;
    let duration_ms = now.duration_since(started_at).as_millis();
    let record = Attempt {
        id: delivery.id.attempt(delivery.attempt),
        owner: delivery.owner,
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
    let place = if record.is_short() { place } else { Box::pin(place.store(&delivery)).await };
    let first = match place {
        Place::Unstored(_) => Some(Box::new(record.clone())),
        Place::Stored(_) => None,
    };
    // It comes first, so that a delivery that is over shows its last attempt.
    if first.is_none() {
        Box::pin(self::record(app, &record)).await;
    }
    let finish = place.save(app, &delivery, |it| {
        let mut next = it.finish(verdict, now, chance, op)?;
        if first.is_some() {
            next.first_attempt.clone_from(&first);
        }
        if next.body.is_some() && copy.is_some() {
            next.copy.clone_from(&copy);
        }
        Some(next.retried_in(lane))
    });
    let (finished, (), (), ()) = futures::join!(
        finish,
        Box::pin(breaker::observe(app, &delivery, report)),
        Box::pin(health::observe(app, webhook, verdict, started_at)),
        Box::pin(health::observe_refusal(app, refused)),
    );
    log(&record, subject, verdict, end_by(&finished, op));
    let finished = finished?;
    // The request was erased during the attempt, and nobody else knows the copy.
    if copy.is_some() && finished.as_ref().is_some_and(|it| it.body.is_none()) {
        Box::pin(transport::erase_copy(app, &Delivery { copy, ..*delivery })).await?;
    }
    Ok(finished)
}

/// Records an attempt in an item.
async fn record(app: &App, attempt: &Attempt) {
    if let Err(err) = app.core.store.create(attempt).await {
        tracing::error!(
            delivery.id = %attempt.id.delivery(),
            error = &err as &(dyn std::error::Error + 'static),
            "could not record an attempt"
        );
    }
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
        AttemptVerdict::Throttled { .. } if !is_dead => "throttled",
        AttemptVerdict::Retry { .. }
        | AttemptVerdict::Throttled { .. }
        | AttemptVerdict::Permanent(_)
        | AttemptVerdict::Unsent(_) => "failed",
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
