//! Health of webhooks: one that keeps failing, or whose receiver is gone, is disabled.
//!
//! ```text
//!   attempt fails ────▶ failing since then ─▶ for five days, or 410 ─▶ event `webhook.disabled`
//!   attempt succeeds ─▶ not failing                                       │ dispatch
//!                                                                         ▼
//!                                          disable the webhook unless it recovered, then notify
//! ```
//!
//! The event is the outbox. It is written first, with its timer, and not shown yet. The worker that
//! dispatches it disables the webhook, and announces the event after that. If the webhook has
//! recovered, the event is void. So neither happens without the other.

use std::time::Duration;

use answerback::{
    api::views::{Time, disabled_reason},
    domain::{
        Event, EventType, OpId, Webhook,
        delivery::{AttemptVerdict, FailureReason},
        posted_event::{Disables, EventState, NewEvent},
        webhook::DisableReason,
    },
    platform::{Group, Hint},
    store::{self, Saved, keys},
};
use jiff::Timestamp;
use serde_json::json;

use crate::{App, Error};

/// Type of the event that disables a webhook.
const DISABLED_EVENT: &str = "webhook.disabled";

/// Updates the health of a webhook after an attempt that began at `started_at`. A failure is only
/// logged, because the next attempt updates it again.
pub(crate) async fn observe(
    app: &App,
    webhook: Option<Webhook>,
    verdict: AttemptVerdict,
    started_at: Timestamp,
) {
    let Some(webhook) = webhook else { return };
    if let Err(err) = update(app, webhook, verdict, started_at).await {
        tracing::warn!(
            error = &err as &(dyn std::error::Error + 'static),
            "could not update the health of a webhook"
        );
    }
}

async fn update(
    app: &App,
    webhook: Webhook,
    verdict: AttemptVerdict,
    started_at: Timestamp,
) -> Result<(), store::Error> {
    let is_gone = match verdict {
        AttemptVerdict::Accepted => {
            if let Some(next) = webhook.succeeded() {
                save(app, next).await?;
            }
            return Ok(());
        }
        AttemptVerdict::Unsent(_) => return Ok(()),
        AttemptVerdict::Permanent(reason) => reason == FailureReason::Gone,
        AttemptVerdict::Retry { .. } => false,
    };
    let webhook = match webhook.failed(started_at) {
        Some(next) => save(app, next).await?,
        None => Some(webhook),
    };
    let Some(webhook) = webhook else { return Ok(()) };
    let Some(failing_since) = webhook.failing_since() else { return Ok(()) };
    let now = app.core.now();
    let reason = if is_gone {
        DisableReason::Gone
    } else if webhook.has_failed_too_long(now) {
        DisableReason::Failing
    } else {
        return Ok(());
    };
    let disables = Disables { webhook: webhook.reference(), reason, failing_since };
    announce(app, &webhook, disables, now).await
}

/// Saves the webhook once, and returns it in its new state. `None`: it is gone. If another worker was
/// faster, its state is as good.
async fn save(app: &App, next: Webhook) -> Result<Option<Webhook>, store::Error> {
    Ok(match app.core.store.save(&next).await? {
        Saved::Saved => Some(next),
        Saved::Superseded(theirs) => Some(theirs),
        Saved::Gone => None,
    })
}

/// Creates the event that disables a webhook. Its id is the same for all workers, so it is created
/// once.
async fn announce(
    app: &App,
    webhook: &Webhook,
    disables: Disables,
    now: Timestamp,
) -> Result<(), store::Error> {
    let Disables { reason, failing_since, .. } = disables;
    let data = json!({
        "webhook_id": webhook.id.as_str(),
        "reason": disabled_reason(reason),
        "failing_since": Time(failing_since),
    });
    let new = NewEvent {
        id: webhook.disabled_event_id(failing_since),
        owner: webhook.owner,
        created_by: OpId::new(webhook.disabled_event_id(failing_since).bits()),
        body_hash: None,
        created_at: now,
        trace: None,
        event_type: EventType::parse(DISABLED_EVENT).expect("it is an event type"),
        data: data.to_string(),
        external_reference_id: None,
        base_url: String::new(),
        callback: None,
    };
    let event = Event::disabling(new, disables);
    if let Saved::Saved = app.core.store.create(&event).await? {
        let (group, hint) = (Group::Account(event.owner.account), Hint::event(event.id));
        app.core.hints.send(group, &hint, Duration::ZERO).await;
    }
    Ok(())
}

/// Settles whether `event` is true: disables the webhook of a `webhook.disabled` event. Returns the
/// event if it is announced then.
pub(crate) async fn confirm(app: &App, event: Event) -> Result<Option<Event>, Error> {
    let event = match (event.state(), &event.disables) {
        (EventState::Conditional { .. }, Some(disables)) => {
            let step = if disable(app, &event, disables).await? {
                Event::confirmed
            } else {
                Event::voided
            };
            app.core.step(event, step).await?
        }
        _ => Some(event),
    };
    Ok(event.filter(Event::is_announced))
}

/// Disables a webhook. Returns false if it has recovered or is gone.
async fn disable(app: &App, event: &Event, disables: &Disables) -> Result<bool, Error> {
    let Disables { webhook: reference, reason, failing_since } = disables;
    let key = keys::webhook(event.owner, &reference.id);
    let Some(webhook) = app.core.store.get::<Webhook>(key).await? else { return Ok(false) };
    let now = app.core.now();
    let step = |it: &Webhook| {
        let is_same = it.reference() == *reference;
        if is_same { it.disable(*reason, *failing_since, now) } else { None }
    };
    let Some(webhook) = app.core.step(webhook, step).await? else { return Ok(false) };
    app.core.webhooks.evict(event.owner);
    app.reads.evict_webhooks(event.owner);
    let is_disabled = webhook.reference() == *reference && webhook.was_disabled_for(*failing_since);
    if is_disabled {
        tracing::warn!(
            account.id = %event.owner.account,
            webhook.id = %reference.id,
            reason = disabled_reason(*reason),
            "disabled a webhook"
        );
    }
    Ok(is_disabled)
}
