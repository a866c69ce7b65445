//! `POST /v1/requests` asks a question, and so does every other way to ask one.

use answerback::{
    api::{
        Fields, Problem,
        body::FieldErrors,
        http::{CalledHost, Json, trace},
    },
    domain::{
        ChannelId, Owner, Request, RequestId, Scope,
        request::{LinkSecret, RequestPolicy, RequestState},
    },
    service::requests::{self, callback_delivery},
    store::keys,
};
use axum::{
    extract::State as Extension,
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{App, callback, idempotency, policy, question};

/// Where requests are made.
const PATH: &str = "/v1/requests";

/// Everything that a new request is made of and that the caller decides.
pub(crate) struct Draft {
    question: answerback::domain::Question,
    policy: RequestPolicy,
    timeout_seconds: u32,
    probe: bool,
    /// The channel that it is sent to, if it is.
    pub(crate) channel: Option<ChannelId>,
}

/// Who asks, and where.
pub(crate) struct Asking<'a> {
    pub(crate) owner: Owner,
    /// Idempotency keys are apart by it.
    pub(crate) path: &'a str,
    pub(crate) host: &'a CalledHost,
    pub(crate) headers: &'a HeaderMap,
}

/// A request, and whether it was made by an earlier call.
pub(crate) struct Made {
    pub(crate) request: Request,
    pub(crate) is_replayed: bool,
}

/// Makes a request; or, under an idempotency key that was used before, finds it again.
pub(crate) async fn create(
    Extension(app): Extension<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsWrite).await?;
    let Json(body) = body?;
    let asking = Asking { owner: caller.owner(), path: PATH, host: &host, headers: &headers };
    let Made { request, is_replayed } = make(&app, asking, body, read).await?;
    let delivery =
        if is_replayed { callback_delivery(&app.core.store, &request).await? } else { None };
    let view = requests::view(&request, delivery.as_ref(), &caller, app.core.now());
    let location = format!("{PATH}/{}", request.id);
    let location = HeaderValue::from_str(&location).expect("an identifier is ASCII");
    let mut response =
        (StatusCode::CREATED, [(LOCATION, location)], axum::Json(view)).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

/// Makes the request that `read` finds in the body, or finds it again.
pub(crate) async fn make(
    app: &App,
    asking: Asking<'_>,
    body: Value,
    read: impl FnOnce(Value) -> Result<Draft, Problem>,
) -> Result<Made, Problem> {
    let Asking { owner, path, host, headers } = asking;
    let op = app.core.new_op();
    let now = app.core.now();

    let keyed = idempotency::keyed(app, owner, headers, path, &body).await?;
    let id = match keyed {
        Some(keyed) => RequestId::from_bits(keyed.bits),
        None => RequestId::mint(now, app.core.entropy.next()),
    };
    if let Some(found) = idempotency::find(app, keyed, keys::request(id)).await? {
        return replay(app, found, now).await;
    }

    let draft = read(body)?;
    let is_counted = app.core.accounts.check_pending_limit(owner).await?;
    if let Some(callback) = &draft.policy.callback {
        callback::check(app, &callback.receiver, callback::URL, draft.probe, host).await?;
    }
    // Only now: trying the receiver out must not eat of the time to answer.
    let now = app.core.now();

    let request = Request {
        id,
        owner,
        created_by: op,
        body_hash: keyed.map(|it| it.body_hash),
        created_at: now,
        deadline: now + std::time::Duration::from_secs(draft.timeout_seconds.into()),
        question: draft.question,
        policy: draft.policy,
        channel: draft.channel,
        trace: trace(headers),
        link_secret: LinkSecret(app.core.entropy.next().to_be_bytes()),
        is_counted,
        base_url: callback::base_url(app, headers, host),
        is_published: app.publishes,
        rows: Vec::new(),
        state: RequestState::Pending,
        outbox: Vec::new(),
        n_events: 0,
        callback_event: None,
        due_at: None,
        revision: 0,
    };
    let subscriptions = app.core.webhooks.subscriptions(owner).await;
    let request = request.begin(subscriptions);
    if let Some(found) = idempotency::create(app, keyed, &request).await? {
        return replay(app, found, now).await;
    }
    app.core.hints.send_for_request(&request, true, app.core.now()).await;
    tracing::info!(
        request.id = %request.id,
        account.id = %request.owner.account,
        trace.id = request.trace.map(tracing::field::display),
        RequestsCreated = 1,
        "created a request"
    );
    Ok(Made { request, is_replayed: false })
}

/// What a repeated call made, as it is now.
async fn replay(app: &App, found: Request, now: Timestamp) -> Result<Made, Problem> {
    if let RequestState::Erased { .. } = found.state {
        return Err(Problem::not_found());
    }
    // The first call may have died before it sent its hint.
    app.core.hints.send_for_request(&found, false, now).await;
    Ok(Made { request: found, is_replayed: true })
}

/// What the body asks for, or everything that is wrong with it.
pub(crate) fn read(body: Value) -> Result<Draft, Problem> {
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let question = question::read(&mut fields, &mut faults);
    let timeout_seconds = policy::timeout(&mut fields, &mut faults);
    let (policy, probe) = policy::read(&mut fields, &question, &mut faults);
    fields.finish(&mut faults);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    Ok(Draft { question, policy, timeout_seconds, probe, channel: None })
}

#[cfg(test)]
pub(crate) mod tests;
