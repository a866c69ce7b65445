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
//! The item of a host is shared by all workers and read before an attempt. Each process caches it
//! for seconds, so it may make a few more attempts at a receiver that is down. A process that
//! recorded a failure has it in its cache, so its next success is a change and resets the count of
//! failures. A breaker never loses a delivery: if the table fails, the delivery is attempted.

mod held;
mod memory;

use std::{pin::pin, time::Duration};

use answerback::{
    Promise,
    domain::{
        AccountId, Attempt, Breaker, Delivery, OpId,
        breaker::{self, Authority, Endpoint, Health, HealthSample, Observation, SLOW_AFTER},
    },
    platform::Lane,
    store::{self, Key, Saved, keys},
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

/// A host and port of one account: breakers are not shared between accounts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostKey {
    account: AccountId,
    authority: Authority,
}

/// The receiver of a delivery: an endpoint of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiverKey {
    host: HostKey,
    endpoint: Endpoint,
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

/// The report about an attempt.
pub(crate) struct Report {
    receiver: ReceiverKey,
    sample: HealthSample,
    op: OpId,
}

impl HostKey {
    /// The key of the breaker's item.
    pub(crate) fn key(&self) -> Key {
        keys::breaker(self.account, &self.authority)
    }

    /// The breaker of a host that has no item.
    fn unknown(&self) -> Breaker {
        Breaker::unknown(self.account, self.authority.clone())
    }
}

impl ReceiverKey {
    /// `None`: the target has no circuit breaker, as the event bus.
    fn of(delivery: &Delivery) -> Option<Self> {
        let host = HostKey { account: delivery.owner.account, authority: delivery.authority()? };
        Some(Self { host, endpoint: delivery.endpoint()? })
    }
}

impl Report {
    fn observation(&self) -> Observation {
        let Self { receiver, sample, op } = self;
        Observation::Ended { endpoint: receiver.endpoint.clone(), sample: *sample, op: *op }
    }
}

/// Decides the route of a delivery that is due, for a worker of `lane`. If the delivery is the one
/// that tries whether its receiver is back, the breaker's item says so afterwards.
pub(crate) async fn route(app: &App, delivery: &Delivery, lane: Lane, op: OpId) -> Route {
    let Some(receiver) = ReceiverKey::of(delivery) else { return Route::Attempt };
    let ReceiverKey { host, endpoint } = &receiver;
    let mut known = read(app, &receiver).await;
    let op = op_of(delivery, op);
    for _ in 0..WRITES_MAX {
        let now = app.core.now();
        let trial = match known.route(endpoint, now, op) {
            breaker::Route::Wait(until) if delivery.breaker_wait_left().is_some() => {
                return Route::Hold(until + resume_jitter(delivery));
            }
            _ if lane == Lane::Fast => {
                let is_crowded = app.breakers.is_crowded(&receiver, now);
                let is_free = !known.needs_slow_lane(endpoint) && !is_crowded;
                return if is_free { Route::Attempt } else { Route::SlowLane };
            }
            breaker::Route::Clear | breaker::Route::Wait(_) => return Route::Attempt,
            breaker::Route::Trial(trial) => *trial,
        };
        match write(app, &trial).await {
            Ok(Saved::Saved) => {
                app.breakers.remember(host, trial, now);
                return Route::Attempt;
            }
            Ok(Saved::Superseded(theirs)) => {
                app.breakers.remember(host, theirs.clone(), now);
                known = theirs;
            }
            Ok(Saved::Gone) => return Route::Attempt,
            Err(err) => {
                log_failure(host, &err);
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
            let endpoint = receiver.endpoint.clone();
            let waiting = Observation::StillWaiting { endpoint };
            futures::join!(sending, Box::pin(record(app, &receiver.host, waiting))).0
        }
    }
}

/// The report about an attempt of `op`. `None`: the target has no circuit breaker.
pub(crate) fn report_of(delivery: &Delivery, attempt: &Attempt, op: OpId) -> Option<Report> {
    let receiver = ReceiverKey::of(delivery)?;
    Some(Report { receiver, sample: HealthSample::of(attempt), op: op_of(delivery, op) })
}

/// The lane for the next attempt at a receiver after `report`.
pub(crate) fn lane_after(app: &App, report: Option<&Report>) -> Lane {
    let is_slow = report.is_some_and(|report| {
        let ReceiverKey { host, endpoint } = &report.receiver;
        let known = app.breakers.last_known(host);
        let next = known.after([&report.observation()], app.core.now());
        next.unwrap_or(known).needs_slow_lane(endpoint)
    });
    if is_slow { Lane::Slow } else { Lane::Fast }
}

/// Records the report about an attempt at `delivery`, if it changes the breaker. A success before the
/// end of a wait also brings forward deliveries that wait for the same receiver.
pub(crate) async fn observe(app: &App, delivery: &Delivery, report: Option<Report>) {
    let Some(report) = report else { return };
    let ReceiverKey { host, endpoint } = &report.receiver;
    let known = app.breakers.last_known(host);
    let holds = matches!(known.route(endpoint, app.core.now(), report.op), breaker::Route::Wait(_));
    record(app, host, report.observation()).await;
    if holds && report.sample.health == Health::Up {
        held::bring_forward(app, delivery, &report.receiver).await;
    }
}

/// Records an observation. If another task of this process is already recording for the host, that
/// task records this one too, so that many concurrent failures do not race with each other.
async fn record(app: &App, host: &HostKey, observation: Observation) {
    if !app.breakers.enqueue(host, observation) {
        return;
    }
    for _ in 0..WRITES_MAX {
        let now = app.core.now();
        let Some(change) = app.breakers.next_change(host, now) else { return };
        match write(app, &change.next).await {
            Ok(Saved::Saved) => {
                log_openings(&change.next);
                app.breakers.remember(host, change.next, now);
            }
            // If it was our own write, then the observations change nothing in the next round.
            Ok(Saved::Superseded(theirs)) => {
                if theirs == change.next {
                    log_openings(&theirs);
                }
                app.breakers.remember(host, theirs, now);
                app.breakers.requeue(host, change.observations);
            }
            Ok(Saved::Gone) => {
                app.breakers.remember(host, host.unknown(), now);
                app.breakers.requeue(host, change.observations);
            }
            Err(err) => {
                log_failure(host, &err);
                break;
            }
        }
    }
    app.breakers.clear_queue(host);
}

/// The breaker of a receiver's host, from the cache or the table.
async fn read(app: &App, receiver: &ReceiverKey) -> Breaker {
    let now = app.core.now();
    if let Some(cached) = app.breakers.cached(receiver, now) {
        return cached;
    }
    let host = &receiver.host;
    match app.reads.breaker(&app.core, host).await {
        Ok(found) => {
            // Another task, which waited for the same read, may have changed it since.
            if let Some(cached) = app.breakers.cached(receiver, now) {
                return cached;
            }
            let known = found.unwrap_or_else(|| host.unknown());
            app.breakers.remember(host, known.clone(), now);
            known
        }
        Err(err) => {
            log_failure(host, &err);
            app.breakers.last_known(host)
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
    let milliseconds = u128::from(delivery.id.tag()) % RESUME_JITTER.as_millis();
    Duration::from_millis(u64::try_from(milliseconds).expect("less than 30,000"))
}

/// One worker may attempt several deliveries, and each attempt is an operation.
fn op_of(delivery: &Delivery, op: OpId) -> OpId {
    OpId(op.0 ^ delivery.id.tag())
}

/// Logs that circuits opened, for the first time or after a trial that failed.
fn log_openings(next: &Breaker) {
    let n_openings = next.n_just_opened();
    if n_openings > 0 {
        tracing::warn!(
            account.id = %next.account,
            host = %next.authority,
            BreakerOpenings = n_openings,
            "opened a circuit breaker"
        );
    }
}

fn log_failure(host: &HostKey, err: &store::Error) {
    tracing::warn!(
        account.id = %host.account,
        host = %host.authority,
        error = err as &(dyn std::error::Error + 'static),
        "could not read or write a circuit breaker; its receiver is called anyway"
    );
}
