//! What is left to do once a request was erased: its deliveries are told to nobody any more.

use answerback::{
    domain::{Delivery, OpId, Request},
    service::{Lost, advance},
    store::{Item, Listing},
};

use crate::{App, Error};

/// Deliveries and attempts that are looked up at once.
const PAGE: i32 = 50;

/// Cancels what is not delivered yet of an erased request, and erases the content of what is.
pub(crate) async fn clean_up(app: &App, request: &Request) -> Result<(), Error> {
    let mut cursor = None;
    loop {
        let Listing { items, next } =
            app.store.related::<Delivery>(request.id, PAGE, cursor.as_ref()).await?;
        for delivery in items {
            erase(app, delivery).await?;
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let now = app.clock.now();
    step(app, request.clone(), |it| it.looked_for_deliveries(now)).await
}

/// Cancels one delivery, unless it is done, and erases its content and that of its attempts.
pub(crate) async fn erase(app: &App, delivery: Delivery) -> Result<(), Error> {
    let id = delivery.id;
    let now = app.clock.now();
    let op = OpId::new(app.entropy.next());
    step(app, delivery, |it| it.erase(now, op)).await?;
    let mut cursor: Option<String> = None;
    loop {
        let Listing { items, next } = app.store.attempts(id, PAGE, cursor.as_deref()).await?;
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
    match advance(&app.store, item, |it| Ok::<_, std::convert::Infallible>(step(it))).await {
        Ok(_) | Err(Lost::Gone) => Ok(()),
        Err(Lost::Busy) => Err(Error::Busy),
        Err(Lost::Refused(never)) => match never {},
        Err(Lost::Store(err)) => Err(err.into()),
    }
}
