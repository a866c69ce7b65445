//! The sweep: once a minute it handles every item whose timer has passed.
//!
//! ```text
//!   due index ─▶ read the item ─┬─ not due any more ─▶ skip
//!                               ├─ step due, deadline passed, or result expired ─▶ settle
//!                               └─ events to dispatch, or a delivery to attempt ─▶ send a hint
//! ```
//!
//! The sweep is the safety net for everything else: a lost hint or a dead worker costs at most the
//! time until the next sweep. It takes no input, and any number of sweeps may run at once. The index
//! lags, so the sweep trusts only the items themselves.

use std::time::Duration;

use answerback::{
    Promise,
    domain::{Delivery, Event, Request, request::RequestState},
    platform::{Group, Hint, OutgoingHint},
    service::Core,
    store::{self, Due, DueItem, Item, Postponed, Saved, keys},
};
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Due items that are handled together.
const PAGE_SIZE: i32 = 100;
/// Items that are read or written at the same time.
const CONCURRENCY: usize = 16;
/// Time from a hint to the sweep that repeats it. It keeps a long queue from getting the same hints
/// every minute.
const HINT_INTERVAL: Duration = Duration::from_mins(5);
/// Time until an item that could not be read is tried again.
const ERROR_INTERVAL: Duration = Duration::from_mins(5);
/// Time that must be left to start another page.
const SHUTDOWN_RESERVE: SignedDuration = SignedDuration::from_secs(5);
/// Time that must be left to count another page of items for the next sweep.
const COUNTING_RESERVE: SignedDuration = SignedDuration::from_secs(2);
/// Due items that are counted together.
const COUNTING_PAGE_SIZE: i32 = 1_000;

/// The sweep's view of the world.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports that all functions share.
    pub core: Core,
}

/// The result of one sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Requests whose steps it took.
    pub n_stepped: u32,
    /// Requests that it timed out.
    pub n_timed_out: u32,
    /// Unread results that it expired.
    pub n_expired: u32,
    /// Items for which it sent a hint.
    pub n_hinted: u32,
    /// Items that were not due any more.
    pub n_stale: u32,
    /// Items that it could not handle.
    pub n_errors: u32,
    /// Items that it quarantined after repeated errors.
    pub n_quarantined: u32,
    /// Due items that it left to the next sweep. A shard that it did not look at counts as one.
    pub n_left: u32,
}

/// The next action for one due item.
enum Action {
    /// Nothing: it is not due any more.
    Skip,
    /// Nothing more: it was settled, and has nothing to dispatch.
    Settled(Settlement),
    /// Send a hint.
    Hint(HintAction),
}

struct HintAction {
    group: Group,
    hint: Hint,
    settlement: Settlement,
    /// The item, whose timer is set again once the hint was sent. `None` if the timer is correct.
    item: Option<HintedItem>,
}

#[derive(Clone, Copy)]
enum Settlement {
    Unchanged,
    Stepped,
    TimedOut,
    Expired,
}

enum HintedItem {
    Request(Box<Request>),
    Delivery(Box<Delivery>),
    Event(Box<Event>),
}

/// Handles all due items, until none are left or the function's time ends.
///
/// The future is boxed, so that callers need not compile it again.
pub fn sweep(app: &App, ends_at: Option<Timestamp>) -> Promise<'_, Swept> {
    Box::pin(handle_all(app, ends_at))
}

async fn handle_all(app: &App, ends_at: Option<Timestamp>) -> Swept {
    let mut swept = Swept::default();
    let now = app.core.now();
    let mut oldest = now;
    let left = || ends_at.map(|it| it.duration_since(app.core.now()));
    // Each minute another shard is the first, so no shard is always the last.
    let n_shards = app.core.store.n_due_shards();
    let first = u32::try_from(now.as_second() / 60 % i64::from(n_shards)).unwrap_or(0);
    // One after the other, on one connection: another handshake costs more than these queries.
    for shard in (0..n_shards).map(|it| (first + it) % n_shards) {
        let mut cursor = None;
        loop {
            if left().is_some_and(|it| it < COUNTING_RESERVE) {
                // The shard may have due items, so it must not look empty.
                swept.n_left += 1;
                break;
            }
            // Items that it has no time for are at least counted.
            let has_time = left().is_none_or(|it| it >= SHUTDOWN_RESERVE);
            let limit = if has_time { PAGE_SIZE } else { COUNTING_PAGE_SIZE };
            let due = match app.core.store.due(shard, now, limit, cursor.as_ref()).await {
                Ok(due) => due,
                Err(err) => {
                    let error = &err as &(dyn std::error::Error + 'static);
                    tracing::error!(shard, error, "could not list due items");
                    swept.n_errors += 1;
                    break;
                }
            };
            oldest = due.items.iter().map(|it| it.due_at).fold(oldest, Timestamp::min);
            if has_time {
                sweep_page(app, due.items, now, &mut swept).await;
            } else {
                swept.n_left += count(&due.items);
            }
            cursor = due.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    log(&swept, now.duration_since(oldest), app.core.now().duration_since(now));
    swept
}

fn log(swept: &Swept, oldest: SignedDuration, duration: SignedDuration) {
    tracing::info!(
        swept.n_stepped,
        swept.n_timed_out,
        swept.n_expired,
        swept.n_hinted,
        swept.n_stale,
        SweepBacklog = swept.n_left + swept.n_errors,
        SweepDuration = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
        OldestDueAge = oldest.as_secs(),
        SweepErrors = (swept.n_errors > 0).then_some(swept.n_errors),
        Quarantined = (swept.n_quarantined > 0).then_some(swept.n_quarantined),
        "swept"
    );
}

async fn sweep_page(app: &App, due: Vec<Due>, now: Timestamp, swept: &mut Swept) {
    let actions: Vec<(Due, Result<Action, store::Error>)> = stream::iter(due)
        .map(async |due| {
            let action = inspect(app, &due, now).await;
            (due, action)
        })
        .buffered(CONCURRENCY)
        .collect()
        .await;

    let mut hints = Vec::new();
    let mut hinted = Vec::new();
    for (due, action) in actions {
        match action {
            Ok(Action::Skip) => swept.n_stale += 1,
            Ok(Action::Settled(settlement)) => swept.note(settlement),
            Ok(Action::Hint(HintAction { group, hint, settlement, item })) => {
                swept.note(settlement);
                hints.push(OutgoingHint { group, hint, delay: Duration::ZERO });
                hinted.push((due, item));
            }
            Err(err) => handle_error(app, &due, err, now, swept).await,
        }
    }
    // Items whose hint was not sent are still due, and the next sweep sends it.
    let not_sent = app.core.hints.send_all(&hints).await;
    swept.n_left += count(&not_sent);
    let sent = hinted.into_iter().enumerate().filter(|(index, _)| !not_sent.contains(index));
    let saved: Vec<(Due, Result<(), store::Error>)> = stream::iter(sent)
        .map(async |(_, (due, item))| {
            let saved = set_timer(app, item, now + HINT_INTERVAL).await;
            (due, saved)
        })
        .buffered(CONCURRENCY)
        .collect()
        .await;
    for (due, saved) in saved {
        swept.n_hinted += 1;
        if let Err(err) = saved {
            handle_error(app, &due, err, now, swept).await;
        }
    }
}

/// Reads an item that the index lists, and settles it if it is a request.
async fn inspect(app: &App, due: &Due, now: Timestamp) -> Result<Action, store::Error> {
    match &due.item {
        DueItem::Request(id) => {
            let Some(request) = app.core.store.get::<Request>(keys::request(*id)).await? else {
                return Ok(Action::Skip);
            };
            if request.due_at().is_none_or(|it| now < it) {
                return Ok(Action::Skip);
            }
            inspect_request(app, request, now).await
        }
        DueItem::Delivery(id) => {
            let delivery: Option<Delivery> = app.core.store.get(keys::delivery(*id)).await?;
            let Some(delivery) = delivery.filter(|it| it.due_at.is_some_and(|it| it <= now)) else {
                return Ok(Action::Skip);
            };
            Ok(Action::Hint(HintAction {
                group: Group::of(&delivery),
                hint: Hint::of(&delivery),
                settlement: Settlement::Unchanged,
                item: Some(HintedItem::Delivery(Box::new(delivery))),
            }))
        }
        DueItem::Event(id) => {
            let event: Option<Event> = app.core.store.get(keys::event(*id)).await?;
            let Some(event) = event.filter(|it| it.due_at().is_some_and(|it| it <= now)) else {
                return Ok(Action::Skip);
            };
            Ok(Action::Hint(HintAction {
                group: Group::Account(event.owner.account),
                hint: Hint::event(event.id),
                settlement: Settlement::Unchanged,
                item: Some(HintedItem::Event(Box::new(event))),
            }))
        }
        DueItem::Unknown(_) => Err(store::Error::unknown_item()),
    }
}

async fn inspect_request(
    app: &App,
    request: Request,
    now: Timestamp,
) -> Result<Action, store::Error> {
    let op = app.core.new_op();
    let revision = request.revision();
    let was_pending = *request.state() == RequestState::Pending;
    let Some(request) = app.core.settle(request, now, op).await? else {
        return Ok(Action::Skip);
    };
    let settlement = if request.was_ended_by(op) {
        Settlement::TimedOut
    } else if request.was_stepped_by(op) {
        Settlement::Stepped
    } else if !was_pending && request.revision() != revision {
        Settlement::Expired
    } else {
        Settlement::Unchanged
    };
    if !request.has_work() {
        return Ok(Action::Settled(settlement));
    }
    let (group, hint) = (Group::Account(request.owner.account), Hint::request(request.id));
    let item = match settlement {
        // Its timer was set a moment ago, and the next sweep repeats the hint. Setting it again would
        // cost one more write.
        Settlement::Stepped | Settlement::TimedOut => None,
        Settlement::Unchanged | Settlement::Expired => Some(HintedItem::Request(Box::new(request))),
    };
    Ok(Action::Hint(HintAction { group, hint, settlement, item }))
}

/// Sets the timer of an item whose hint was sent.
async fn set_timer(
    app: &App,
    item: Option<HintedItem>,
    until: Timestamp,
) -> Result<(), store::Error> {
    match item {
        None => Ok(()),
        Some(HintedItem::Request(request)) => save(app, &request.hinted(until)).await,
        Some(HintedItem::Delivery(delivery)) => save(app, &delivery.hinted(until)).await,
        Some(HintedItem::Event(event)) => save(app, &event.hinted(until)).await,
    }
}

/// Saves a timer. A writer that was faster has set the timer itself.
async fn save<T: Item>(app: &App, next: &T) -> Result<(), store::Error> {
    match app.core.store.save(next).await? {
        Saved::Saved | Saved::Superseded(_) | Saved::Gone => Ok(()),
    }
}

/// Postpones an item that could not be handled, so that it does not stop the others.
async fn handle_error(app: &App, due: &Due, err: store::Error, now: Timestamp, swept: &mut Swept) {
    let item = &due.item;
    log_error(item, &err, "could not handle a due item");
    swept.n_errors += 1;
    let (store, until) = (&app.core.store, now + ERROR_INTERVAL);
    let postponed = match err {
        // The item itself is fine. It stays due, and the next sweep tries again.
        store::Error::Dynamo { .. } => return,
        // The item is fine for the version that wrote it, which may be deployed again.
        store::Error::Newer { .. } => {
            store.postpone(item, until).await.map(|()| Postponed::Postponed)
        }
        store::Error::Decode { .. } => store.postpone_malformed(item, until).await,
    };
    match postponed {
        Ok(Postponed::Postponed) => (),
        Ok(Postponed::Quarantined) => {
            swept.n_quarantined += 1;
            tracing::error!(%item, "quarantined an item; an operator must look at it");
        }
        Err(err) => log_error(item, &err, "could not postpone an item"),
    }
}

fn log_error(item: &DueItem, err: &store::Error, message: &str) {
    let error = err as &(dyn std::error::Error + 'static);
    tracing::error!(%item, error, "{message}");
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

impl Swept {
    fn note(&mut self, settlement: Settlement) {
        match settlement {
            Settlement::Unchanged => (),
            Settlement::Stepped => self.n_stepped += 1,
            Settlement::TimedOut => self.n_timed_out += 1,
            Settlement::Expired => self.n_expired += 1,
        }
    }
}
