//! Dispatch: turns events into deliveries, one for each target.
//!
//! ```text
//!  event ─▶ claim it ─▶ notifications (target and body) ─┬─▶ attempt, then store with the result ─┐
//!                                                        └─▶ store, then attempt or hint ─────────┤
//!                                           mark the event dispatched, once all are stored ◀──────┘
//! ```
//!
//! A delivery's id is derived from event and target, and an existing delivery is never replaced. So
//! a repeated dispatch creates nothing twice. The worker that claims an event attempts its deliveries
//! at once, unless the circuit breaker routes them elsewhere. If it dies, the event's timer brings
//! another worker, which stores each delivery before the attempt.

mod message;
mod notification;
mod update;

use std::{collections::HashSet, time::Duration};

use answerback::{
    domain::{
        Delivery, DeliveryId, Event, EventId, OpId, Request, Webhook,
        claim::{Claim, DISPATCH_INTERVAL},
        consumption::ReadMode,
        delivery::{DeliveryState, LEASE_GUARD, Origin, Target},
        posted_event::EventState,
        request::RequestState,
        retry::TIMEOUT_SECONDS_MAX,
    },
    platform::{Group, Hint, Lane, OutgoingHint},
    store::{Saved, StepError, Store},
};
use futures::{
    channel::oneshot,
    future::{join, join_all},
};
use jiff::Timestamp;

use crate::{
    App, Error,
    attempt::{Unstored, attempt, attempt_unstored},
    breaker::{self, Route},
    budget::Budget,
    erasure, health,
};

/// Dispatches all events in the outbox of `request`, and attempts the deliveries. Returns the
/// request in its new state.
pub(crate) async fn dispatch(
    app: &App,
    request: Request,
    budget: Budget,
) -> Result<Request, Error> {
    let destinations = app.reads.destinations(&app.core, request.owner).await?;
    let webhooks = &destinations.webhooks;
    let store = app.core.store_of(request.owner.account).await;
    let worker = Worker::new(app, store, budget, webhooks, request.due_at());
    let copies = update::copies(&app.core.store, &request).await?;
    let planned = request.outbox().iter().map(|event| {
        let origin = Origin {
            event: event.id(request.id),
            event_type: event.kind.into(),
            happened_at: event.at,
            trace: request.trace,
            made_by: request.created_by,
            owner: request.owner,
            channel: request.channel,
            is_private: request.policy.read.mode != ReadMode::Repeat,
        };
        let all = notification::of_request(&request, event, webhooks).into_iter();
        let deliveries = all.map(|it| it.delivery(origin.clone(), worker.now));
        let notifiers = &destinations.notifiers;
        let messages = message::of_request(&request, event, notifiers).into_iter();
        let messages = messages.map(|it| it.delivery(&request, origin.clone(), &worker));
        let updates = update::of_event(&request, event, &copies);
        let updates = updates.map(|it| it.delivery(origin.clone(), worker.now));
        let deliveries = deliveries.chain(messages).chain(updates).collect();
        Planned { event: origin.event, deliveries }
    });
    let planned = planned.collect();
    match worker.dispatch(planned, Outbox::Request(Box::new(request))).await? {
        Outbox::Request(request) => Ok(*request),
        Outbox::Event(_) => unreachable!("a request stays one"),
    }
}

/// Dispatches a posted event, and attempts the deliveries.
pub(crate) async fn dispatch_posted(app: &App, event: Event, budget: Budget) -> Result<(), Error> {
    let event = match health::confirm(app, event).await? {
        Some(event) if event.state() != EventState::Dispatched => event,
        _ => return Ok(()),
    };
    let destinations = app.reads.destinations(&app.core, event.owner).await?;
    let webhooks = &destinations.webhooks;
    let store = app.core.store_of(event.owner.account).await;
    let worker = Worker::new(app, store, budget, webhooks, event.due_at());
    let origin = event.origin();
    let all = notification::of_posted(&event, webhooks).into_iter();
    let deliveries = all.map(|it| it.delivery(origin.clone(), worker.now)).collect();
    let planned = vec![Planned { event: event.id, deliveries }];
    worker.dispatch(planned, Outbox::Event(Box::new(event))).await?;
    Ok(())
}

/// The longest attempt.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(TIMEOUT_SECONDS_MAX as u64);

/// Messages that a worker attempts at once. Services limit how many they take, so the rest goes through
/// the slow lane.
const MESSAGES_AT_ONCE: usize = 10;

/// An event to dispatch.
struct Planned {
    event: EventId,
    deliveries: Vec<Delivery>,
}

/// A delivery in its first state.
struct Routed {
    event: EventId,
    delivery: Delivery,
    /// The worker attempts it before it is stored.
    is_direct: bool,
}

/// The item that holds the events.
enum Outbox {
    Request(Box<Request>),
    Event(Box<Event>),
}

/// The result of storing deliveries.
#[derive(Default)]
struct Stored {
    /// The deliveries that this worker stored and has not attempted.
    new: Vec<Delivery>,
    /// The deliveries that it attempted.
    attempted: Vec<DeliveryId>,
    /// The events with a delivery that could not be stored.
    failed: HashSet<EventId>,
    /// The last failure.
    error: Option<Error>,
}

/// A worker that creates deliveries, and attempts them if it has time.
struct Worker<'a> {
    app: &'a App,
    /// The store for new deliveries of the account.
    store: Store,
    budget: Budget,
    now: Timestamp,
    op: OpId,
    /// The webhooks of the account and mode.
    webhooks: &'a [Webhook],
    has_time_to_attempt: bool,
    /// It may attempt deliveries before it stores them: if it dies, the events' timer finds them soon
    /// after its claims have expired.
    may_store_later: bool,
}

/// The result of claiming an event.
#[derive(Clone, Copy)]
enum Claimed {
    /// No worker has claimed it before.
    First,
    /// Another worker's claim is over. It may have begun attempts.
    AfterAttempts,
    /// Another worker has claimed it, and stores each delivery before the attempt.
    WithoutAttempts,
}

impl<'a> Worker<'a> {
    fn new(
        app: &'a App,
        store: Store,
        budget: Budget,
        webhooks: &'a [Webhook],
        due_at: Option<Timestamp>,
    ) -> Self {
        let now = app.core.now();
        let has_time_to_attempt = budget.has_time(LONGEST_ATTEMPT, now);
        // A sweep that has sent a hint sets a timer that is too late.
        let is_covered = due_at.is_some_and(|it| {
            (now + app.lease + LEASE_GUARD..=now + DISPATCH_INTERVAL).contains(&it)
        });
        let may_store_later = has_time_to_attempt && is_covered;
        let op = app.core.new_op();
        Self { app, store, budget, now, op, webhooks, has_time_to_attempt, may_store_later }
    }

    /// Stores and attempts the deliveries of events, and marks the events as dispatched. Those that
    /// another worker has claimed are left to it.
    async fn dispatch(&self, planned: Vec<Planned>, outbox: Outbox) -> Result<Outbox, Error> {
        let claims = join_all(planned.iter().map(|it| self.claim(it))).await;
        let mut events = Vec::new();
        let mut routed = Vec::new();
        let mut unclaimed = None;
        let mut n_messages = 0;
        for (Planned { event, deliveries }, claim) in planned.into_iter().zip(claims) {
            let claimed = match claim {
                Ok(Some(claimed)) => claimed,
                Ok(None) => continue,
                Err(err) => {
                    unclaimed = Some(err);
                    continue;
                }
            };
            events.push(event);
            // One after the other: most have the same receiver, whose breaker is then read once.
            for delivery in deliveries {
                let is_message = matches!(delivery.target, Target::Message(_) | Target::Update(_));
                n_messages += usize::from(is_message);
                let route = if is_message && n_messages > MESSAGES_AT_ONCE {
                    Route::SlowLane
                } else {
                    breaker::route(self.app, &delivery, Lane::Fast, self.op).await
                };
                routed.push(self.begin(event, delivery, route, claimed));
            }
        }
        let (direct, others): (Vec<_>, Vec<_>) = routed.into_iter().partition(|it| it.is_direct);
        let (attempts, signals): (Vec<_>, Vec<_>) = direct
            .into_iter()
            .map(|Routed { event, delivery, .. }| {
                let (signal, is_stored) = oneshot::channel();
                let id = delivery.id;
                let unstored = Unstored { store: self.store.clone(), signal };
                let delivery = Box::new(delivery);
                let attempt =
                    attempt_unstored(self.app, delivery, self.op, self.webhooks, unstored);
                (Box::pin(attempt), async move { (event, id, is_stored.await.is_ok()) })
            })
            .unzip();
        let rest = async {
            let (mut stored, heard) = join(self.store_and_hint(others), join_all(signals)).await;
            for (event, id, is_stored) in heard {
                if is_stored {
                    stored.attempted.push(id);
                } else {
                    stored.failed.insert(event);
                }
            }
            events.retain(|it| !stored.failed.contains(it));
            self.conclude(outbox, &events, stored).await
        };
        let (attempted, outbox) = join(join_all(attempts), rest).await;
        let failed = attempted.into_iter().filter_map(Result::err).last();
        match failed.or(unclaimed) {
            Some(err) => outbox.and(Err(err)),
            None => outbox,
        }
    }

    /// Claims an event. `None`: another worker is at work.
    async fn claim(&self, planned: &Planned) -> Result<Option<Claimed>, Error> {
        if planned.deliveries.is_empty() {
            return Ok(Some(Claimed::First));
        }
        let until = self.may_store_later.then(|| self.now + self.app.lease);
        let claim = Claim { event: planned.event, op: self.op, made_at: self.now, until };
        Ok(match self.app.core.store.create(&claim).await? {
            Saved::Saved => Some(Claimed::First),
            // Our own write: its response was lost, and the SDK repeated it.
            Saved::Superseded(found) if found.op == self.op => Some(Claimed::First),
            Saved::Superseded(found) if found.is_active(self.now) => None,
            Saved::Superseded(found) if found.until.is_some() => Some(Claimed::AfterAttempts),
            Saved::Superseded(_) | Saved::Gone => Some(Claimed::WithoutAttempts),
        })
    }

    /// The delivery in its first state.
    fn begin(&self, event: EventId, delivery: Delivery, route: Route, claimed: Claimed) -> Routed {
        if let DeliveryState::Done { .. } = delivery.state {
            return Routed { event, delivery, is_direct: false };
        }
        let delivery = match claimed {
            Claimed::AfterAttempts => delivery.after_lost_attempt(),
            Claimed::First | Claimed::WithoutAttempts => delivery,
        };
        let is_first = matches!(claimed, Claimed::First);
        let is_attempted = matches!(route, Route::Attempt) && self.has_time_to_attempt;
        let delivery = match route {
            Route::Attempt if is_attempted => {
                delivery.begin_leased(self.now, self.op, self.app.lease)
            }
            Route::Attempt => delivery,
            Route::SlowLane => delivery.begin_in_slow_lane(self.now),
            Route::Hold(until) => delivery.begin_behind_breaker(until, self.now),
        };
        Routed { event, delivery, is_direct: is_attempted && is_first && self.may_store_later }
    }

    /// Stores deliveries that do not exist, and sends hints at those for other workers. These do not
    /// wait for a slow receiver of another delivery.
    async fn store_and_hint(&self, routed: Vec<Routed>) -> Stored {
        let stored = self.store(routed).await;
        let hint = |it: &Delivery| {
            let delay = it.hint_delay(self.now)?;
            Some(OutgoingHint { group: Group::of(it), hint: Hint::of(it), delay })
        };
        let hints: Vec<_> = stored.new.iter().filter_map(hint).collect();
        self.app.core.hints.send_all(&hints).await;
        stored
    }

    /// Stores deliveries that do not exist. A failure of one does not stop the others.
    async fn store(&self, routed: Vec<Routed>) -> Stored {
        let creations = routed
            .into_iter()
            .map(async |Routed { event, delivery, .. }| (event, self.store_one(delivery).await));
        let mut stored = Stored::default();
        for (event, result) in join_all(creations).await {
            match result {
                Ok(delivery) => stored.new.extend(delivery),
                Err(err) => {
                    stored.failed.insert(event);
                    stored.error = Some(err);
                }
            }
        }
        stored
    }

    /// Stores one delivery. `None`: another worker did.
    async fn store_one(&self, delivery: Delivery) -> Result<Option<Delivery>, Error> {
        Ok(match self.store.create(&delivery).await? {
            Saved::Saved => Some(delivery),
            // Our own write: its response was lost, and the SDK repeated it.
            Saved::Superseded(found) if is_ours(&found, &delivery, self.op) => Some(found),
            Saved::Superseded(_) | Saved::Gone => None,
        })
    }

    /// Marks `events` as dispatched. Then it attempts the new deliveries that it leased.
    async fn conclude(
        &self,
        outbox: Outbox,
        events: &[EventId],
        mut stored: Stored,
    ) -> Result<Outbox, Error> {
        let outbox = match outbox.clear(self.app, events, self.now).await {
            Ok(outbox) => outbox,
            Err((outbox, err)) => {
                stored.error = Some(err.into());
                outbox
            }
        };
        if outbox.is_erased() {
            // The request was erased during the dispatch.
            for delivery in stored.new {
                erasure::erase(self.app, delivery).await?;
            }
            for id in stored.attempted {
                erasure::erase_by_id(self.app, id).await?;
            }
            return stored.error.map_or(Ok(outbox), Err);
        }
        // Races for the outbox may have taken long. Then the end of the lease brings another worker.
        if !self.budget.has_time(LONGEST_ATTEMPT, self.app.core.now()) {
            return stored.error.map_or(Ok(outbox), Err);
        }
        let is_mine = |it: &Delivery| matches!(it.state, DeliveryState::Leased { .. });
        let mine = stored.new.into_iter().filter(is_mine);
        let attempts = mine.map(|it| attempt(self.app, it, self.op, 0));
        let failed = join_all(attempts).await.into_iter().filter_map(Result::err).last();
        failed.or(stored.error).map_or(Ok(outbox), Err)
    }
}

impl Outbox {
    /// The item without these events. After a failure, the item as it was.
    async fn clear(
        self,
        app: &App,
        events: &[EventId],
        now: Timestamp,
    ) -> Result<Self, (Self, StepError)> {
        match self {
            Self::Request(request) => {
                let numbers: Vec<u32> = events.iter().map(|it| it.number()).collect();
                let step = |it: &Request| it.dispatched(&numbers, now);
                match app.core.step((*request).clone(), step).await {
                    Ok(Some(dispatched)) => Ok(Self::Request(Box::new(dispatched))),
                    Ok(None) => Ok(Self::Request(request)),
                    Err(err) => Err((Self::Request(request), err)),
                }
            }
            Self::Event(event) if events.is_empty() => Ok(Self::Event(event)),
            Self::Event(event) => match app.core.step((*event).clone(), Event::dispatched).await {
                Ok(Some(dispatched)) => Ok(Self::Event(Box::new(dispatched))),
                Ok(None) => Ok(Self::Event(event)),
                Err(err) => Err((Self::Event(event), err)),
            },
        }
    }

    fn is_erased(&self) -> bool {
        match self {
            Self::Request(request) => matches!(request.state(), RequestState::Erased { .. }),
            Self::Event(_) => false,
        }
    }
}

/// True if the delivery that exists is the one that `op` tried to create.
fn is_ours(found: &Delivery, created: &Delivery, op: OpId) -> bool {
    match found.state {
        DeliveryState::Leased { owner, .. } => owner == op,
        // Without a lease it does not name its creator. One hint more does no harm.
        DeliveryState::Waiting { .. } => {
            let is_leased = matches!(created.state, DeliveryState::Leased { .. });
            !is_leased && found.attempt == created.attempt
        }
        DeliveryState::Done { .. } => false,
    }
}
