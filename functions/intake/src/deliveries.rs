//! `POST /v1/deliveries/{id}/redeliver`.

use answerback::{
    api::{Code, Problem, http::NoBody, views::DeliveryView},
    domain::{
        Delivery, DeliveryId, Scope,
        delivery::{DeliveryState, REDELIVERIES_MAX, Target},
    },
    store::{Saved, keys},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use jiff::Timestamp;

use crate::App;

/// Attempts a delivery again, with the same identifier and bytes.
pub(crate) async fn redeliver(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let NoBody = body?;
    let id: DeliveryId = id.parse().map_err(|_| Problem::not_found())?;
    let delivery: Option<Delivery> = app.core.store.get(keys::delivery(id)).await?;
    // Messages to recipients are no deliveries for callers.
    let is_own = |it: &Delivery| {
        it.owner == caller.owner() && !matches!(it.target, Target::Message(_) | Target::Update(_))
    };
    let delivery = delivery.filter(is_own).ok_or_else(Problem::not_found)?;

    let now = app.core.now();
    let op = app.core.new_op();
    let delivery = app
        .core
        .advance(delivery, |it| match it.state {
            // This call's own write: the SDK repeated it after its answer was lost.
            _ if it.expedited_by == Some(op) => Ok(None),
            // In flight or due already.
            DeliveryState::Leased { .. } => Ok(None),
            DeliveryState::Waiting { not_before, .. } if not_before <= now => Ok(None),
            DeliveryState::Waiting { .. } | DeliveryState::Done { .. } => {
                check_limit(it, now)?;
                let detail = match it.target {
                    Target::Test(_) => "a test is not repeated; send another one",
                    _ => "the delivery's content was erased",
                };
                let refused = || Problem::new(Code::NotRedeliverable, detail);
                it.redeliver(now, op).map(Some).ok_or_else(refused)
            }
        })
        .await?;
    app.core.hints.send_for_delivery(&delivery, 0, now).await;
    tracing::info!(delivery.id = %delivery.id, account.id = %delivery.owner.account, "redelivered");
    Ok((StatusCode::ACCEPTED, axum::Json(DeliveryView::new(&delivery))).into_response())
}

/// Refuses to redeliver a delivery that was redelivered too often.
fn check_limit(delivery: &Delivery, now: Timestamp) -> Result<(), Problem> {
    let Some(ends_at) = delivery.redelivery_limit_ends_at(now) else { return Ok(()) };
    let wait = u32::try_from(ends_at.duration_since(now).as_secs() + 1).unwrap_or(u32::MAX);
    let detail =
        format!("limit of {REDELIVERIES_MAX} redeliveries of one delivery per hour exceeded");
    Err(Problem::new(Code::RateLimited, detail).retry_after(wait))
}

/// Creates a delivery, or finds it, and sends the hint to attempt it.
pub(crate) async fn create_delivery(app: &App, delivery: Delivery) -> Result<Delivery, Problem> {
    let store = app.core.store_of(delivery.owner.account).await;
    let delivery = match store.create(&delivery).await? {
        Saved::Superseded(found) => found,
        Saved::Saved | Saved::Gone => delivery,
    };
    app.core.hints.send_for_delivery(&delivery, 0, app.core.now()).await;
    Ok(delivery)
}
