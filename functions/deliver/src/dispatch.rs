//! Dispatch: turns events into deliveries, one for each target.
//!
//! ```text
//!  event ─▶ notifications (target and body) ─▶ create deliveries ─▶ mark the event dispatched
//!                                                     └─▶ attempt them, or send hints
//! ```
//!
//! A delivery's id is derived from event and target, and an existing delivery is never replaced. So
//! a repeated dispatch creates nothing twice. The worker that creates a delivery holds its lease from
//! the beginning and attempts it at once, unless the circuit breaker routes it elsewhere.

mod notification;

use std::time::Duration;

use answerback::{
    domain::{
        Delivery, Event, OpId, Request,
        consumption::ReadMode,
        delivery::{DeliveryState, Origin},
        posted_event::EventState,
        request::RequestState,
        retry::TIMEOUT_SECONDS_MAX,
    },
    platform::{Group, Hint, Lane, OutgoingHint},
    store::Saved,
};
use futures::future::join_all;
use jiff::Timestamp;

use crate::{
    App, Error,
    attempt::attempt,
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
    let worker = Worker::new(app, budget);
    let webhooks = app.core.webhooks.all(request.owner).await?;
    let mut planned = Vec::new();
    for event in request.outbox() {
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
        let all = notification::of_request(&request, event, &webhooks).into_iter();
        planned.extend(all.map(|it| Planned {
            event_number: event.number,
            delivery: it.delivery(origin.clone(), worker.now),
        }));
    }
    let mut created = worker.create(planned).await;
    let mut numbers: Vec<u32> = request.outbox().iter().map(|it| it.number).collect();
    numbers.retain(|it| !created.failed_events.contains(it));

    let step = |it: &Request| it.dispatched(&numbers, worker.now);
    let request = match app.core.step(request.clone(), step).await {
        Ok(Some(dispatched)) => dispatched,
        Ok(None) => request,
        Err(err) => {
            created.error = Some(err.into());
            request
        }
    };
    if let RequestState::Erased { .. } = request.state() {
        // The request was erased during the dispatch, so nothing is sent.
        for delivery in created.deliveries {
            erasure::erase(app, delivery).await?;
        }
        return created.error.map_or(Ok(request), Err);
    }
    worker.attempt_or_hint(created).await.map(|()| request)
}

/// Dispatches a posted event, and attempts the deliveries.
pub(crate) async fn dispatch_posted(app: &App, event: Event, budget: Budget) -> Result<(), Error> {
    let event = match health::confirm(app, event).await? {
        Some(event) if event.state() != EventState::Dispatched => event,
        _ => return Ok(()),
    };
    let worker = Worker::new(app, budget);
    let webhooks = app.core.webhooks.all(event.owner).await?;
    let origin = Origin {
        event: event.id,
        event_type: event.event_type.clone(),
        happened_at: event.created_at,
        trace: event.trace,
        made_by: event.created_by,
        owner: event.owner,
        channel: None,
        is_private: false,
    };
    let all = notification::of_posted(&event, &webhooks).into_iter();
    let planned = all
        .map(|it| Planned { event_number: 0, delivery: it.delivery(origin.clone(), worker.now) });
    let mut created = worker.create(planned.collect()).await;
    if created.failed_events.is_empty()
        && let Err(err) = app.core.step(event, Event::dispatched).await
    {
        created.error = Some(err.into());
    }
    worker.attempt_or_hint(created).await
}

/// A delivery to create.
struct Planned {
    /// Number of its event in the request's outbox.
    event_number: u32,
    delivery: Delivery,
}

/// The result of creating deliveries.
struct Created {
    /// The deliveries that this worker created.
    deliveries: Vec<Delivery>,
    /// Numbers of the events with a delivery that could not be created.
    failed_events: Vec<u32>,
    /// The last failure.
    error: Option<Error>,
}

/// A worker that creates deliveries, and attempts them if it has time.
struct Worker<'a> {
    app: &'a App,
    now: Timestamp,
    op: OpId,
    has_time_to_attempt: bool,
}

impl<'a> Worker<'a> {
    fn new(app: &'a App, budget: Budget) -> Self {
        let now = app.core.now();
        let longest = Duration::from_secs(TIMEOUT_SECONDS_MAX.into());
        let has_time_to_attempt = budget.has_time(longest, now);
        Self { app, now, op: app.core.new_op(), has_time_to_attempt }
    }

    /// Creates deliveries that do not exist. A failure of one does not stop the others.
    async fn create(&self, planned: Vec<Planned>) -> Created {
        // One after the other: most have the same receiver, whose breaker is then read once.
        let mut routed = Vec::with_capacity(planned.len());
        for Planned { event_number, delivery } in planned {
            let route = breaker::route(self.app, &delivery, Lane::Fast, self.op).await;
            routed.push(Planned { event_number, delivery: self.begin(delivery, route) });
        }
        let creations = routed.into_iter().map(async |Planned { event_number, delivery }| {
            (event_number, self.create_one(delivery).await)
        });
        let mut created =
            Created { deliveries: Vec::new(), failed_events: Vec::new(), error: None };
        for (event_number, result) in join_all(creations).await {
            match result {
                Ok(delivery) => created.deliveries.extend(delivery),
                Err(err) => {
                    created.failed_events.push(event_number);
                    created.error = Some(err);
                }
            }
        }
        created
    }

    /// The delivery in its first state.
    fn begin(&self, delivery: Delivery, route: Route) -> Delivery {
        match route {
            Route::Attempt if self.has_time_to_attempt => {
                delivery.begin_leased(self.now, self.op, self.app.lease)
            }
            Route::Attempt => delivery,
            Route::SlowLane => delivery.begin_in_slow_lane(self.now),
            Route::Hold(until) => delivery.begin_behind_breaker(until, self.now),
        }
    }

    /// Creates one delivery. `None`: another worker created it.
    async fn create_one(&self, delivery: Delivery) -> Result<Option<Delivery>, Error> {
        Ok(match self.app.core.store.create(&delivery).await? {
            Saved::Saved => Some(delivery),
            // Our own write: its response was lost, and the SDK repeated it.
            Saved::Superseded(found) if is_ours(&found, &delivery, self.op) => Some(found),
            Saved::Superseded(_) | Saved::Gone => None,
        })
    }

    /// Attempts the deliveries that it leased, and sends hints at the others.
    async fn attempt_or_hint(&self, created: Created) -> Result<(), Error> {
        let Created { deliveries, mut error, .. } = created;
        let is_mine = |it: &Delivery| matches!(it.state, DeliveryState::Leased { .. });
        let (mine, others): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(is_mine);
        let hint = |it: &Delivery| {
            let delay = it.hint_delay(self.now)?;
            Some(OutgoingHint { group: Group::of(it), hint: Hint::of(it), delay })
        };
        let hints: Vec<_> = others.iter().filter_map(hint).collect();
        let attempts = mine.into_iter().map(|it| attempt(self.app, it, self.op, 0));
        let (attempted, _) =
            futures::join!(join_all(attempts), self.app.core.hints.send_all(&hints));
        for attempted in attempted {
            error = attempted.err().or(error);
        }
        error.map_or(Ok(()), Err)
    }
}

/// True if the delivery that exists is the one that `op` tried to create.
fn is_ours(found: &Delivery, created: &Delivery, op: OpId) -> bool {
    match found.state {
        DeliveryState::Leased { owner, .. } => owner == op,
        // Without a lease it does not name its creator. One hint more does no harm.
        DeliveryState::Waiting { .. } => {
            let is_leased = matches!(created.state, DeliveryState::Leased { .. });
            !is_leased && found.attempt == 0
        }
        DeliveryState::Done { .. } => false,
    }
}
