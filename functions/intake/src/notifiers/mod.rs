//! Notifiers: create, change, delete.
//!
//! A notifier sees every link that it brings to people, so all of this needs `notifiers:write`, which a
//! key has only with the scopes for links and answers.

mod body;
mod create;
mod kept;
mod secret;
mod settings;
mod slack;
mod test;

pub(crate) use create::create;
pub(crate) use slack::slack_id;
pub(crate) use test::test;

use answerback::{
    api::{
        FieldError, Problem,
        http::{CalledHost, Json, NoBody},
        views::NotifierView,
    },
    domain::{
        EmailAddress, Notifier, Scope,
        notifier::{EmailSettings, EmailTransport, NotifierSettings, NotifierUpdate},
        secret::Holder,
    },
    service::Caller,
    store::{Saved, keys},
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

use self::{body::NotifierBody, settings::destination_of};
use crate::{App, callback};

/// Path of the notifiers.
const PATH: &str = "/v1/notifiers";
/// Times that a change starts over when another writer was faster. A notifier has few writers.
const CHANGES_MAX: usize = 5;

/// Changes the members that the body names.
pub(crate) async fn patch(
    State(app): State<App>,
    Path(id): Path<String>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::NotifiersWrite).await?;
    let Json(body) = body?;
    let notifier = find(&app, &caller, &id).await?;
    let notifier = change(&app, &caller, &host, notifier, &body).await?;
    app.core.destinations.evict(caller.owner());
    caller.audit("changed a notifier", &id);
    Ok(axum::Json(NotifierView::new(&notifier)).into_response())
}

/// Deletes a notifier. Its pending messages go on with the next one of their recipient, or fail.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<NoBody, Problem>,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::NotifiersWrite).await?;
    let NoBody = body?;
    let notifier = find(&app, &caller, &id).await?;
    let now = app.core.now();
    app.core.advance(notifier, |it| Ok::<_, Problem>(it.delete(now))).await?;
    app.core.destinations.evict(caller.owner());
    caller.audit("deleted a notifier", &id);
    Ok(StatusCode::NO_CONTENT)
}

/// Changes a notifier as `patch` says. After a lost race the patch is applied to the winner's state, so
/// that it undoes nothing that it does not name, and the result is checked again.
async fn change(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    mut notifier: Notifier,
    patch: &Value,
) -> Result<Notifier, Problem> {
    let op = app.core.new_op();
    for _ in 0..CHANGES_MAX {
        let body = NotifierBody::patch(app, &notifier, patch.clone())?;
        check(app, caller, host, &body, Some(&notifier)).await?;
        let holder = Holder::Notifier(notifier.owner, notifier.id, notifier.created_by);
        let next = notifier.change(body.seal(app, &holder).await?, app.core.now(), op);
        match app.core.store.save(&next).await? {
            Saved::Saved => return Ok(next),
            // This call's own write: the SDK repeated it after its answer was lost.
            Saved::Superseded(found) if found.updated_by == op => return Ok(found),
            Saved::Superseded(found) if !found.is_deleted() => notifier = found,
            Saved::Superseded(_) | Saved::Gone => return Err(Problem::not_found()),
        }
    }
    Err(Problem::too_busy())
}

/// Refuses settings with an address that must not be called, or a sender that the account must not use.
/// What stays as it is in `before` was checked before, but a sender is checked again when its notifier is
/// enabled: the operator may have taken it back.
async fn check(
    app: &App,
    caller: &Caller,
    host: &CalledHost,
    body: &NotifierBody,
    before: Option<&Notifier>,
) -> Result<(), Problem> {
    let settings = &body.settings;
    let refused = |name: &str, why: String| {
        Err(Problem::invalid(vec![FieldError::pointer(format!("/settings/{name}"), why)]))
    };
    let is_kept = before.is_some_and(|it| {
        it.is_enabled() >= body.is_enabled && sends_from(it) == settings.ses_sender()
    });
    if let Some(from) = settings.ses_sender()
        && !is_kept
        && !app.core.accounts.account_of(caller.owner()).await?.may_send_from(from)
    {
        return refused("from", NOT_ALLOWED.to_owned());
    }
    let Some(destination) = settings.destination() else { return Ok(()) };
    if before.and_then(|it| destination_of(&it.settings)).as_ref() == Some(&destination) {
        return Ok(());
    }
    match callback::check_url(app, &destination.url, host).await {
        Ok(_) => Ok(()),
        Err(why) => refused(destination.name, why),
    }
}

/// The address from which a notifier sends by SES.
fn sends_from(notifier: &Notifier) -> Option<&EmailAddress> {
    match &notifier.settings {
        NotifierSettings::Email(EmailSettings { from, transport: EmailTransport::Ses, .. }) => {
            Some(from.address())
        }
        _ => None,
    }
}

const NOT_ALLOWED: &str = "is not allowed for this account; the operator allows senders with `answerback accounts allow-from`";

/// The caller's notifier with this id, unless it was deleted.
async fn find(app: &App, caller: &Caller, id: &str) -> Result<Notifier, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let notifier: Option<Notifier> = app.core.store.get(keys::notifier(caller.owner(), id)).await?;
    notifier.filter(|it| !it.is_deleted()).ok_or_else(Problem::not_found)
}

impl NotifierBody {
    /// The update that it describes, with its secrets sealed for `holder`.
    async fn seal(self, app: &App, holder: &Holder) -> Result<NotifierUpdate, Problem> {
        let Self { name, settings, is_enabled, is_default } = self;
        let settings = settings.seal(app, holder).await?;
        Ok(NotifierUpdate { name, settings, is_default, is_enabled })
    }
}
