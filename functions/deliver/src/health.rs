//! Health of webhooks and notifiers: a webhook that keeps failing, or whose receiver is gone, is disabled,
//! and so is a notifier that its service refuses.
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

mod notifier;

use std::time::Duration;

use answerback::{
    api::views::{Time, disabled_reason},
    domain::{
        Event, EventId, EventType, OpId, Owner, Webhook, WebhookRef,
        delivery::{AttemptVerdict, FailureReason},
        posted_event::{Disables, EventState, NewEvent},
        webhook::DisableReason,
    },
    platform::{Group, Hint},
    store::{self, Saved, keys},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{App, Error};
pub(crate) use notifier::observe_refusal;

/// Type of the event that disables a webhook.
const WEBHOOK_DISABLED: &str = "webhook.disabled";

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
        AttemptVerdict::Retry { .. } | AttemptVerdict::Throttled { .. } => false,
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
    let disables = Disables::Webhook { webhook: webhook.reference(), reason, failing_since };
    let data = json!({
        "webhook_id": webhook.id.as_str(),
        "reason": disabled_reason(reason),
        "failing_since": Time(failing_since),
    });
    let id = webhook.disabled_event_id(failing_since);
    let disabling = Disabling { id, event_type: WEBHOOK_DISABLED, data, disables };
    announce(app, webhook.owner, disabling, now).await
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

/// The event that disables something.
struct Disabling {
    /// The same for all workers that notice the failure.
    id: EventId,
    event_type: &'static str,
    data: Value,
    disables: Disables,
}

/// Creates the event that disables something. Its id is the same for all workers, so it is created
/// once.
async fn announce(
    app: &App,
    owner: Owner,
    disabling: Disabling,
    now: Timestamp,
) -> Result<(), store::Error> {
    let Disabling { id, event_type, data, disables } = disabling;
    let new = NewEvent {
        id,
        owner,
        created_by: OpId::new(id.bits()),
        body_hash: None,
        created_at: now,
        trace: None,
        event_type: EventType::parse(event_type).expect("it is an event type"),
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

/// Settles whether `event` is true: disables the webhook of a `webhook.disabled` event, for example. Returns the
/// event if it is announced then.
pub(crate) async fn confirm(app: &App, event: Event) -> Result<Option<Event>, Error> {
    let event = match (event.state(), &event.disables) {
        (EventState::Conditional { .. }, Some(disables)) => {
            let is_disabled = match disables {
                Disables::Webhook { webhook, reason, failing_since } => {
                    let failing = Failing { webhook, reason: *reason, since: *failing_since };
                    disable(app, event.owner, failing).await?
                }
                Disables::Notifier { notifier, settings_by } => {
                    notifier::disable(app, event.owner, *notifier, *settings_by).await?
                }
            };
            let step = if is_disabled { Event::confirmed } else { Event::voided };
            app.core.step(event, step).await?
        }
        _ => Some(event),
    };
    Ok(event.filter(Event::is_announced))
}

/// A webhook that fails.
struct Failing<'a> {
    webhook: &'a WebhookRef,
    reason: DisableReason,
    since: Timestamp,
}

/// Disables a webhook. Returns false if it has recovered or is gone.
async fn disable(app: &App, owner: Owner, failing: Failing<'_>) -> Result<bool, Error> {
    let Failing { webhook: reference, reason, since } = failing;
    let key = keys::webhook(owner, &reference.id);
    let Some(webhook) = app.core.store.get::<Webhook>(key).await? else { return Ok(false) };
    let now = app.core.now();
    let step = |it: &Webhook| {
        let is_same = it.reference() == *reference;
        if is_same { it.disable(reason, since, now) } else { None }
    };
    let Some(webhook) = app.core.step(webhook, step).await? else { return Ok(false) };
    forget(app, owner);
    let is_disabled = webhook.reference() == *reference && webhook.was_disabled_for(since);
    if is_disabled {
        tracing::warn!(
            account.id = %owner.account,
            webhook.id = %reference.id,
            reason = disabled_reason(reason),
            "disabled a webhook"
        );
    }
    Ok(is_disabled)
}

/// Forgets what was read of an account's webhooks and notifiers.
fn forget(app: &App, owner: Owner) {
    app.core.destinations.evict(owner);
    app.reads.evict(owner);
}
