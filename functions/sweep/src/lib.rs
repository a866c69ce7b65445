//! Once a minute: whatever is due, of whatever kind, is settled or handed on.
//!
//! The sweep is the net under everything else. It takes no input: what wakes it is only a hint. It
//! settles time-outs and unread results itself, and sends a hint for each request that has
//! something to tell and each delivery to be attempted. The index that it reads lags, so it
//! believes only the items; any number of sweeps may run at once.

use std::time::Duration;

use answerback::{
    domain::{Delivery, Event, Request, request::RequestState},
    platform::{Group, Hint, OutgoingHint},
    service::Core,
    store::{self, Due, DueItem, Item, Saved, keys},
};
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Things that are looked at together.
const PAGE: i32 = 100;
/// Things that are worked on at once.
const AT_ONCE: usize = 16;
/// How long something that was handed on is left alone, so that a long queue is not hinted again
/// every minute.
const HINTED: Duration = Duration::from_mins(5);
/// How long something that cannot be read is left alone.
const BROKEN: Duration = Duration::from_mins(5);
/// What must be left of its time to begin with another page.
const FINISH: SignedDuration = SignedDuration::from_secs(5);
/// What must be left to go on counting what it leaves to the next sweep.
const LAST_WORDS: SignedDuration = SignedDuration::from_secs(2);
/// Things that are counted together.
const COUNTED: i32 = 1_000;

/// What the sweep needs from the world.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports that all functions share.
    pub core: Core,
}

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Requests whose deadline it noticed.
    pub n_timed_out: u32,
    /// Results that nobody read in time.
    pub n_expired: u32,
    /// Things that it handed on.
    pub n_hinted: u32,
    /// Things that were not due after all.
    pub n_stale: u32,
    /// Things that it could not handle, and put off.
    pub n_errors: u32,
    /// Things that it took out of the line, having failed again and again.
    pub n_set_aside: u32,
    /// Things that were due, and that it did not get to; a shard that it did not look into is one.
    pub n_left: u32,
}

/// What is to be done about one thing.
enum Step {
    /// Nothing: it is not due.
    Stale,
    /// Nothing more: it was settled, and has nothing to tell.
    Settled(Settled),
    /// Send this, and then leave it alone for a while, unless it was only now settled.
    HandOn { group: Group, hint: Hint, then: Then, settled: Settled },
}

#[derive(Clone, Copy, Default)]
struct Settled {
    timed_out: bool,
    expired: bool,
}

enum Then {
    LeaveRequest(Box<Request>),
    LeaveDelivery(Box<Delivery>),
    LeaveEvent(Box<Event>),
    Nothing,
}

/// Settles or hands on everything that is due, until there is nothing left or the function ends.
pub async fn sweep(app: &App, ends_at: Option<Timestamp>) -> Swept {
    let mut swept = Swept::default();
    let now = app.core.now();
    let mut oldest = now;
    let left = || ends_at.map(|it| it.duration_since(app.core.now()));
    // Begun elsewhere each minute, so that no shard is always the last.
    let n_shards = app.core.store.n_due_shards();
    let first = u32::try_from(now.as_second() / 60 % i64::from(n_shards)).unwrap_or(0);
    for shard in (0..n_shards).map(|it| (first + it) % n_shards) {
        let mut cursor = None;
        loop {
            if left().is_some_and(|it| it < LAST_WORDS) {
                // Nobody knows whether there is anything, and it is not to look like nothing.
                swept.n_left += 1;
                break;
            }
            // What there is no time for is counted at least.
            let has_time = left().is_none_or(|it| it >= FINISH);
            let limit = if has_time { PAGE } else { COUNTED };
            let (due, next) = match app.core.store.due(shard, now, limit, cursor.as_ref()).await {
                Ok(page) => page,
                Err(err) => {
                    tracing::error!(
                        shard,
                        error = &err as &(dyn std::error::Error + 'static),
                        "what is due could not be listed"
                    );
                    swept.n_errors += 1;
                    break;
                }
            };
            oldest = due.iter().map(|it| it.due_at).fold(oldest, Timestamp::min);
            if has_time {
                sweep_page(app, due, now, &mut swept).await;
            } else {
                swept.n_left += count(&due);
            }
            cursor = next;
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
        swept.n_timed_out,
        swept.n_expired,
        swept.n_hinted,
        swept.n_stale,
        SweepBacklog = swept.n_left + swept.n_errors,
        SweepDuration = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
        OldestDueAge = oldest.as_secs(),
        SweepErrors = (swept.n_errors > 0).then_some(swept.n_errors),
        SetAside = (swept.n_set_aside > 0).then_some(swept.n_set_aside),
        "swept"
    );
}

async fn sweep_page(app: &App, due: Vec<Due>, now: Timestamp, swept: &mut Swept) {
    let steps: Vec<(Due, Result<Step, store::Error>)> = stream::iter(due)
        .map(async |due| {
            let step = look_at(app, &due, now).await;
            (due, step)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;

    let mut hints = Vec::new();
    let mut handed_on = Vec::new();
    for (due, step) in steps {
        match step {
            Ok(Step::Stale) => swept.n_stale += 1,
            Ok(Step::Settled(settled)) => swept.note(settled),
            Ok(Step::HandOn { group, hint, then, settled }) => {
                swept.note(settled);
                hints.push(OutgoingHint { group, hint, delay: Duration::ZERO });
                handed_on.push((due, then));
            }
            Err(err) => postpone(app, &due, err, now, swept).await,
        }
    }
    let not_sent = app.core.hints.send_all(&hints).await;
    swept.n_left += count(&not_sent);
    let sent = handed_on.into_iter().enumerate().filter(|(place, _)| !not_sent.contains(place));
    // Whatever was not sent is still due, and the next sweep sends it.
    let left_alone: Vec<(Due, Result<(), store::Error>)> = stream::iter(sent)
        .map(async |(_, (due, then))| {
            let left = leave_alone(app, then, now + HINTED).await;
            (due, left)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    for (due, left) in left_alone {
        swept.n_hinted += 1;
        if let Err(err) = left {
            postpone(app, &due, err, now, swept).await;
        }
    }
}

/// Reads one thing that the index named, and settles what time has decided of it.
async fn look_at(app: &App, due: &Due, now: Timestamp) -> Result<Step, store::Error> {
    match &due.what {
        DueItem::Request(id) => {
            let Some(request) = app.core.store.get::<Request>(keys::request(*id)).await? else {
                return Ok(Step::Stale);
            };
            if request.due_at().is_none_or(|it| now < it) {
                return Ok(Step::Stale);
            }
            look_at_request(app, request, now).await
        }
        DueItem::Delivery(id) => {
            let delivery: Option<Delivery> = app.core.store.get(keys::delivery(*id)).await?;
            let Some(delivery) = delivery.filter(|it| it.due_at.is_some_and(|it| it <= now)) else {
                return Ok(Step::Stale);
            };
            let (group, hint) = (Group::of(&delivery), Hint::of(&delivery));
            let (then, settled) = (Then::LeaveDelivery(Box::new(delivery)), Settled::default());
            Ok(Step::HandOn { group, hint, then, settled })
        }
        DueItem::Event(id) => {
            let event: Option<Event> = app.core.store.get(keys::event(*id)).await?;
            let Some(event) = event.filter(|it| it.due_at().is_some_and(|it| it <= now)) else {
                return Ok(Step::Stale);
            };
            let (group, hint) = (Group::Account(event.owner.account), Hint::event(event.id));
            let then = Then::LeaveEvent(Box::new(event));
            Ok(Step::HandOn { group, hint, then, settled: Settled::default() })
        }
        DueItem::Unknown(_) => Err(store::Error::unknown_item()),
    }
}

async fn look_at_request(
    app: &App,
    request: Request,
    now: Timestamp,
) -> Result<Step, store::Error> {
    let op = app.core.new_op();
    let revision = request.revision();
    let was_pending = *request.state() == RequestState::Pending;
    let Some(request) = app.core.settle(request, now, op).await? else {
        return Ok(Step::Stale);
    };
    let timed_out = matches!(request.state(), RequestState::Ended(end) if end.op == op);
    let settled = Settled { timed_out, expired: !was_pending && request.revision() != revision };
    if request.outbox().is_empty() && !matches!(request.state(), RequestState::Erased { .. }) {
        return Ok(Step::Settled(settled));
    }
    let hint = Hint::request(request.id);
    let group = Group::Account(request.owner.account);
    // What was just settled has its timer at now; moving it on would be one more write.
    let then = if timed_out { Then::Nothing } else { Then::LeaveRequest(Box::new(request)) };
    Ok(Step::HandOn { group, hint, then, settled })
}

/// Moves the timer on. Whoever was faster has set it as it must be.
async fn leave_alone(app: &App, then: Then, until: Timestamp) -> Result<(), store::Error> {
    match then {
        Then::Nothing => (),
        Then::LeaveRequest(request) => save(app, &request.hinted(until)).await?,
        Then::LeaveDelivery(delivery) => save(app, &delivery.hinted(until)).await?,
        Then::LeaveEvent(event) => save(app, &event.hinted(until)).await?,
    }
    Ok(())
}

async fn save<T: Item>(app: &App, next: &T) -> Result<(), store::Error> {
    match app.core.store.save(next).await? {
        Saved::Saved | Saved::Superseded(_) | Saved::Gone => Ok(()),
    }
}

/// A bad item must not stop the line.
async fn postpone(app: &App, due: &Due, err: store::Error, now: Timestamp, swept: &mut Swept) {
    tracing::error!(item = %due.what, error = &err as &(dyn std::error::Error + 'static), "something due could not be handled");
    swept.n_errors += 1;
    let postpone = match err {
        // Not the item's fault: it stays due, and the next sweep tries again.
        store::Error::Dynamo { .. } => return,
        // Nor here: this version was put back, and the one that knows it will be back.
        store::Error::Newer { .. } => {
            app.core.store.leave_to_newer(&due.what, now + BROKEN).await.map(|()| false)
        }
        store::Error::Decode { .. } => app.core.store.postpone(&due.what, now + BROKEN).await,
    };
    match postpone {
        Ok(false) => (),
        Ok(true) => {
            swept.n_set_aside += 1;
            tracing::error!(item = %due.what, "it was set aside; a person must look at it");
        }
        Err(err) => {
            tracing::error!(item = %due.what, error = &err as &(dyn std::error::Error + 'static), "nor could it be put off");
        }
    }
}

fn count<T>(things: &[T]) -> u32 {
    u32::try_from(things.len()).unwrap_or(u32::MAX)
}

impl Swept {
    fn note(&mut self, settled: Settled) {
        self.n_timed_out += u32::from(settled.timed_out);
        self.n_expired += u32::from(settled.expired);
    }
}
