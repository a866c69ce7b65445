//! Receivers that are slow or down, so that nobody waits behind them.
//!
//! ```text
//!  what made or found a delivery ─▶ way ─┬─ attempt it
//!                                        ├─ leave it to the slow lane
//!                                        └─ hold it, until its receiver may be called
//!  attempt ─▶ watched ─ 3 s, and no answer ─┐
//!     └─────▶ note ──── what came of it ────┴─▶ memory ─▶ the breaker's item, where it is news
//! ```
//!
//! The item is for all workers, and is read before an attempt. Each process remembers for seconds
//! what it read or wrote, so what others know already may come to it late: some attempts more at a
//! receiver that is down. Whoever noted a failure knows of it, so the next success that it sees is
//! news and ends the row. Nothing here stops a delivery: where the table fails, it is attempted.

mod memory;

use std::{convert::Infallible, pin::pin, time::Duration};

use answerback::{
    Promise,
    domain::{
        AccountId, Attempt, Breaker, Delivery, OpId,
        breaker::{self, Authority, HealthSample, SLOW_AFTER},
    },
    platform::Lane,
    store::{self, AdvanceError, Saved, keys},
};
use futures::future::{Either, select};
use jiff::Timestamp;

use crate::{App, Error};
pub use memory::Breakers;

/// Over how long those come back that were held together: one tries, most others hear of it, and
/// a receiver that is back is not met by all of them at once.
const RESUME_JITTER: Duration = Duration::from_secs(30);
/// Most writes, and most races, of one who notes what is known of a receiver.
const WRITES_MAX: u32 = 40;

/// One account's receiver.
pub(crate) type ReceiverKey = (AccountId, Authority);

/// What is to be done about a delivery whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Attempt it.
    Attempt,
    /// Leave it to those in the slow lane.
    SlowLane,
    /// Hold it until then.
    Hold(Timestamp),
}

/// Something about a receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observation {
    /// An attempt ended.
    Heard(HealthSample, OpId),
    /// An attempt takes long.
    KeepsWaiting,
}

/// What is to be done by a worker of `lane` about a delivery whose time has come. One that is to
/// try whether its receiver is back has been noted as who does.
pub(crate) async fn way(app: &App, delivery: &Delivery, lane: Lane, op: OpId) -> Route {
    let Some(receiver) = receiver(delivery) else { return Route::Attempt };
    let mut known = known(app, &receiver).await;
    let op = op_of(delivery, op);
    for _ in 0..WRITES_MAX {
        let now = app.core.now();
        let trial = match known.route(now, op) {
            breaker::Route::Wait(until) if delivery.breaker_wait_left().is_some() => {
                return Route::Hold(until + spread(delivery));
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
                log(&receiver, &err);
                return Route::Attempt;
            }
        }
    }
    Route::Attempt
}

/// The delivery, if a worker of `lane` is to attempt it; otherwise it is held, or left to the slow
/// lane.
pub(crate) async fn pass(
    app: &App,
    delivery: Delivery,
    (expected, hops, lane): (u32, u32, Lane),
    op: OpId,
) -> Result<Option<Delivery>, Error> {
    let way = way(app, &delivery, lane, op).await;
    let now = app.core.now();
    let step = |it: &Delivery| {
        Ok::<_, Infallible>(match way {
            Route::Attempt => None,
            Route::SlowLane => it.move_to_slow_lane(expected, now),
            Route::Hold(until) => it.wait_for_breaker(expected, until, now),
        })
    };
    if way == Route::Attempt {
        return Ok(Some(delivery));
    }
    match app.core.advance(delivery, step).await {
        Ok(delivery) => {
            if delivery.attempt == expected {
                app.core.hints.send_for_delivery(&delivery, hops, now).await;
            }
            Ok(None)
        }
        Err(AdvanceError::Gone) => Ok(None),
        Err(AdvanceError::Refused(never)) => match never {},
        Err(AdvanceError::Contended) => Err(Error::Contended),
        Err(AdvanceError::Store(err)) => Err(err.into()),
    }
}

/// What `sending` gives. If that takes long, the others are told meanwhile.
pub(crate) async fn watched<T>(app: &App, delivery: &Delivery, mut sending: Promise<'_, T>) -> T {
    let Some(receiver) = receiver(delivery) else { return sending.await };
    let _running = app.breakers.begin(&receiver, app.core.now());
    match select(&mut sending, pin!(app.core.clock.sleep(SLOW_AFTER))).await {
        Either::Left((sent, _)) => sent,
        Either::Right(_) => {
            futures::join!(sending, note(app, &receiver, Observation::KeepsWaiting)).0
        }
    }
}

/// What `op`'s attempt at a delivery showed, and about whom.
pub(crate) fn heard(
    delivery: &Delivery,
    attempt: &Attempt,
    op: OpId,
) -> Option<(ReceiverKey, Observation)> {
    let receiver = receiver(delivery)?;
    Some((receiver, Observation::Heard(HealthSample::of(attempt), op_of(delivery, op))))
}

/// Whether, after this, deliveries to its receiver belong into the slow lane.
pub(crate) fn is_slow_after(app: &App, heard: Option<&(ReceiverKey, Observation)>) -> bool {
    heard.is_some_and(|(receiver, news)| {
        let known = app.breakers.last_known(receiver);
        news.after(&known, app.core.now()).unwrap_or(known).needs_slow_lane()
    })
}

/// Notes what an attempt showed, where that is news.
pub(crate) async fn note_attempt(app: &App, heard: Option<(ReceiverKey, Observation)>) {
    if let Some((receiver, news)) = heard {
        note(app, &receiver, news).await;
    }
}

/// Notes something about a receiver, unless somebody in this process is noting something already:
/// then that one takes it along. So a crowd that fails at once does not get into its own way.
async fn note(app: &App, receiver: &ReceiverKey, news: Observation) {
    if !app.breakers.begin_to_note(receiver, news) {
        return;
    }
    for _ in 0..WRITES_MAX {
        let now = app.core.now();
        let Some((news, next)) = app.breakers.next_to_note(receiver, now) else { return };
        match write(app, &next).await {
            Ok(Saved::Saved) => {
                log_opening(&next);
                app.breakers.remember(receiver, next, now);
            }
            // Also where it was our own write: then it is no news any more.
            Ok(Saved::Superseded(theirs)) => {
                if theirs == next {
                    log_opening(&theirs);
                }
                app.breakers.remember(receiver, theirs, now);
                app.breakers.take_up_again(receiver, news);
            }
            Ok(Saved::Gone) => {
                let (account, host) = receiver.clone();
                app.breakers.remember(receiver, Breaker::unknown(account, host), now);
                app.breakers.take_up_again(receiver, news);
            }
            Err(err) => {
                log(receiver, &err);
                break;
            }
        }
    }
    app.breakers.stop_noting(receiver);
}

/// What is known of a receiver: as it was seconds ago, or else as it is.
async fn known(app: &App, receiver: &ReceiverKey) -> Breaker {
    let now = app.core.now();
    if let Some(known) = app.breakers.recall(receiver, now) {
        return known;
    }
    let (account, host) = receiver.clone();
    match app.core.store.get(keys::breaker(account, &host)).await {
        Ok(found) => {
            let known = found.unwrap_or_else(|| Breaker::unknown(account, host));
            app.breakers.remember(receiver, known.clone(), now);
            known
        }
        Err(err) => {
            log(receiver, &err);
            app.breakers.last_known(receiver)
        }
    }
}

async fn write(app: &App, next: &Breaker) -> Result<Saved<Breaker>, store::Error> {
    // The first write makes the item.
    if next.revision == 1 {
        app.core.store.create(next).await
    } else {
        app.core.store.save(next).await
    }
}

fn receiver(delivery: &Delivery) -> Option<ReceiverKey> {
    delivery.authority().map(|host| (delivery.owner.account, host))
}

/// How long after the first of those that are held this one comes back: each has a time of its own.
fn spread(delivery: &Delivery) -> Duration {
    let milliseconds = delivery.id.bits() % RESUME_JITTER.as_millis();
    Duration::from_millis(u64::try_from(milliseconds).expect("less than 30,000"))
}

/// One worker may attempt several deliveries; each attempt is an operation of its own.
fn op_of(delivery: &Delivery, op: OpId) -> OpId {
    OpId(op.0 ^ OpId::new(delivery.id.bits()).0)
}

/// Notes that a receiver is left alone from now on: the first time, and whenever a trial failed.
fn log_opening(next: &Breaker) {
    if next.has_just_opened() {
        tracing::warn!(
            account.id = %next.account,
            host = %next.authority,
            BreakerOpenings = 1,
            "a breaker opened"
        );
    }
}

fn log((account, host): &ReceiverKey, err: &store::Error) {
    tracing::warn!(
        account.id = %account,
        %host,
        error = err as &(dyn std::error::Error + 'static),
        "a breaker was not read or written; its receiver is called all the same"
    );
}

impl Observation {
    /// What is known after it; nothing if it is no news.
    pub(crate) fn after(self, known: &Breaker, now: Timestamp) -> Option<Breaker> {
        match self {
            Self::Heard(heard, op) => known.record(heard, now, op),
            Self::KeepsWaiting => known.mark_slow(now),
        }
    }
}
