//! `POST /v1/webhooks/{id}/recover` sends everything once more that a webhook did not take.

use std::time::Duration;

use answerback::{
    api::{Fields, Problem, body::FieldErrors, http::Json},
    domain::{
        Delivery, Scope,
        delivery::{DeliveryEnd, DeliveryState},
    },
    store::{Listing, Related},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::find_enabled;
use crate::App;

/// Deliveries that are looked up at once.
const PAGE: i32 = 100;
/// Deliveries that are worked on at once.
const AT_ONCE: usize = 16;
/// How long one call works; the gateway gives up at 30 s.
const WORKS: Duration = Duration::from_secs(20);

/// Redelivers what was made in a time and has failed, the latest first.
///
/// Where there is more than there is time for, it says so, and the same call goes on: what is
/// under way again has not failed any more.
pub(crate) async fn recover(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksWrite).await?;
    let Json(body) = body?;
    let (since, until) = read(body)?;
    let webhook = find_enabled(&app, &caller, &id).await?;
    let related = Related::WebhookDeliveries(caller.owner(), webhook.id);
    let began = app.core.now();
    let (mut n_redelivered, mut cursor) = (0_u32, None);
    let is_complete = loop {
        let Listing { items, next } =
            app.core.store.related::<Delivery>(&related, PAGE, cursor.as_ref()).await?;
        let is_last = items.last().is_some_and(|it| it.created_at < since);
        let wanted = items.into_iter().filter(|it| {
            let is_within = since <= it.created_at && until.is_none_or(|end| it.created_at < end);
            is_within && has_failed(it)
        });
        let redelivered: Vec<bool> = stream::iter(wanted)
            .map(|it| redeliver(&app, it))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        n_redelivered += u32::try_from(redelivered.iter().filter(|it| **it).count()).unwrap_or(0);
        cursor = next;
        if is_last || cursor.is_none() {
            break true;
        }
        if began + WORKS < app.core.now() {
            break false;
        }
    };
    caller.audit("recovered a webhook", &id);
    let answer = json!({ "redelivered": n_redelivered, "complete": is_complete });
    Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
}

fn has_failed(delivery: &Delivery) -> bool {
    let is_failure =
        |end: &DeliveryEnd| matches!(end, DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_));
    matches!(&delivery.state, DeliveryState::Done { end, .. } if is_failure(end))
        && delivery.body.is_some()
}

/// Redelivers one that has failed. Whether it had.
async fn redeliver(app: &App, delivery: Delivery) -> Result<bool, Problem> {
    let now = app.core.now();
    let op = app.core.new_op();
    let step = |it: &Delivery| {
        let next = if has_failed(it) { it.redeliver(now, op) } else { None };
        Ok::<_, Problem>(next)
    };
    let delivery = app.core.advance(delivery, step).await?;
    let is_ours = delivery.redelivered_by == Some(op);
    if is_ours {
        app.core.hints.send_for_delivery(&delivery, 0, now).await;
    }
    Ok(is_ours)
}

/// From when to when.
fn read(body: Value) -> Result<(Timestamp, Option<Timestamp>), Problem> {
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    if !fields.has("since") {
        fields.fault("since", "is required", &mut faults);
    }
    let since = time(&mut fields, "since", &mut faults);
    let until = time(&mut fields, "until", &mut faults);
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        fields.fault("until", "must be later than `since`", &mut faults);
    }
    fields.finish(&mut faults);
    match since {
        Some(since) if faults.is_empty() => Ok((since, until)),
        Some(_) | None => Err(Problem::invalid(faults)),
    }
}

fn time(fields: &mut Fields, name: &str, faults: &mut FieldErrors) -> Option<Timestamp> {
    let text = fields.text(name, 1..=64, faults)?;
    let time = text.parse().ok();
    if time.is_none() {
        fields.fault(name, "must be a time such as 2026-01-31T12:00:00Z (RFC 3339)", faults);
    }
    time
}
