//! `POST /v1/notifiers`.

use answerback::{
    api::{
        Code, Problem,
        http::{CalledHost, Json},
        views::NotifierView,
    },
    domain::{
        IdempotentCall, Notifier, NotifierId, Owner, Scope,
        notifier::{NOTIFIERS_MAX, NewNotifier},
        secret::Holder,
    },
    service::Caller,
    store::{Saved, keys},
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};

use super::{PATH, body::NotifierBody, check};
use crate::{App, idempotency};

/// Creates a notifier.
pub(crate) async fn create(
    State(app): State<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::NotifiersWrite).await?;
    let Json(body) = body?;
    let call = idempotency::of_call(&app, caller.owner(), &headers, PATH, &body).await?;
    let id = match call {
        Some(it) => NotifierId::from_bits(it.id_bits),
        None => NotifierId::mint(app.core.now(), app.core.entropy.next()),
    };
    if call.is_some()
        && let Some(found) = app.core.store.get(keys::notifier(caller.owner(), id)).await?
    {
        return replayed(&app, &found, call);
    }
    let body = NotifierBody::read(&app, body)?;
    check(&app, &caller, &host, &body, None).await?;
    store(&app, &caller, NewId { id, call }, body).await
}

/// The identifier of a new notifier, and the call that it was derived from.
#[derive(Clone, Copy)]
struct NewId {
    id: NotifierId,
    call: Option<IdempotentCall>,
}

/// Stores a notifier whose settings are allowed.
async fn store(
    app: &App,
    caller: &Caller,
    NewId { id, call }: NewId,
    body: NotifierBody,
) -> Result<Response, Problem> {
    let owner = caller.owner();
    refuse_too_many(app, owner).await?;
    let (created_by, created_at) = (app.core.new_op(), app.core.now());
    let update = body.seal(app, &Holder::Notifier(owner, id, created_by)).await?;
    let new = NewNotifier { id, owner, created_by, call, created_at, update };
    let notifier = Notifier::new(new);
    let saved = app.core.store.create(&notifier).await?;
    app.core.destinations.evict(owner);
    match saved {
        Saved::Saved => (),
        // This call's own write: the SDK repeated it after its answer was lost.
        Saved::Superseded(found) if found.created_by == created_by => (),
        Saved::Superseded(found) => return replayed(app, &found, call),
        Saved::Gone => return Err(Problem::too_busy()),
    }
    caller.audit("created a notifier", &id.to_string());
    Ok(created(&notifier))
}

/// Refuses another notifier if the account has reached its limit in this mode. Calls at the same moment
/// do not see each other, so the limit may be exceeded by a few.
async fn refuse_too_many(app: &App, owner: Owner) -> Result<(), Problem> {
    let all = app.core.destinations.all(owner).await?.notifiers;
    if all.len() < NOTIFIERS_MAX {
        return Ok(());
    }
    let detail = format!("limit of {NOTIFIERS_MAX} notifiers reached; delete one first");
    Err(Problem::new(Code::TooManyNotifiers, detail))
}

/// The notifier of an earlier call with the same key, unless it was deleted.
fn replayed(
    app: &App,
    found: &Notifier,
    call: Option<IdempotentCall>,
) -> Result<Response, Problem> {
    if !idempotency::is_repeated(found.calls(), call, app.core.now())? {
        return Err(Problem::too_busy());
    }
    if found.is_deleted() {
        return Err(idempotency::gone());
    }
    let mut response = created(found);
    idempotency::mark_replayed(&mut response);
    Ok(response)
}

fn created(notifier: &Notifier) -> Response {
    let location = format!("{PATH}/{}", notifier.id);
    let location = HeaderValue::from_str(&location).expect("an identifier is ASCII");
    let body = axum::Json(NotifierView::new(notifier));
    (StatusCode::CREATED, [(LOCATION, location)], body).into_response()
}
