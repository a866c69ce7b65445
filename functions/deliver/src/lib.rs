//! Hints from the queue: an event becomes deliveries, a delivery is attempted, a deadline noticed.
//!
//! A hint says where to look; what is to be done the item itself says. So a hint that is stale,
//! doubled or early is acknowledged and forgotten, and only what our own infrastructure failed at
//! goes back to the queue. Nothing is begun that cannot be finished before the function's end.

mod attempt;
mod breaker;
mod dispatch;
mod endpoint;
mod erasure;
mod health;
mod sign;

use std::{collections::BTreeMap, time::Duration};

use answerback::{
    domain::{
        CallbackRules, Delivery, DeliveryId, Event, Request, RequestId,
        delivery::{DeliveryState, StartDecision},
        request::RequestState,
    },
    egress,
    platform::{Bus, Group, Hint, Lane, vault::VaultError},
    service::Core,
    store::{self, Saved, StepError, keys},
};
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use jiff::Timestamp;

pub use breaker::Breakers;

/// What must be left after an attempt to write down what came of it.
const FINISH: Duration = Duration::from_secs(6);
/// Most rounds of starting one delivery against others.
const RACES_MAX: u32 = 10;

/// What delivery needs from the world.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports that all functions share.
    pub core: Core,
    /// How receivers are reached.
    pub egress: egress::Client,
    /// Where callbacks may go.
    pub rules: CallbackRules,
    /// The event bus, if there is one.
    pub bus: Option<Bus>,
    /// What is remembered of receivers.
    pub breakers: Breakers,
    /// Time for which a worker leases a delivery.
    pub lease: Duration,
}

/// Why a hint goes back to the queue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// The message is no hint.
    #[error("the message is no hint")]
    Hint(#[source] serde_json::Error),
    /// The hint names nothing that there can be.
    #[error("the hint names nothing that there can be")]
    Id(#[from] answerback::domain::id::ParseIdError),
    /// The delivery's account is gone, or what it is sent with is not what it should be.
    #[error("what the delivery is sent with is not to be had")]
    Secret,
    /// The secret that signs cannot be opened.
    #[error("the secret that signs cannot be opened")]
    Vault(#[from] VaultError),
    /// Others were faster every time.
    #[error("others were faster every time")]
    Contended,
}

impl From<StepError> for Error {
    fn from(err: StepError) -> Self {
        match err {
            StepError::Contended => Self::Contended,
            StepError::Store(err) => Self::Store(err),
        }
    }
}

/// Works through a batch of hints, all at once, and reports those that failed.
///
/// This needs `ReportBatchItemFailures` on the event source mapping. `ends_at` is when the
/// function is stopped, if that is known.
pub async fn deliver(app: &App, event: SqsEvent, ends_at: Option<Timestamp>) -> SqsBatchResponse {
    // Ten answers in a second are ten hints at one request, which is looked after once.
    let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in event.records {
        let same = messages.entry(message.body.unwrap_or_default()).or_default();
        same.push(message.message_id.unwrap_or_default());
    }
    let work = messages.into_iter().map(async |(body, message_ids)| {
        let done = match serde_json::from_str(&body) {
            // Boxed: it is large, and there are ten of them.
            Ok(hint) => Box::pin(follow(app, hint, ends_at)).await,
            Err(err) => Err(Error::Hint(err)),
        };
        let Err(err) = done else { return Vec::new() };
        tracing::error!(hint.message_ids = ?message_ids, error = &err as &(dyn std::error::Error + 'static), "a hint goes back to the queue");
        message_ids
    });
    let failed = join_all(work).await.into_iter().flatten().map(|message_id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = message_id;
        failure
    });
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.collect();
    response
}

/// Looks where a hint says, and does what is to be done there.
async fn follow(app: &App, hint: Hint, ends_at: Option<Timestamp>) -> Result<(), Error> {
    match hint {
        Hint::Request { ref id, .. } => {
            look_after_request(app, id.parse()?, ends_at).await?;
        }
        Hint::Deadline { ref id, hops } => {
            let Some(request) = look_after_request(app, id.parse()?, ends_at).await? else {
                return Ok(());
            };
            // One that comes early is delayed once more, not dropped.
            if *request.state() == RequestState::Pending
                && let Some(hint) = hint.clone().hop(hops)
            {
                let delay = until(
                    request.deadline + answerback::domain::request::CLOCK_GUARD,
                    app.core.now(),
                );
                app.core.hints.send(Group::Account(request.owner.account), &hint, delay).await;
            }
        }
        Hint::Event { ref id, .. } => {
            let event: Option<Event> = app.core.store.get(keys::event(id.parse()?)).await?;
            if let Some(event) = event {
                dispatch::dispatch_posted(app, event, ends_at).await?;
            }
        }
        Hint::Delivery { ref id, attempt, hops, .. } => {
            let sent = (attempt, hops, hint.lane());
            Box::pin(start(app, id.parse()?, sent, ends_at)).await?;
        }
    }
    Ok(())
}

/// Settles what time has decided of a request, tells what there is to tell, and cleans up after an
/// erasure. Gives the request as it then is.
async fn look_after_request(
    app: &App,
    id: RequestId,
    ends_at: Option<Timestamp>,
) -> Result<Option<Request>, Error> {
    let Some(request) = app.core.store.get::<Request>(keys::request(id)).await? else {
        return Ok(None);
    };
    let now = app.core.now();
    let op = app.core.new_op();
    let Some(request) = app.core.settle(request, now, op).await? else {
        return Ok(None);
    };
    if let RequestState::Erased { .. } = request.state() {
        erasure::clean_up(app, &request, ends_at).await?;
        return Ok(Some(request));
    }
    if request.outbox().is_empty() {
        return Ok(Some(request));
    }
    dispatch::dispatch(app, request, ends_at).await.map(Some)
}

/// Starts a delivery and attempts it, if its time has come, nobody else is at it, and its receiver
/// may be called.
async fn start(
    app: &App,
    id: DeliveryId,
    (expected, hops, lane): (u32, u32, Lane),
    ends_at: Option<Timestamp>,
) -> Result<(), Error> {
    let Some(mut delivery) = app.core.store.get::<Delivery>(keys::delivery(id)).await? else {
        return Ok(());
    };
    // Its maker attempts a delivery at once, so a first start here is as rare as a takeover, and
    // both can afford to look whether there is still something to tell.
    if (delivery.attempt == 0 || matches!(delivery.state, DeliveryState::Leased { .. }))
        && let Some(request) = delivery.request()
    {
        let request = app.core.store.get::<Request>(keys::request(request)).await?;
        if request.is_some_and(|it| matches!(it.state(), RequestState::Erased { .. })) {
            return erasure::erase(app, delivery).await;
        }
    }
    let op = app.core.new_op();
    let now = app.core.now();
    if has_time(delivery.timeout(), now, ends_at)
        && let StartDecision::Attempt(_) = delivery.start(expected, now, op, app.lease)
    {
        match breaker::pass(app, delivery, (expected, hops, lane), op).await? {
            Some(passed) => delivery = passed,
            None => return Ok(()),
        }
    }
    for _ in 0..RACES_MAX {
        let now = app.core.now();
        if !has_time(delivery.timeout(), now, ends_at) {
            // Somebody with more time takes it.
            let hint = Hint::delivery(id, expected).in_lane(lane).hop(hops);
            if let Some(hint) = hint {
                app.core.hints.send(Group::of(&delivery), &hint, Duration::ZERO).await;
            }
            return Ok(());
        }
        let (next, is_attempt) = match delivery.start(expected, now, op, app.lease) {
            StartDecision::Skip => return Ok(()),
            StartDecision::AlreadyMine => {
                attempt::attempt(app, delivery, op, hops).await?;
                return Ok(());
            }
            StartDecision::TooEarly(not_before) => {
                if let Some(hint) = Hint::delivery(id, expected).in_lane(lane).hop(hops) {
                    let group = Group::of(&delivery);
                    app.core.hints.send(group, &hint, until(not_before, now)).await;
                }
                return Ok(());
            }
            StartDecision::Attempt(next) => (*next, true),
            StartDecision::GiveUp(next) => (*next, false),
        };
        match app.core.store.save(&next).await? {
            Saved::Saved if is_attempt => {
                attempt::attempt(app, next, op, hops).await?;
                return Ok(());
            }
            Saved::Saved => {
                log_given_up(&next);
                return Ok(());
            }
            // A write of ours whose answer was lost, come back.
            Saved::Superseded(theirs) if matches!(theirs.state, DeliveryState::Done { op: by, .. } if by == op) =>
            {
                log_given_up(&theirs);
                return Ok(());
            }
            Saved::Superseded(theirs) => delivery = theirs,
            Saved::Gone => return Ok(()),
        }
    }
    Err(Error::Contended)
}

fn log_given_up(delivery: &Delivery) {
    tracing::error!(
        delivery.id = %delivery.id,
        account.id = %delivery.owner.account,
        DeadLetters = 1,
        "gave up a delivery: its worker died every time"
    );
}

/// Whether an attempt of this length, and writing it down, ends before the function does.
fn has_time(attempt: Duration, now: Timestamp, ends_at: Option<Timestamp>) -> bool {
    ends_at.is_none_or(|it| now + attempt + FINISH <= it)
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}
