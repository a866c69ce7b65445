//! A notifier that its service refused is disabled: its token was revoked, or its address is gone.

use answerback::{
    domain::{Notifier, NotifierId, OpId, Owner, posted_event::Disables},
    store::{self, keys},
};
use serde_json::json;

use super::{Disabling, announce, forget};
use crate::{App, Error};

/// Type of the event that disables a notifier.
const NOTIFIER_DISABLED: &str = "notifier.disabled";

/// Announces that a notifier is to be disabled, if its service refused it. A failure is only logged,
/// because the next message meets the refusal again.
pub(crate) async fn observe_refusal(app: &App, refused: Option<Notifier>) {
    let Some(notifier) = refused else { return };
    if let Err(err) = refuse(app, &notifier).await {
        tracing::warn!(
            error = &err as &(dyn std::error::Error + 'static),
            "could not disable a notifier"
        );
    }
}

async fn refuse(app: &App, notifier: &Notifier) -> Result<(), store::Error> {
    let data = json!({
        "notifier_id": notifier.id.to_string(),
        "kind": notifier.kind().as_str(),
        "reason": "refused",
    });
    let disables = Disables::Notifier { notifier: notifier.id, settings_by: notifier.updated_by };
    let id = notifier.refused_event_id();
    let disabling = Disabling { id, event_type: NOTIFIER_DISABLED, data, disables };
    announce(app, notifier.owner, disabling, app.core.now()).await
}

/// Disables a notifier. Returns false if its owner has changed it since it was refused.
pub(super) async fn disable(
    app: &App,
    owner: Owner,
    id: NotifierId,
    settings_by: OpId,
) -> Result<bool, Error> {
    let key = keys::notifier(owner, id);
    let Some(notifier) = app.core.store.get::<Notifier>(key).await? else { return Ok(false) };
    let now = app.core.now();
    let notifier = app.core.step(notifier, |it| it.refuse(settings_by, now)).await?;
    forget(app, owner);
    let is_disabled = notifier.is_some_and(|it| it.was_refused_with(settings_by));
    if is_disabled {
        tracing::warn!(account.id = %owner.account, notifier.id = %id, "disabled a notifier");
    }
    Ok(is_disabled)
}
