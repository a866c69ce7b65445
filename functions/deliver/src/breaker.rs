//! Circuit breakers: a receiver that is slow or down does not delay deliveries to other receivers.
//!
//! ```text
//!  delivery is due ─▶ route ─┬─ attempt it
//!                            ├─ move it to the slow lane
//!                            └─ hold it until its receiver may be called again
//!
//!  attempt ─▶ watch ──── no response after 3 s ─┐
//!     └─────▶ observe ── result of the attempt ─┴─▶ memory ─▶ the breaker's item, if it changes
//! ```
//!
//! The item is shared by all workers and read before an attempt. Each process caches it for
//! seconds, so it may make a few more attempts at a receiver that is down. A process that recorded a
//! failure has it in its cache, so its next success is a change and resets the count of failures.
//! A breaker never loses a delivery: if the table fails, the delivery is attempted.

mod memory;

use std::{pin::pin, time::Duration};

use answerback::{
    Promise,
    domain::{
        AccountId, Attempt, Breaker, Delivery, OpId,
        breaker::{self, Authority, HealthSample, SLOW_AFTER},
    },
    platform::Lane,
    store::{self, Saved, keys},
};
use futures::future::{Either, select};
use jiff::Timestamp;

use crate::{App, Error, expected::Expected};
pub use memory::Breakers;

/// Time over which held deliveries resume. One tries the receiver first, and the others do not all
/// call it at once when it is back.
const RESUME_JITTER: Duration = Duration::from_secs(30);
/// Most writes, and lost races, of one worker that records observations.
const WRITES_MAX: u32 = 40;

/// A receiver of one account: breakers are not shared between accounts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReceiverKey {
    account: AccountId,
    authority: Authority,
}

/// The route of a delivery that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Attempt it now.
    Attempt,
    /// Move it to the slow lane.
    SlowLane,
    /// Hold it until this time.
    Hold(Timestamp),
}

/// An observation about a receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observation {
    /// An attempt ended.
    Ended {
        /// The observation of the attempt.
        sample: HealthSample,
        /// The attempt's operation, which makes a repeated observation count once.
        op: OpId,
    },
    /// An attempt has taken longer than [`SLOW_AFTER`], and it is not over.
    StillWaiting,
}

/// An observation, and the receiver that it is about.
pub(crate) struct Report {
    receiver: ReceiverKey,
    observation: Observation,
}

impl ReceiverKey {
    /// `None`: the target has no circuit breaker, as the event bus.
    fn of(delivery: &Delivery) -> Option<Self> {
        let authority = delivery.authority()?;
        Some(Self { account: delivery.owner.account, authority })
    }

    /// The breaker of a receiver that has no item.
    fn unknown(&self) -> Breaker {
        Breaker::unknown(self.account, self.authority.clone())
    }
}

impl Observation {
    /// The breaker after this observation. `None`: it does not change.
    fn applied_to(self, breaker: &Breaker, now: Timestamp) -> Option<Breaker> {
        match self {
            Self::Ended { sample, op } => breaker.record(sample, now, op),
            Self::StillWaiting => breaker.mark_slow(now),
        }
    }
}

/// Decides the route of a delivery that is due, for a worker of `lane`. If the delivery is the one
/// that tries whether its receiver is back, the breaker's item says so afterwards.
pub(crate) async fn route(app: &App, delivery: &Delivery, lane: Lane, op: OpId) -> Route {
    let Some(receiver) = ReceiverKey::of(delivery) else { return Route::Attempt };
    let mut known = read(app, &receiver).await;
    let op = op_of(delivery, op);
    for _ in 0..WRITES_MAX {
        let now = app.core.now();
        let trial = match known.route(now, op) {
            breaker::Route::Wait(until) if delivery.breaker_wait_left().is_some() => {
                return Route::Hold(until + resume_jitter(delivery));
            }
            _ if lane == Lane::Fast => {
                let is_crowded = app.breakers.is_crowded(&receiver, now);
                let is_free = !known.needs_slow_lane() && !is_crowded;
                return if is_free { Route::Attempt } else { Route::SlowLane };
            }
            breaker::Route::Clear | breaker::Route::Wait(_) => return Route::Attempt,
            breaker::Route::Trial(trial) => *trial,
        };
        match write(app, &trial).await {
            Ok(Saved::Saved) => {
                app.breakers.remember(&receiver, trial, now);
                return Route::Attempt;
            }
            Ok(Saved::Superseded(theirs)) => {
                app.breakers.remember(&receiver, theirs.clone(), now);
                known = theirs;
            }
            Ok(Saved::Gone) => return Route::Attempt,
            Err(err) => {
                log_failure(&receiver, &err);
                return Route::Attempt;
            }
        }
    }
    Route::Attempt
}

/// Returns the delivery if its worker may attempt it. `None`: it is held, or in the slow lane now.
pub(crate) async fn admit(
    app: &App,
    delivery: Delivery,
    expected: Expected,
    op: OpId,
) -> Result<Option<Delivery>, Error> {
    let route = route(app, &delivery, expected.lane, op).await;
    if route == Route::Attempt {
        return Ok(Some(delivery));
    }
    let now = app.core.now();
    let deferred = app.core.step(delivery, |it| match route {
        Route::Attempt => None,
        Route::SlowLane => it.move_to_slow_lane(expected.attempt, now),
        Route::Hold(until) => it.wait_for_breaker(expected.attempt, until, now),
    });
    if let Some(delivery) = deferred.await?
        && delivery.attempt == expected.attempt
    {
        app.core.hints.send_for_delivery(&delivery, expected.hops, now).await;
    }
    Ok(None)
}

/// Waits for an attempt. If it is slow, other workers learn that before it is over.
pub(crate) async fn watch<T>(app: &App, delivery: &Delivery, mut sending: Promise<'_, T>) -> T {
    let Some(receiver) = ReceiverKey::of(delivery) else { return sending.await };
    let _running = app.breakers.begin_attempt(&receiver, app.core.now());
    match select(&mut sending, pin!(app.core.clock.sleep(SLOW_AFTER))).await {
        Either::Left((sent, _)) => sent,
        Either::Right(_) => {
            futures::join!(sending, record(app, &receiver, Observation::StillWaiting)).0
        }
    }
}

/// The report about an attempt of `op`. `None`: the target has no circuit breaker.
pub(crate) fn report_of(delivery: &Delivery, attempt: &Attempt, op: OpId) -> Option<Report> {
    let receiver = ReceiverKey::of(delivery)?;
    let observation =
        Observation::Ended { sample: HealthSample::of(attempt), op: op_of(delivery, op) };
    Some(Report { receiver, observation })
}

/// The lane for the next attempt at a receiver after `report`.
pub(crate) fn lane_after(app: &App, report: Option<&Report>) -> Lane {
    let is_slow = report.is_some_and(|Report { receiver, observation }| {
        let known = app.breakers.last_known(receiver);
        observation.applied_to(&known, app.core.now()).unwrap_or(known).needs_slow_lane()
    });
    if is_slow { Lane::Slow } else { Lane::Fast }
}

/// Records the report about an attempt, if it changes the breaker.
pub(crate) async fn observe(app: &App, report: Option<Report>) {
    if let Some(Report { receiver, observation }) = report {
        record(app, &receiver, observation).await;
    }
}

/// Records an observation. If another task of this process is already recording for the receiver,
/// that task records this one too, so that many concurrent failures do not race with each other.
async fn record(app: &App, receiver: &ReceiverKey, observation: Observation) {
    if !app.breakers.enqueue(receiver, observation) {
        return;
    }
    for _ in 0..WRITES_MAX {
        let now = app.core.now();
        let Some(change) = app.breakers.next_change(receiver, now) else { return };
        match write(app, &change.next).await {
            Ok(Saved::Saved) => {
                log_opening(&change.next);
                app.breakers.remember(receiver, change.next, now);
            }
            // If it was our own write, then the observation changes nothing in the next round.
            Ok(Saved::Superseded(theirs)) => {
                if theirs == change.next {
                    log_opening(&theirs);
                }
                app.breakers.remember(receiver, theirs, now);
                app.breakers.requeue(receiver, change.observation);
            }
            Ok(Saved::Gone) => {
                app.breakers.remember(receiver, receiver.unknown(), now);
                app.breakers.requeue(receiver, change.observation);
            }
            Err(err) => {
                log_failure(receiver, &err);
                break;
            }
        }
    }
    app.breakers.clear_queue(receiver);
}

/// The breaker of a receiver, from the cache or the table.
async fn read(app: &App, receiver: &ReceiverKey) -> Breaker {
    let now = app.core.now();
    if let Some(cached) = app.breakers.cached(receiver, now) {
        return cached;
    }
    match app.core.store.get(keys::breaker(receiver.account, &receiver.authority)).await {
        Ok(found) => {
            let known = found.unwrap_or_else(|| receiver.unknown());
            app.breakers.remember(receiver, known.clone(), now);
            known
        }
        Err(err) => {
            log_failure(receiver, &err);
            app.breakers.last_known(receiver)
        }
    }
}

async fn write(app: &App, next: &Breaker) -> Result<Saved<Breaker>, store::Error> {
    // The first write creates the item.
    if next.revision == 1 {
        app.core.store.create(next).await
    } else {
        app.core.store.save(next).await
    }
}

/// Delay after the end of a hold. It depends on the delivery, so held deliveries do not resume at
/// the same time.
fn resume_jitter(delivery: &Delivery) -> Duration {
    let milliseconds = delivery.id.bits() % RESUME_JITTER.as_millis();
    Duration::from_millis(u64::try_from(milliseconds).expect("less than 30,000"))
}

/// One worker may attempt several deliveries, and each attempt is an operation.
fn op_of(delivery: &Delivery, op: OpId) -> OpId {
    OpId(op.0 ^ OpId::new(delivery.id.bits()).0)
}

/// Logs that a breaker opened, for the first time or after a trial that failed.
fn log_opening(next: &Breaker) {
    if next.has_just_opened() {
        tracing::warn!(
            account.id = %next.account,
            host = %next.authority,
            BreakerOpenings = 1,
            "opened a circuit breaker"
        );
    }
}

fn log_failure(receiver: &ReceiverKey, err: &store::Error) {
    tracing::warn!(
        account.id = %receiver.account,
        host = %receiver.authority,
        error = err as &(dyn std::error::Error + 'static),
        "could not read or write a circuit breaker; its receiver is called anyway"
    );
}
