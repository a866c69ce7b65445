//! The notifications of a request.

use std::collections::BTreeMap;

use answerback::{
    api::{
        Problem,
        views::{self, NotificationView},
    },
    domain::{Delivery, Request, Scope, delivery::Target},
    service::requests::find,
    store::Listing,
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};

use crate::{
    App,
    list::{PageQuery, Parameters, page},
};

/// Deliveries that are read to show a request.
const PAGE_ITEMS: i32 = 100;

/// Lists the notifications of a request, those of the latest event first.
pub(crate) async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let PageQuery { limit, cursor } = parameters.page();
    parameters.finish()?;
    let request = find(&app.core.store, &caller, &id).await?;
    let store = &app.core.store;
    let Listing { items, next } =
        store.deliveries_of_request(request.id, limit, cursor.as_ref()).await?;
    let messages = items.iter().filter(|it| row(&request, it).is_some());
    let data = messages.filter_map(|it| NotificationView::new(&request, it)).collect();
    Ok(axum::Json(page(data, next.as_ref())).into_response())
}

/// The status of the latest notification of each row of a request, as far as it is among the latest
/// deliveries. There may be thousands, and each look at a request would read them.
pub(crate) async fn statuses(
    app: &App,
    request: &Request,
) -> Result<BTreeMap<usize, &'static str>, Problem> {
    let mut statuses = BTreeMap::new();
    let mut rows = 0..request.n_asked();
    if rows.all(|row| request.notifiers_of(row).is_empty()) {
        return Ok(statuses);
    }
    let store = &app.core.store;
    let latest = store.deliveries_of_request(request.id, PAGE_ITEMS, None).await?;
    // Those of the latest event come first.
    for delivery in &latest.items {
        if let Some(row) = row(request, delivery) {
            statuses.entry(row).or_insert_with(|| views::notification_status(delivery).0);
        }
    }
    Ok(statuses)
}

/// The row of a notification. `None`: it is none of the request, or one of an earlier request under the
/// same idempotency key.
fn row(request: &Request, delivery: &Delivery) -> Option<usize> {
    match &delivery.target {
        Target::Message(message) if request.is_message(delivery.id, message.row) => {
            Some(message.row)
        }
        Target::Message(_)
        | Target::Test(_)
        | Target::Update(_)
        | Target::Https(_)
        | Target::Bus
        | Target::Erased => None,
    }
}
