//! Erasure of a request's deliveries: pending ones are cancelled, and all lose their content.
//!
//! Deliveries are found through an index that lags behind the table, so the index is read twice,
//! some minutes apart. The latest deliveries, which may not be in the index yet, are found by their
//! ids as well.

use std::time::Duration;

use answerback::{
    domain::{
        Attempt, Delivery, DeliveryId, Request,
        delivery::{BUS, CALLBACK},
        request::{LongAnswer, RequestState},
    },
    store::{Listing, Related, keys},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{App, Error, budget::Budget};

/// Deliveries or attempts in one page.
const PAGE_ITEMS: i32 = 50;
/// Long answers in one page: at most 1 MB, as much as one query returns.
const LONG_ANSWERS_PAGE: i32 = 30;
/// Time that one page of deliveries may take.
const PAGE_DURATION: Duration = Duration::from_secs(4);
/// Deliveries that are erased concurrently.
const ERASE_CONCURRENCY: usize = 16;
/// Latest events whose deliveries are found by their ids.
const LATEST_EVENTS: u32 = 10;

/// Erases the deliveries of an erased request. If the time is too short for all, the request stays
/// due and the sweep sends a hint again.
pub(crate) async fn clean_up(app: &App, request: &Request, budget: Budget) -> Result<(), Error> {
    let RequestState::Erased { n_searches, .. } = *request.state() else { return Ok(()) };
    erase_long_answers(app, request).await?;
    erase_latest(app, request).await?;
    let mut cursor = None;
    loop {
        if !budget.has_time(PAGE_DURATION, app.core.now()) {
            return Ok(());
        }
        let related = Related::Request(request.id);
        let Listing { items, next } =
            app.core.store.related::<Delivery>(&related, PAGE_ITEMS, cursor.as_ref()).await?;
        // A delivery without a body is erased. The last look reads its attempts once more.
        let left = items.into_iter().filter(|it| it.body.is_some() || n_searches <= 1);
        stream::iter(left.map(|it| erase(app, it)))
            .buffer_unordered(ERASE_CONCURRENCY)
            .try_collect::<()>()
            .await?;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let now = app.core.now();
    app.core.step(request.clone(), |it| it.searched_for_deliveries(now)).await?;
    Ok(())
}

/// Erases the long answers that `request` no longer holds: they were replaced, or can no longer be
/// read.
pub(crate) async fn erase_leftovers(app: &App, request: &Request) -> Result<(), Error> {
    erase_long_answers(app, request).await?;
    let now = app.core.now();
    app.core.step(request.clone(), |it| it.erased_leftovers(request.revision(), now)).await?;
    Ok(())
}

async fn erase_long_answers(app: &App, request: &Request) -> Result<(), Error> {
    let mut cursor = None;
    loop {
        let Listing { items, next } =
            app.core.store.long_answers(request.id, LONG_ANSWERS_PAGE, cursor).await?;
        for answer in items.into_iter().filter(|it| !request.holds(it)) {
            app.core.step(answer, LongAnswer::erase).await?;
        }
        cursor = next.map(|it| it.key.sk);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Erases the deliveries of the latest events, by their ids.
async fn erase_latest(app: &App, request: &Request) -> Result<(), Error> {
    // Those that were deleted meanwhile, too.
    let webhooks = app.core.store.webhooks(request.owner).await?;
    let mut targets = vec![CALLBACK.to_owned(), BUS.to_owned()];
    targets.extend(webhooks.iter().map(|it| it.reference().target()));
    for number in request.n_events().saturating_sub(LATEST_EVENTS) + 1..=request.n_events() {
        for target in &targets {
            let id = Delivery::id_of(request.id.event(number), request.created_by, target);
            erase_by_id(app, id).await?;
        }
    }
    Ok(())
}

/// Erases the content of the delivery with this id, if it exists.
pub(crate) async fn erase_by_id(app: &App, id: DeliveryId) -> Result<(), Error> {
    match app.core.store.get::<Delivery>(keys::delivery(id)).await? {
        Some(delivery) => erase(app, delivery).await,
        None => Ok(()),
    }
}

/// Erases the content of one delivery and its attempts, and cancels it unless it is done.
pub(crate) async fn erase(app: &App, delivery: Delivery) -> Result<(), Error> {
    let id = delivery.id;
    let now = app.core.now();
    let op = app.core.new_op();
    app.core.step(delivery, |it| it.erase(now, op)).await?;
    let mut cursor = None;
    loop {
        let Listing { items, next } =
            app.core.store.attempts(id, PAGE_ITEMS, cursor.as_ref()).await?;
        for attempt in items {
            app.core.step(attempt, Attempt::erase).await?;
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}
