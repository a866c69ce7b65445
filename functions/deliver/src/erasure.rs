//! Erasure of a request's deliveries: pending ones are cancelled, and all lose their content.
//!
//! They are in the request's partition, so one consistent query finds all of them. It is made a second
//! time some minutes later, because a worker that began before the erasure may have stored one since,
//! and died.

use std::time::Duration;

use answerback::{
    domain::{
        Attempt, Delivery, DeliveryId, Request,
        request::{LongAnswer, RequestState},
    },
    store::{LONG_ANSWERS_PAGE, Listing, StepError, keys},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{App, Error, budget::Budget, transport};

/// Deliveries or attempts in one page.
const PAGE_ITEMS: i32 = 50;
/// Time that one page of deliveries or attempts may take.
const PAGE_DURATION: Duration = Duration::from_secs(4);
/// Deliveries or attempts that are erased concurrently.
const ERASE_CONCURRENCY: usize = 16;

/// Erases the deliveries of an erased request. If the time is too short for all, the request stays
/// due and the sweep sends a hint again.
pub(crate) async fn clean_up(app: &App, request: &Request, budget: Budget) -> Result<(), Error> {
    if !matches!(request.state(), RequestState::Erased { .. }) {
        return Ok(());
    }
    let store = &app.core.store;
    store.erase_questions(request.id).await?;
    erase_long_answers(app, request).await?;
    let has_time = || budget.has_time(PAGE_DURATION, app.core.now());
    // Deliveries come first: an attempt that ends later finds its delivery erased.
    let mut cursor = None;
    loop {
        if !has_time() {
            return Ok(());
        }
        let Listing { items, next } =
            store.deliveries_of_request(request.id, PAGE_ITEMS, cursor.as_ref()).await?;
        let all = stream::iter(items.into_iter().map(|it| erase_content(app, it)));
        all.buffer_unordered(ERASE_CONCURRENCY).try_collect::<()>().await?;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    loop {
        if !has_time() {
            return Ok(());
        }
        let Listing { items, next } =
            store.attempts_of_request(request.id, PAGE_ITEMS, cursor.as_ref()).await?;
        erase_attempts(app, items).await?;
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
/// read. Its other parts expire with it.
pub(crate) async fn erase_leftovers(app: &App, request: &Request) -> Result<(), Error> {
    erase_long_answers(app, request).await?;
    app.core.store.expire_parts(request).await?;
    let now = app.core.now();
    app.core.step(request.clone(), |it| it.erased_leftovers(request.revision(), now)).await?;
    Ok(())
}

async fn erase_long_answers(app: &App, request: &Request) -> Result<(), Error> {
    let mut cursor = None;
    loop {
        let Listing { items, next } =
            app.core.store.long_answers(request.id, LONG_ANSWERS_PAGE, cursor.as_ref()).await?;
        for answer in items.into_iter().filter(|it| !request.holds(it)) {
            app.core.step(answer, LongAnswer::erase).await?;
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(());
        }
    }
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
    erase_content(app, delivery).await?;
    let mut cursor = None;
    loop {
        let Listing { items, next } =
            app.core.store.attempts(id, PAGE_ITEMS, cursor.as_ref()).await?;
        erase_attempts(app, items).await?;
        cursor = next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

async fn erase_content(app: &App, delivery: Delivery) -> Result<(), Error> {
    let mut latest = Some(delivery);
    while let Some(delivery) = latest.take() {
        transport::erase_copy(app, &delivery).await?;
        let (now, op, copy) = (app.core.now(), app.core.new_op(), delivery.copy.clone());
        // It may be a message that was sent after this was read. Its copy is replaced before it is forgotten.
        let is_newer = |it: &Delivery| it.copy.is_some() && it.copy != copy;
        let step = |it: &Delivery| if is_newer(it) { None } else { it.erase(now, op) };
        latest = app.core.step(delivery, step).await?.filter(is_newer);
    }
    Ok(())
}

async fn erase_attempts(app: &App, attempts: Vec<Attempt>) -> Result<(), StepError> {
    let erased = attempts.into_iter().map(async |it| app.core.step(it, Attempt::erase).await);
    stream::iter(erased).buffer_unordered(ERASE_CONCURRENCY).try_collect::<Vec<_>>().await?;
    Ok(())
}
