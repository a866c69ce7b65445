//! What is left to do once a request was erased: its deliveries are told to nobody any more.
//!
//! They are found through an index that lags, so they are looked for twice, some minutes apart. The
//! latest, which may still be on their way, are found by their identifiers as well, at once.

use std::time::Duration;

use answerback::{
    domain::{
        Delivery, Request,
        delivery::{BUS, CALLBACK},
        request::RequestState,
    },
    store::{AdvanceError, Item, Listing, Related, keys},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use crate::{App, Error, has_time};

/// Deliveries and attempts that are looked up at once.
const PAGE: i32 = 50;
/// How long a page of them may take.
const PAGE_TIME: Duration = Duration::from_secs(4);
/// Deliveries that are worked on at once.
const AT_ONCE: usize = 16;
/// Events whose deliveries are found by their identifiers.
const LATEST: u32 = 10;

/// Cancels what is not delivered yet of an erased request, and erases the content of what is. What
/// there is no time for is still due.
pub(crate) async fn clean_up(
    app: &App,
    request: &Request,
    ends_at: Option<Timestamp>,
) -> Result<(), Error> {
    let RequestState::Erased { n_searches, .. } = *request.state() else { return Ok(()) };
    let webhooks = app.core.webhooks.all(request.owner).await?;
    let mut targets = vec![CALLBACK.to_owned(), BUS.to_owned()];
    targets.extend(webhooks.iter().map(|it| it.id.target()));
    for number in request.n_events().saturating_sub(LATEST) + 1..=request.n_events() {
        for target in &targets {
            let id = Delivery::id_of(request.id.event(number), request.created_by, target);
            if let Some(delivery) = app.core.store.get::<Delivery>(keys::delivery(id)).await? {
                erase(app, delivery).await?;
            }
        }
    }
    let mut cursor = None;
    loop {
        if !has_time(PAGE_TIME, app.core.now(), ends_at) {
            return Ok(());
        }
        let Listing { items, next } = app
            .core
            .store
            .related::<Delivery>(&Related::Request(request.id), PAGE, cursor.as_ref())
            .await?;
        // What has no body was dealt with; the last look reads its attempts once more.
        let left = items.into_iter().filter(|it| it.body.is_some() || n_searches <= 1);
        stream::iter(left.map(|it| erase(app, it)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let now = app.core.now();
    step(app, request.clone(), |it| it.searched_for_deliveries(now)).await
}

/// Cancels one delivery, unless it is done, and erases its content and that of its attempts.
pub(crate) async fn erase(app: &App, delivery: Delivery) -> Result<(), Error> {
    let id = delivery.id;
    let now = app.core.now();
    let op = app.core.new_op();
    step(app, delivery, |it| it.erase(now, op)).await?;
    let mut cursor: Option<String> = None;
    loop {
        let Listing { items, next } = app.core.store.attempts(id, PAGE, cursor.as_deref()).await?;
        for attempt in items {
            step(app, attempt, answerback::domain::Attempt::erase).await?;
        }
        cursor = next.map(|it| it.at);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// One step that cannot be refused; where it is gone, it is as good as done.
async fn step<T: Item>(app: &App, item: T, step: impl Fn(&T) -> Option<T>) -> Result<(), Error> {
    match app.core.advance(item, |it| Ok::<_, std::convert::Infallible>(step(it))).await {
        Ok(_) | Err(AdvanceError::Gone) => Ok(()),
        Err(AdvanceError::Contended) => Err(Error::Contended),
        Err(AdvanceError::Refused(never)) => match never {},
        Err(AdvanceError::Store(err)) => Err(err.into()),
    }
}
