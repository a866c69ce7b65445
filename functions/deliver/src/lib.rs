//! Delivery workers: they follow hints from the queue.
//!
//! ```text
//!  hint ─┬─ request  ─▶ settle ─▶ dispatch its events, or finish its erasure
//!        ├─ deadline ─▶ settle ─▶ the same
//!        ├─ step     ─▶ settle ─▶ the same
//!        ├─ event    ─▶ dispatch
//!        ├─ bounce   ─▶ the next way of a message, or a report
//!        ├─ arrival  ─▶ the end of a message
//!        └─ delivery ─▶ start ──▶ attempt ─▶ transport (HTTPS, event bus, messages)
//! ```
//!
//! A hint says which item to look at, and the item says what to do. So a stale, duplicated or early
//! hint is acknowledged and dropped. Only a failure of our own infrastructure returns a hint to the
//! queue. A worker does not begin work that it cannot finish before the function's end (`budget`).

mod arrival;
mod attempt;
mod bounce;
mod breaker;
mod budget;
mod dispatch;
mod erasure;
mod expected;
mod health;
mod reads;
mod report;
mod start;
mod suppression;
mod transport;

use std::{collections::BTreeMap, time::Duration};

use answerback::{
    Promise,
    domain::{
        CallbackRules, Event, Request, RequestId,
        request::{CLOCK_GUARD, RequestState},
    },
    egress,
    platform::{Bus, Group, Hint, Ses, vault::VaultError},
    service::Core,
    store::{self, StepError, keys},
};
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use jiff::Timestamp;

pub use breaker::Breakers;
pub use reads::Reads;

use budget::Budget;
use expected::Expected;

/// The ports of a delivery worker.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports that all functions share.
    pub core: Core,
    /// HTTP client for receivers.
    pub egress: egress::Client,
    /// Rules for callback URLs.
    pub rules: CallbackRules,
    /// The event bus, if one is configured.
    pub bus: Option<Bus>,
    /// Amazon SES, if it is configured.
    pub ses: Option<Ses>,
    /// The configuration set of SES, if there is one.
    pub ses_configuration_set: Option<String>,
    /// The address in the links of messages, without a slash at the end.
    pub public_base_url: String,
    /// This process's cache of circuit breakers.
    pub breakers: Breakers,
    /// The reads of the current batch.
    pub reads: Reads,
    /// Time for which a worker leases a delivery.
    pub lease: Duration,
}

/// A failure that returns a hint to the queue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// The message is not a hint.
    #[error("the message is not a hint")]
    Hint(#[source] serde_json::Error),
    /// The hint has a malformed id.
    #[error("the hint has a malformed id")]
    Id(#[from] answerback::domain::id::ParseIdError),
    /// The hint of a mail names no way.
    #[error("the hint of a mail names no way")]
    Way,
    /// A report of SES came before its message was stored or sent, and the hint could not be sent again.
    #[error("a report of SES came too early, and its hint could not be sent again")]
    EarlyReport,
    /// The account or channel whose secret signs the delivery does not exist.
    #[error("the account or channel of the delivery does not exist")]
    OwnerMissing,
    /// A stored custom header or bearer token is not a valid header.
    #[error("a stored header of the receiver is malformed")]
    Header,
    /// The recipient of a mail has no address.
    #[error("the recipient of a mail has no address")]
    NoAddress,
    /// An identifier of a mail is malformed.
    #[error("could not write a mail")]
    Letter(#[from] egress::LetterError),
    /// The signing secret could not be opened.
    #[error("could not open the signing secret")]
    Vault(#[from] VaultError),
    /// Other writers were faster every time.
    #[error("other writers were faster every time")]
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

/// Follows a batch of hints concurrently, and reports those that failed.
///
/// The event source mapping needs `ReportBatchItemFailures`. `ends_at` is the time at which the
/// function is stopped, if there is one.
///
/// The future is boxed, so that callers need not compile it again.
pub fn deliver(
    app: &App,
    event: SqsEvent,
    ends_at: Option<Timestamp>,
) -> Promise<'_, SqsBatchResponse> {
    Box::pin(follow_all(app, event, ends_at))
}

async fn follow_all(app: &App, event: SqsEvent, ends_at: Option<Timestamp>) -> SqsBatchResponse {
    let budget = Budget { ends_at };
    let app = &App { reads: Reads::default(), ..app.clone() };
    // Ten answers in a second send ten hints at one request. Identical hints are followed once.
    let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in event.records {
        let same = messages.entry(message.body.unwrap_or_default()).or_default();
        same.push(message.message_id.unwrap_or_default());
    }
    let work = messages.into_iter().map(async |(body, message_ids)| {
        let done = match serde_json::from_str(&body) {
            // Boxed, because the future is large and a batch has ten of them.
            Ok(hint) => Box::pin(follow(app, hint, budget)).await,
            Err(err) => Err(Error::Hint(err)),
        };
        let Err(err) = done else { return Vec::new() };
        tracing::error!(
            hint.message_ids = ?message_ids,
            error = &err as &(dyn std::error::Error + 'static),
            "could not follow a hint; it returns to the queue"
        );
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

/// Looks at the item of a hint, and does what the item needs.
async fn follow(app: &App, hint: Hint, budget: Budget) -> Result<(), Error> {
    match hint {
        Hint::Request { ref id, .. } => {
            process_request(app, id.parse()?, budget).await?;
        }
        Hint::Deadline { ref id, hops } => {
            let Some(request) = process_request(app, id.parse()?, budget).await? else {
                return Ok(());
            };
            // A hint that comes before the deadline is delayed once more.
            if *request.state() == RequestState::Pending
                && let Some(hint) = hint.clone().hop(hops)
            {
                let delay = delay_until(request.deadline + CLOCK_GUARD, app.core.now());
                app.core.hints.send(Group::Account(request.owner.account), &hint, delay).await;
            }
        }
        Hint::Step { ref id, step, hops } => {
            let request = process_request(app, id.parse()?, budget).await?;
            // As above. A step that was taken, or is void, is not ahead.
            if let Some(request) = request.filter(|it| it.steps_ahead().contains(&step))
                && let Some(at) = request.step_settles_at(step)
                && let Some(hint) = hint.clone().hop(hops)
            {
                let delay = delay_until(at, app.core.now());
                app.core.hints.send(Group::Account(request.owner.account), &hint, delay).await;
            }
        }
        Hint::Bounce { ref id, ref way, hops } => {
            let way = way.parse().map_err(|_| Error::Way)?;
            Box::pin(bounce::note(app, &hint, id.parse()?, way, hops)).await?;
        }
        Hint::Arrival { ref id, ref way, hops } => {
            let way = way.parse().map_err(|_| Error::Way)?;
            Box::pin(arrival::note(app, &hint, id.parse()?, way, hops)).await?;
        }
        Hint::Event { ref id, .. } => {
            let event: Option<Event> = app.core.store.get(keys::event(id.parse()?)).await?;
            if let Some(event) = event {
                dispatch::dispatch_posted(app, event, budget).await?;
            }
        }
        Hint::Delivery { ref id, attempt, hops, .. } => {
            let expected = Expected { attempt, hops, lane: hint.lane() };
            Box::pin(start::start(app, id.parse()?, expected, budget)).await?;
        }
    }
    Ok(())
}

/// Settles a request if it is overdue, then dispatches its events or finishes its erasure. Returns
/// the request in its new state. `None`: it is gone.
async fn process_request(
    app: &App,
    id: RequestId,
    budget: Budget,
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
        erasure::clean_up(app, &request, budget).await?;
        return Ok(Some(request));
    }
    let request = if request.outbox().is_empty() {
        request
    } else {
        dispatch::dispatch(app, request, budget).await?
    };
    if request.has_leftovers() && request.outbox().is_empty() {
        erasure::erase_leftovers(app, &request).await?;
    }
    Ok(Some(request))
}

/// Zero if `at` has passed.
fn delay_until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}
