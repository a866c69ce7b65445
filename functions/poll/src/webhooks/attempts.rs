//! The attempts of a webhook, newest first: first attempts that are stored in their deliveries, and
//! all others, merged from two indexes.

use std::{collections::HashMap, iter::Peekable, vec::IntoIter};

use answerback::{
    api::{
        Problem,
        views::{AttemptView, Page},
    },
    domain::{Attempt, Delivery, DeliveryId, Scope},
    store::{self, Cursor, Item, Listing, Related, keys},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use futures::future::{try_join, try_join_all};
use jiff::Timestamp;

use super::find;
use crate::{
    App,
    list::{
        PageBuilder, Parameters, Room,
        merged::{Position, Positions},
    },
};

/// Lists the attempts of a webhook.
pub(crate) async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let limit = parameters.limit();
    let Positions([of_deliveries, of_attempts]) =
        parameters.cursor(Positions::parse).unwrap_or_default();
    parameters.finish()?;
    let webhook = find(&app, &caller, &id).await?;
    let (owner, reference) = (caller.owner(), webhook.reference());
    let deliveries = Related::WebhookDeliveries(owner, reference.clone());
    let attempts = Related::WebhookAttempts(owner, reference);
    let (mut firsts, mut others) = try_join(
        Source::<Delivery>::load(&app, &deliveries, limit, of_deliveries),
        Source::<Attempt>::load(&app, &attempts, limit, of_attempts),
    )
    .await?;
    let of_others = deliveries_of(&app, &others).await?;
    let mut builder = PageBuilder::default();
    let limit = usize::try_from(limit).unwrap_or(0);
    while builder.data.len() < limit {
        let room = match (firsts.next_at(), others.next_at()) {
            // The rest of its list may be newer than the rest of the other one.
            (None, _) if firsts.is_cut() => break,
            (_, None) if others.is_cut() => break,
            (None, None) => break,
            (first, other) if first >= other => {
                let Some(delivery) = firsts.take() else { break };
                match delivery.first_attempt.as_deref() {
                    Some(first) => builder.push(&AttemptView::new(first, Some(&delivery)))?,
                    None => Room::Some,
                }
            }
            _ => {
                let Some(attempt) = others.take() else { break };
                let delivery = of_others.get(&attempt.id.delivery());
                builder.push(&AttemptView::new(&attempt, delivery))?
            }
        };
        if room == Room::None {
            break;
        }
    }
    let next_cursor = Positions([firsts.position(), others.position()]).text();
    Ok(axum::Json(Page { data: builder.data, next_cursor }).into_response())
}

/// One of the two lists.
struct Source<T> {
    items: Peekable<IntoIter<T>>,
    /// The start of what follows `items`, if there may be more.
    next: Option<Cursor>,
    /// The position before the first of the `items` that are left.
    reached: Position,
}

/// An entry of a list.
trait Entry: Item {
    /// The time by which its index sorts.
    fn sorted_by(&self) -> Timestamp;
}

impl Entry for Delivery {
    fn sorted_by(&self) -> Timestamp {
        self.created_at
    }
}

impl Entry for Attempt {
    fn sorted_by(&self) -> Timestamp {
        self.started_at
    }
}

impl<T: Entry> Source<T> {
    async fn load(
        app: &App,
        of: &Related,
        limit: i32,
        from: Position,
    ) -> Result<Self, store::Error> {
        let Listing { items, next } = match &from {
            Position::End => Listing { items: Vec::new(), next: None },
            Position::Start => app.core.store.related(of, limit, None).await?,
            Position::After(cursor) => app.core.store.related(of, limit, Some(cursor)).await?,
        };
        Ok(Self { items: items.into_iter().peekable(), next, reached: from })
    }

    fn next_at(&mut self) -> Option<Timestamp> {
        self.items.peek().map(Entry::sorted_by)
    }

    /// Nothing is left of the page, and more may follow.
    fn is_cut(&self) -> bool {
        self.items.len() == 0 && self.next.is_some()
    }

    fn take(&mut self) -> Option<T> {
        let item = self.items.next()?;
        self.reached = Position::After(Cursor::after(item.key(), item.sorted_by()));
        Some(item)
    }

    /// The position of the next page.
    fn position(self) -> Position {
        match (self.items.len(), self.next) {
            (0, None) => Position::End,
            (0, Some(next)) => Position::After(next),
            _ => self.reached,
        }
    }
}

/// The deliveries of these attempts.
async fn deliveries_of(
    app: &App,
    attempts: &Source<Attempt>,
) -> Result<HashMap<DeliveryId, Delivery>, Problem> {
    let mut ids: Vec<DeliveryId> = Vec::new();
    for attempt in attempts.items.clone() {
        let id = attempt.id.delivery();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let load = async |id: DeliveryId| -> Result<Option<Delivery>, Problem> {
        Ok(app.core.store.get(keys::delivery(id)).await?)
    };
    let found = try_join_all(ids.into_iter().map(load)).await?;
    Ok(found.into_iter().flatten().map(|it| (it.id, it)).collect())
}
