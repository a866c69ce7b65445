//! How webhooks fare: one that has failed for days, or that is gone, is disabled.
//!
//! ```text
//!   attempt fails ─▶ failing since then ─▶ for five days, or 410 ─▶ event `webhook.disabled`
//!   attempt succeeds ─▶ not failing                                    │ dispatched
//!                                                                      ▼
//!                                                 disabled, unless it has recovered; then told
//! ```
//!
//! The event is the outbox: it is written first, with its timer, and whoever dispatches it disables
//! the webhook before telling others of that. So neither happens without the other.

use answerback::{
    api::views::{Time, disabled_reason},
    domain::{
        Event, EventType, OpId, Webhook,
        delivery::{AttemptVerdict, FailureReason},
        posted_event::{Disables, NewEvent},
        webhook::DisableReason,
    },
    platform::{Group, Hint},
    store::{self, AdvanceError, Saved, keys},
};
use jiff::Timestamp;
use serde_json::json;

use crate::{App, Error};

/// What tells of it.
const DISABLED: &str = "webhook.disabled";

/// Notes what an attempt that began at `started_at` says of its webhook. It holds nothing up: what
/// is missed here, the next attempt notes.
pub(crate) async fn observe(
    app: &App,
    webhook: Option<Webhook>,
    verdict: AttemptVerdict,
    started_at: Timestamp,
) {
    let Some(webhook) = webhook else { return };
    if let Err(err) = note(app, webhook, verdict, started_at).await {
        tracing::warn!(
            error = &err as &(dyn std::error::Error + 'static),
            "how a webhook fares was not noted"
        );
    }
}

async fn note(
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
    let now = app.core.now();
    let reason = match webhook.failing_since() {
        Some(since) if is_gone => Some((DisableReason::Gone, since)),
        Some(since) if webhook.has_failed_too_long(now) => Some((DisableReason::Failing, since)),
        _ => None,
    };
    match reason {
        Some((reason, since)) => announce(app, &webhook, reason, since, now).await,
        None => Ok(()),
    }
}

/// Writes it once; gives the webhook as it then is, if it is there. Somebody who was faster knows
/// as much.
async fn save(app: &App, next: Webhook) -> Result<Option<Webhook>, store::Error> {
    Ok(match app.core.store.save(&next).await? {
        Saved::Saved => Some(next),
        Saved::Superseded(theirs) => Some(theirs),
        Saved::Gone => None,
    })
}

/// Writes the event that disables the webhook, whoever else does too.
async fn announce(
    app: &App,
    webhook: &Webhook,
    reason: DisableReason,
    failing_since: Timestamp,
    now: Timestamp,
) -> Result<(), store::Error> {
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
        event_type: EventType::parse(DISABLED).expect("it is one"),
        data: data.to_string(),
        external_reference_id: None,
        base_url: String::new(),
        callback: None,
    };
    let disables = Disables { webhook: webhook.id.clone(), reason, failing_since };
    let event = Event::disabling(new, disables);
    if let Saved::Saved = app.core.store.create(&event).await? {
        let hint = Hint::event(event.id);
        app.core
            .hints
            .send(Group::Account(event.owner.account), &hint, std::time::Duration::ZERO)
            .await;
    }
    Ok(())
}

/// Disables what `event` says is to be. Whether it is so: it may have recovered meanwhile.
pub(crate) async fn disable(app: &App, event: &Event, disables: &Disables) -> Result<bool, Error> {
    let Disables { webhook: id, reason, failing_since } = disables;
    let key = keys::webhook(event.owner, id);
    let Some(webhook) = app.core.store.get::<Webhook>(key).await? else { return Ok(false) };
    let now = app.core.now();
    let step =
        |it: &Webhook| Ok::<_, std::convert::Infallible>(it.disable(*reason, *failing_since, now));
    let webhook = match app.core.advance(webhook, step).await {
        Ok(webhook) => webhook,
        Err(AdvanceError::Gone) => return Ok(false),
        Err(AdvanceError::Contended) => return Err(Error::Contended),
        Err(AdvanceError::Refused(never)) => match never {},
        Err(AdvanceError::Store(err)) => return Err(err.into()),
    };
    app.core.webhooks.evict(event.owner);
    let is_so = !webhook.is_deleted()
        && webhook.failing_since() == Some(*failing_since)
        && webhook.disabled().is_some_and(|it| it.reason == *reason);
    if is_so {
        tracing::warn!(account.id = %event.owner.account, webhook.id = %id, reason = disabled_reason(*reason), "disabled a webhook");
    }
    Ok(is_so)
}
