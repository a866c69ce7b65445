//! Turns events into deliveries, one for each target: what a request has to tell, and what was
//! posted.
//!
//! Identifiers are made from event and target, and a delivery is put only where there is none, so
//! doing it twice makes nothing twice. The worker that makes a delivery has it leased from the
//! beginning, and attempts it at once, unless its receiver is known to be slow or down.

use std::{convert::Infallible, time::Duration};

use answerback::{
    domain::{
        Delivery, Event, OpId, PostedEvent, Request,
        delivery::{BUS, CALLBACK, Origin, State as Life, Target},
        request::State,
        retry::TIMEOUT_SECONDS_MAX,
    },
    service::{
        Group, Hint, Lane, Lost, advance,
        wire::{EventBody, callback_body, posted_body},
    },
    store::Saved,
};
use futures::future::join_all;
use jiff::Timestamp;

use crate::{
    App, Error,
    attempt::attempt,
    breaker::{self, Way},
    erasure, has_time,
};

/// Makes the deliveries of all that `request` has to tell, takes that off its list, and attempts
/// what it made. Gives the request as it then is.
pub(crate) async fn dispatch(
    app: &App,
    request: Request,
    ends_at: Option<Timestamp>,
) -> Result<Request, Error> {
    let worker = Worker::new(app, ends_at);
    let events = request.outbox.iter();
    let deliveries = events.flat_map(|event| {
        targets(&request, event).map(|(name, target, body)| {
            let origin = Origin {
                event: event.id(request.id),
                event_type: event.kind.into(),
                made_by: request.created_by,
                account: request.account,
                livemode: request.livemode,
            };
            (event.number, Delivery::begin(origin, name, target, body, worker.now))
        })
    });
    let mut made = worker.make(deliveries.collect()).await;
    let mut numbers: Vec<u32> = request.outbox.iter().map(|it| it.number).collect();
    numbers.retain(|it| !made.unmade.contains(it));

    let step = |it: &Request| Ok(it.dispatched(&numbers, worker.now));
    let request = match advance(&app.store, request.clone(), step).await {
        Ok(dispatched) => dispatched,
        Err(lost) => {
            made.failed = failure(lost).or(made.failed);
            request
        }
    };
    if let State::Erased { .. } = request.state {
        // It was erased meanwhile: nothing of it is told any more.
        for delivery in made.deliveries {
            erasure::erase(app, delivery).await?;
        }
        return made.failed.map_or(Ok(request), Err);
    }
    worker.tell(made).await.map(|()| request)
}

/// Makes the deliveries of a posted event, notes that, and attempts them.
pub(crate) async fn dispatch_posted(
    app: &App,
    event: PostedEvent,
    ends_at: Option<Timestamp>,
) -> Result<(), Error> {
    if event.is_dispatched {
        return Ok(());
    }
    let worker = Worker::new(app, ends_at);
    let deliveries = event.callback.iter().map(|receiver| {
        let body = posted_body(receiver.profile.behaviour(), &event);
        let origin = Origin {
            event: event.id,
            event_type: event.event_type.clone(),
            made_by: event.created_by,
            account: event.account,
            livemode: event.livemode,
        };
        let target = Target::Https(receiver.clone());
        (0, Delivery::begin(origin, CALLBACK, target, body, worker.now))
    });
    let mut made = worker.make(deliveries.collect()).await;
    if made.unmade.is_empty()
        && let Err(lost) = advance(&app.store, event, |it| Ok(it.dispatched())).await
    {
        made.failed = failure(lost).or(made.failed);
    }
    worker.tell(made).await
}

/// Somebody who makes deliveries, and attempts them where there is time.
struct Worker<'a> {
    app: &'a App,
    now: Timestamp,
    op: OpId,
    attempts_now: bool,
}

/// What came of making deliveries.
struct Made {
    /// Those that this worker made.
    deliveries: Vec<Delivery>,
    /// The numbers of the events some of whose deliveries could not be made.
    unmade: Vec<u32>,
    /// What failed last.
    failed: Option<Error>,
}

impl<'a> Worker<'a> {
    fn new(app: &'a App, ends_at: Option<Timestamp>) -> Self {
        let now = app.clock.now();
        let longest = Duration::from_secs(TIMEOUT_SECONDS_MAX.into());
        let attempts_now = has_time(longest, now, ends_at);
        Self { app, now, op: OpId::new(app.entropy.next()), attempts_now }
    }

    /// Puts deliveries, each of the event with its number, where there are none.
    ///
    /// One that cannot be put holds up no other: what was made is attempted, whatever failed.
    async fn make(&self, deliveries: Vec<(u32, Delivery)>) -> Made {
        let op = self.op;
        // One after the other: most are to one receiver, and what is known of it is read once.
        let mut first = Vec::with_capacity(deliveries.len());
        for (number, delivery) in deliveries {
            let way = breaker::way(self.app, &delivery, Lane::Fast, op).await;
            first.push((number, delivery, way));
        }
        let put = first.into_iter().map(async |(number, delivery, way)| {
            let attempts_now = self.attempts_now && way == Way::Attempt;
            let delivery = match way {
                Way::Attempt if attempts_now => delivery.begin_leased(self.now, op),
                Way::Attempt => delivery,
                Way::SlowLane => delivery.begin_in_slow_lane(self.now),
                Way::Hold(until) => delivery.begin_held(until, self.now),
            };
            let put = self.app.store.create(&delivery).await.map(|saved| match saved {
                Saved::Saved => Some(delivery),
                // A write of ours whose answer was lost, come back.
                Saved::Superseded(found) if is_ours(&found, attempts_now, op) => Some(found),
                Saved::Superseded(_) | Saved::Gone => None,
            });
            (number, put)
        });
        let mut made = Made { deliveries: Vec::new(), unmade: Vec::new(), failed: None };
        for (number, put) in join_all(put).await {
            match put {
                Ok(delivery) => made.deliveries.extend(delivery),
                Err(err) => {
                    made.unmade.push(number);
                    made.failed = Some(err.into());
                }
            }
        }
        made
    }

    /// Attempts what it made, or sends somebody who has time.
    async fn tell(&self, made: Made) -> Result<(), Error> {
        let Made { deliveries, mut failed, .. } = made;
        let is_mine = |it: &Delivery| matches!(it.state, Life::Leased { .. });
        let (mine, others): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(is_mine);
        let hint = |it: &Delivery| {
            it.hint_delay(self.now).map(|delay| (Group::of(it), Hint::of(it), delay))
        };
        let hints: Vec<_> = others.iter().filter_map(hint).collect();
        let attempts = mine.into_iter().map(|it| attempt(self.app, it, self.op, 0));
        let (attempted, _) = futures::join!(join_all(attempts), self.app.hints.send_all(&hints));
        for attempted in attempted {
            failed = attempted.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }
}

/// What is wrong where an item was not moved on. One that is gone has nobody who waits for it.
fn failure(lost: Lost<Infallible>) -> Option<Error> {
    match lost {
        Lost::Gone => None,
        Lost::Refused(never) => match never {},
        Lost::Busy => Some(Error::Busy),
        Lost::Store(err) => Some(err.into()),
    }
}

/// Whether this is the delivery that `op` made.
fn is_ours(found: &Delivery, attempts_now: bool, op: OpId) -> bool {
    match found.state {
        Life::Leased { owner, .. } => owner == op,
        // Not leased, it does not say whose it is; one hint more does no harm.
        Life::Waiting { .. } => !attempts_now && found.attempt == 0,
        Life::Done { .. } => false,
    }
}

/// Whom to tell of `event`, by name, and in which bytes.
fn targets<'a>(
    request: &'a Request,
    event: &'a Event,
) -> impl Iterator<Item = (&'static str, Target, Vec<u8>)> + 'a {
    let callback = request.terms.callback.as_ref().filter(|it| it.events.contains(&event.kind));
    let callback = callback.map(|it| {
        let body = callback_body(it.receiver.profile.behaviour(), request, event);
        (CALLBACK, Target::Https(it.receiver.clone()), body)
    });
    let bus = (request.published && event.kind.is_published())
        .then(|| (BUS, Target::Bus, EventBody::new(request, event).to_bytes()));
    callback.into_iter().chain(bus)
}
