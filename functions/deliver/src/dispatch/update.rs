//! Updates of copies: an event that decides something changes the messages that people see.
//!
//! A repeated dispatch finds the same messages, or more. A message that is being sent has no copy yet, and its
//! update waits for it.

use answerback::{
    domain::{
        Delivery, DeliveryId, OutboxEvent, Request,
        delivery::{CopyUpdate, DeliveryState, Origin, Target, Way},
        request::{MessageKey, RequestState},
    },
    store::{self, Listing, Store},
};
use jiff::Timestamp;

/// Messages in one page.
const PAGE_ITEMS: i32 = 100;

/// A message that has a copy, or may soon have one.
pub(super) struct Copied {
    message: DeliveryId,
    row: usize,
    way: Way,
}

/// The copies of a request's messages, if an event in its outbox changes them.
pub(super) async fn copies(store: &Store, request: &Request) -> Result<Vec<Copied>, store::Error> {
    let mut events = request.outbox().iter();
    let is_needed = !matches!(request.state(), RequestState::Erased { .. })
        && events.any(|it| !request.rows_with_changed_copies(it).is_empty());
    let mut found = Vec::new();
    if !is_needed {
        return Ok(found);
    }
    let mut cursor = None;
    loop {
        let Listing { items, next } =
            store.deliveries_of_request(request.id, PAGE_ITEMS, cursor.as_ref()).await?;
        found.extend(items.iter().filter_map(|it| copied(request, it)));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    // Another worker may send these before it stores them.
    for event in request.outbox() {
        for planned in request.messages(event) {
            let MessageKey { row, .. } = planned.key;
            let message = request.message_delivery(planned.key);
            let choices = request.notifiers_of(row);
            let choice = choices.into_iter().find(|it| it.kind.has_copies());
            if let Some(choice) = choice
                && !found.iter().any(|it| it.message == message)
            {
                let way = Way { notifier: choice.id, kind: choice.kind, authority: None };
                found.push(Copied { message, row, way });
            }
        }
    }
    Ok(found)
}

fn copied(request: &Request, delivery: &Delivery) -> Option<Copied> {
    let Target::Message(message) = &delivery.target else { return None };
    let is_done = matches!(delivery.state, DeliveryState::Done { .. });
    let way = message.ways.iter().skip(delivery.way).find(|it| it.kind.has_copies())?;
    let may_have_copy = delivery.copy.is_some() || !is_done;
    (may_have_copy && request.is_message(delivery.id, message.row)).then(|| Copied {
        message: delivery.id,
        row: message.row,
        way: way.clone(),
    })
}

/// The updates that an event asks for.
pub(super) fn of_event<'a>(
    request: &Request,
    event: &OutboxEvent,
    copies: &'a [Copied],
) -> impl Iterator<Item = &'a Copied> {
    let rows = request.rows_with_changed_copies(event);
    copies.iter().filter(move |it| rows.contains(&it.row))
}

impl Copied {
    /// The delivery that updates this copy.
    pub(super) fn delivery(&self, origin: Origin, now: Timestamp) -> Delivery {
        let Self { message, row, way } = self;
        let name = format!("update#{}#{row}", message.event().number());
        let origin = Origin { channel: None, ..origin };
        let target = Target::Update(CopyUpdate { message: *message, way: way.clone() });
        Delivery::begin(origin, &name, target, Vec::new(), now)
    }
}
