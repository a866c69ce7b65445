//! Turns events into deliveries, one for each target: what a request has to tell, and what was
//! posted.
//!
//! Identifiers are made from event and target, and a delivery is put only where there is none, so
//! doing it twice makes nothing twice. The worker that makes a delivery has it leased from the
//! beginning, and attempts it at once, unless its receiver is known to be slow or down.

use std::{convert::Infallible, time::Duration};

use answerback::{
    api::views::EventBody,
    domain::{
        Delivery, Event, OpId, OutboxEvent, Request, Webhook, WebhookId,
        delivery::{BUS, CALLBACK, DeliveryState, Origin, Receiver, Target},
        request::RequestState,
        retry::TIMEOUT_SECONDS_MAX,
        webhook::{PAYLOAD_BYTES, Settings},
    },
    platform::{Group, Hint, Lane},
    service::{callback_body, posted_body},
    store::{AdvanceError, Saved},
};
use futures::future::join_all;
use jiff::Timestamp;

use crate::{
    App, Error,
    attempt::attempt,
    breaker::{self, Route},
    erasure, has_time, health,
};

/// Makes the deliveries of all that `request` has to tell, takes that off its list, and attempts
/// what it made. Gives the request as it then is.
pub(crate) async fn dispatch(
    app: &App,
    request: Request,
    ends_at: Option<Timestamp>,
) -> Result<Request, Error> {
    let worker = Worker::new(app, ends_at);
    let webhooks = app.core.webhooks.all(request.owner).await?;
    let mut deliveries = Vec::new();
    for event in &request.outbox {
        let origin = Origin {
            event: event.id(request.id),
            event_type: event.kind.into(),
            happened_at: event.at,
            trace: request.trace,
            made_by: request.created_by,
            owner: request.owner,
            channel: request.channel,
        };
        let begin = |to: Addressee| to.begin(origin.clone(), worker.now);
        let all = addressees(&request, event, &webhooks);
        deliveries.extend(all.into_iter().map(|it| (event.number, begin(it))));
    }
    let mut made = worker.make(deliveries).await;
    let mut numbers: Vec<u32> = request.outbox.iter().map(|it| it.number).collect();
    numbers.retain(|it| !made.unmade.contains(it));

    let step = |it: &Request| Ok(it.dispatched(&numbers, worker.now));
    let request = match app.core.advance(request.clone(), step).await {
        Ok(dispatched) => dispatched,
        Err(lost) => {
            made.failed = failure(lost).or(made.failed);
            request
        }
    };
    if let RequestState::Erased { .. } = request.state {
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
    event: Event,
    ends_at: Option<Timestamp>,
) -> Result<(), Error> {
    if event.is_dispatched {
        return Ok(());
    }
    let worker = Worker::new(app, ends_at);
    let is_so = match &event.disables {
        Some(disables) => health::disable(app, &event, disables).await?,
        None => true,
    };
    let webhooks = app.core.webhooks.all(event.owner).await?;
    let origin = Origin {
        event: event.id,
        event_type: event.event_type.clone(),
        happened_at: event.created_at,
        trace: event.trace,
        made_by: event.created_by,
        owner: event.owner,
        channel: None,
    };
    let addressees = if is_so { addressees_of_posted(&event, &webhooks) } else { Vec::new() };
    let begin = |it: Addressee| (0, it.begin(origin.clone(), worker.now));
    let mut made = worker.make(addressees.into_iter().map(begin).collect()).await;
    if made.unmade.is_empty()
        && let Err(lost) = app.core.advance(event, |it| Ok(it.dispatched())).await
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
        let now = app.core.now();
        let longest = Duration::from_secs(TIMEOUT_SECONDS_MAX.into());
        let attempts_now = has_time(longest, now, ends_at);
        Self { app, now, op: app.core.new_op(), attempts_now }
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
            let attempts_now = self.attempts_now && way == Route::Attempt;
            let delivery = match way {
                Route::Attempt if attempts_now => delivery.begin_leased(self.now, op),
                Route::Attempt => delivery,
                Route::SlowLane => delivery.begin_in_slow_lane(self.now),
                Route::Hold(until) => delivery.begin_held(until, self.now),
            };
            let put = self.app.core.store.create(&delivery).await.map(|saved| match saved {
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
        let is_mine = |it: &Delivery| matches!(it.state, DeliveryState::Leased { .. });
        let (mine, others): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(is_mine);
        let hint = |it: &Delivery| {
            it.hint_delay(self.now).map(|delay| (Group::of(it), Hint::of(it), delay))
        };
        let hints: Vec<_> = others.iter().filter_map(hint).collect();
        let attempts = mine.into_iter().map(|it| attempt(self.app, it, self.op, 0));
        let (attempted, _) =
            futures::join!(join_all(attempts), self.app.core.hints.send_all(&hints));
        for attempted in attempted {
            failed = attempted.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }
}

/// What is wrong where an item was not moved on. One that is gone has nobody who waits for it.
fn failure(lost: AdvanceError<Infallible>) -> Option<Error> {
    match lost {
        AdvanceError::Gone => None,
        AdvanceError::Refused(never) => match never {},
        AdvanceError::Contended => Some(Error::Contended),
        AdvanceError::Store(err) => Some(err.into()),
    }
}

/// Whether this is the delivery that `op` made.
fn is_ours(found: &Delivery, attempts_now: bool, op: OpId) -> bool {
    match found.state {
        DeliveryState::Leased { owner, .. } => owner == op,
        // Not leased, it does not say whose it is; one hint more does no harm.
        DeliveryState::Waiting { .. } => !attempts_now && found.attempt == 0,
        DeliveryState::Done { .. } => false,
    }
}

/// Whom to tell, and in which bytes.
struct Addressee {
    name: String,
    target: Target,
    webhook: Option<WebhookId>,
    body: Vec<u8>,
}

impl Addressee {
    fn begin(self, of: Origin, now: Timestamp) -> Delivery {
        let Self { name, target, webhook, body } = self;
        Delivery { webhook, ..Delivery::begin(of, &name, target, body, now) }
    }

    fn callback(receiver: &Receiver, body: Vec<u8>) -> Self {
        let target = Target::Https(receiver.clone());
        Self { name: CALLBACK.to_owned(), target, webhook: None, body }
    }

    fn webhook(webhook: &Webhook, body: Vec<u8>) -> Self {
        let receiver = webhook.settings.receiver.without_secrets();
        let (name, target) = (webhook.id.target(), Target::Https(receiver));
        Self { name, target, webhook: Some(webhook.id.clone()), body }
    }
}

fn addressees(request: &Request, event: &OutboxEvent, webhooks: &[Webhook]) -> Vec<Addressee> {
    let body =
        |receiver: &Receiver, max_bytes| callback_body(&receiver.spec(), max_bytes, request, event);
    let callback = request.policy.callback.as_ref().filter(|it| it.events.contains(&event.kind));
    let callback =
        callback.map(|it| Addressee::callback(&it.receiver, body(&it.receiver, PAYLOAD_BYTES)));
    let bus = (request.published && event.kind.is_published()).then(|| Addressee {
        name: BUS.to_owned(),
        target: Target::Bus,
        webhook: None,
        body: EventBody::new(request, event).to_bytes(),
    });
    let webhooks = webhooks.iter().filter(|it| it.wants(event.kind.as_str())).map(|it| {
        let Settings { receiver, max_payload_bytes, .. } = &it.settings;
        Addressee::webhook(it, body(receiver, *max_payload_bytes))
    });
    callback.into_iter().chain(bus).chain(webhooks).collect()
}

fn addressees_of_posted(event: &Event, webhooks: &[Webhook]) -> Vec<Addressee> {
    let body = |receiver: &Receiver, max_bytes| posted_body(&receiver.spec(), max_bytes, event);
    let callback = event.callback.iter().map(|it| Addressee::callback(it, body(it, PAYLOAD_BYTES)));
    let is_wanted = |it: &&Webhook| match &event.webhook {
        Some(only) => it.is_enabled() && it.id == *only,
        None => it.wants(event.event_type.as_str()),
    };
    let webhooks = webhooks.iter().filter(is_wanted).map(|it| {
        let Settings { receiver, max_payload_bytes, .. } = &it.settings;
        Addressee::webhook(it, body(receiver, *max_payload_bytes))
    });
    callback.chain(webhooks).collect()
}
