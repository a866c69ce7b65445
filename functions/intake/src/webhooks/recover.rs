//! `POST /v1/webhooks/{id}/recover` sends failed deliveries of a webhook again.

use std::time::Duration;

use answerback::{
    api::{Problem, body, http::Json},
    domain::{
        Delivery, Scope, Webhook,
        delivery::{DeliveryEnd, DeliveryState},
    },
    store::{Listing, Related},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::find_enabled;
use crate::App;

/// Deliveries per page.
const PAGE_LEN: i32 = 100;
/// Deliveries that are redelivered concurrently.
const CONCURRENCY: usize = 16;
/// Longest time that one call takes. The gateway gives up after 30 s.
const WORK_TIME: Duration = Duration::from_secs(20);

/// The time in which deliveries were created.
struct Period {
    since: Timestamp,
    until: Option<Timestamp>,
}

#[derive(Serialize)]
struct RecoveredView {
    redelivered: u32,
    complete: bool,
}

impl Period {
    fn contains(&self, time: Timestamp) -> bool {
        self.since <= time && self.until.is_none_or(|until| time < until)
    }
}

/// Redelivers failed deliveries of a period, the latest first.
///
/// If time runs out, `complete` is false and the same call continues: a delivery that is in flight
/// again counts as failed no more.
pub(crate) async fn recover(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let period = read(body)?;
    let webhook = find_enabled(&app, &caller, &id).await?;
    let related = Related::WebhookDeliveries(caller.owner(), webhook.reference());
    let end_at = app.core.now() + WORK_TIME;
    let mut view = RecoveredView { redelivered: 0, complete: false };
    let mut cursor = None;
    while !view.complete && app.core.now() <= end_at {
        let Listing { items, next } =
            app.core.store.related::<Delivery>(&related, PAGE_LEN, cursor.as_ref()).await?;
        let is_last = items.last().is_some_and(|it| it.created_at < period.since);
        let wanted = items.into_iter().filter(|it| is_wanted(it, &webhook, &period));
        view.redelivered += redeliver_all(&app, wanted.collect()).await?;
        view.complete = is_last || next.is_none();
        cursor = next;
    }
    caller.audit("recovered a webhook", &id);
    Ok((StatusCode::ACCEPTED, axum::Json(view)).into_response())
}

/// Failed deliveries of the period whose event type the webhook still subscribes to.
fn is_wanted(delivery: &Delivery, webhook: &Webhook, period: &Period) -> bool {
    period.contains(delivery.created_at)
        && webhook.subscribes_to(delivery.event_type.as_str())
        && has_failed(delivery)
}

/// Redelivers these deliveries. Returns the number of those that are redelivered.
async fn redeliver_all(app: &App, deliveries: Vec<Delivery>) -> Result<u32, Problem> {
    let redelivered: Vec<bool> = stream::iter(deliveries)
        .map(|it| redeliver(app, it))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let n_redelivered = redelivered.iter().filter(|it| **it).count();
    Ok(u32::try_from(n_redelivered).expect("at most a page"))
}

fn has_failed(delivery: &Delivery) -> bool {
    let is_failure =
        |end: &DeliveryEnd| matches!(end, DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_));
    matches!(&delivery.state, DeliveryState::Done { end, .. } if is_failure(end))
        && delivery.body.is_some()
}

/// Redelivers a failed delivery. Returns false if another call has done so already, or if it was
/// redelivered too often.
async fn redeliver(app: &App, delivery: Delivery) -> Result<bool, Problem> {
    let now = app.core.now();
    let op = app.core.new_op();
    let step = |it: &Delivery| {
        let may = has_failed(it) && it.redelivery_limit_ends_at(now).is_none();
        let next = if may { it.redeliver(now, op) } else { None };
        Ok::<_, Problem>(next)
    };
    let delivery = app.core.advance(delivery, step).await?;
    let is_ours = delivery.expedited_by == Some(op);
    if is_ours {
        app.core.hints.send_for_delivery(&delivery, 0, now).await;
    }
    Ok(is_ours)
}

fn read(body: Value) -> Result<Period, Problem> {
    body::read(body, |body| {
        body.require("since");
        let since = body.time("since");
        let until = body.time("until");
        if since.zip(until).is_some_and(|(since, until)| until <= since) {
            body.error("until", "must be later than `since`");
        }
        Some(Period { since: since?, until })
    })
}
