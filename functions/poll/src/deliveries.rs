//! What became of callbacks, and the conversations that they led to.

use answerback::{
    api::{
        FieldError, Problem,
        views::{AttemptView, DeliveryView, delivery_status},
    },
    domain::{Attempt, AttemptId, Delivery, DeliveryId, EventId, RequestId, Scope, WebhookId},
    service::Caller,
    store::{Listed, Listing, Related, keys},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    list::{Parameters, Wanted, page},
};

const STATUSES: [&str; 5] = ["pending", "delivered", "failed", "dead_lettered", "cancelled"];

/// Lists deliveries.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let Wanted { limit, cursor } = parameters.page();
    let status = parameters.parsed("status", &STATUSES.join(" or "), |it| {
        STATUSES.into_iter().find(|status| *status == it)
    });
    let request: Option<RequestId> =
        parameters.parsed("request_id", "the identifier of a request", |it| it.parse().ok());
    let event: Option<EventId> =
        parameters.parsed("event_id", "the identifier of an event", |it| it.parse().ok());
    let webhook = parameters.parsed("webhook_id", "the identifier of a webhook", WebhookId::parse);
    parameters.finish()?;

    // Whatever is listed, the account's own is all that is shown.
    let of_webhook = |it| Related::WebhookDeliveries(caller.owner(), it);
    let related = None
        .or(request.map(Related::Request))
        .or(event.map(Related::Event))
        .or(webhook.clone().map(of_webhook));
    let Listing { items, next } = if let Some(related) = &related {
        app.core.store.related::<Delivery>(related, limit, cursor.as_ref()).await?
    } else {
        let owner = caller.owner();
        app.core.store.list(owner, Listed::Deliveries, limit, cursor.as_ref()).await?
    };
    // One request's deliveries are all one account's: of others not even the cursor is told.
    let next = next.filter(|_| related.is_none() || items.iter().any(|it| is_own(it, &caller)));
    let is_wanted = |it: &&Delivery| {
        is_own(it, &caller)
            && webhook.as_ref().is_none_or(|webhook| Some(webhook) == it.webhook.as_ref())
            && request.is_none_or(|request| Some(request) == it.request())
            && event.is_none_or(|event| event == it.event)
            && status.is_none_or(|status| status == delivery_status(it))
    };
    let data = items.iter().filter(is_wanted).map(DeliveryView::new).collect();
    Ok(axum::Json(page(data, next.as_ref())).into_response())
}

/// Shows a delivery.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let delivery = find(&app, &caller, id).await?;
    Ok(axum::Json(DeliveryView::new(&delivery)).into_response())
}

/// Lists a delivery's attempts.
pub(crate) async fn list_attempts(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let Wanted { limit, cursor } = parameters.page();
    let id = parameters.text("delivery_id");
    parameters.finish()?;
    let id = id.ok_or_else(|| {
        Problem::invalid(vec![FieldError::parameter("delivery_id", "is required")])
    })?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let delivery = find(&app, &caller, id).await?;
    let after = cursor.as_ref().map(|it| it.at.as_str());
    let Listing { items, next } = app.core.store.attempts(id, limit, after).await?;
    let body = delivery.body.as_deref();
    let data = items.iter().map(|it| AttemptView::new(it, body)).collect();
    Ok(axum::Json(page(data, next.as_ref())).into_response())
}

/// Shows an attempt.
pub(crate) async fn show_attempt(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let id: AttemptId = id.parse().map_err(|_| Problem::not_found())?;
    let delivery = find(&app, &caller, id.delivery()).await?;
    let attempt: Option<Attempt> = app.core.store.get(keys::attempt(id)).await?;
    let attempt = attempt.ok_or_else(Problem::not_found)?;
    Ok(axum::Json(AttemptView::new(&attempt, delivery.body.as_deref())).into_response())
}

async fn find(app: &App, caller: &Caller, id: DeliveryId) -> Result<Delivery, Problem> {
    let delivery: Option<Delivery> = app.core.store.get(keys::delivery(id)).await?;
    delivery.filter(|it| is_own(it, caller)).ok_or_else(Problem::not_found)
}

fn is_own(delivery: &Delivery, caller: &Caller) -> bool {
    delivery.owner == caller.owner()
}
