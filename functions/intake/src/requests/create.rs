//! `POST /v1/requests`, and the creation of requests for all fronts.

use answerback::{
    api::{
        Problem,
        body::Sent,
        http::{CalledHost, JsonText, trace},
        views::ProbeView,
    },
    domain::{
        ChannelId, IdempotentCall, Owner, Request, RequestId, Scope,
        request::{Callback, LinkSecret, NewRequest, RequestState},
        secret::Holder,
    },
    service::{
        Caller,
        requests::{self, callback_delivery},
    },
    store::keys,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};

use jiff::Timestamp;

use super::{
    body::{self, NewRequestBody},
    notify::{self, Asking},
};
use crate::{
    App,
    callback::{self, PendingProbe, Submission},
    idempotency,
};

const PATH: &str = "/v1/requests";

/// A call that creates a request, but for its body.
pub(crate) struct CreateCall<'a> {
    pub(crate) owner: Owner,
    /// The caller that asks. None for a message to a channel.
    pub(crate) asker: Option<&'a Caller>,
    /// Separates idempotency keys.
    pub(crate) path: &'a str,
    pub(crate) host: &'a CalledHost,
    pub(crate) headers: &'a HeaderMap,
    /// The channel of a message of the Ping front.
    pub(crate) channel: Option<ChannelId>,
}

/// A request that this call or an earlier one with its idempotency key created.
pub(crate) struct CreatedRequest {
    pub(crate) request: Request,
    pub(crate) is_replayed: bool,
    /// The result of probing the callback's receiver, if it was probed.
    pub(crate) probe: Option<ProbeView>,
}

/// Creates a request.
pub(crate) async fn create(
    State(app): State<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsAsk).await?;
    let body = body?;
    let owner = caller.owner();
    let asker = Some(&caller);
    let call =
        CreateCall { owner, asker, path: PATH, host: &host, headers: &headers, channel: None };
    // Boxed, because each layer around a handler moves its future.
    let CreatedRequest { request, is_replayed, probe } =
        Box::pin(create_from(&app, call, body, body::read)).await?;
    let delivery =
        if is_replayed { callback_delivery(&app.core.store, &request).await? } else { None };
    let view = requests::view(&request, delivery.as_ref(), &caller, app.core.now());
    let view = view.with_probe(probe);
    let location = format!("{PATH}/{}", request.id);
    let location = HeaderValue::from_str(&location).expect("an identifier is ASCII");
    let mut response =
        (StatusCode::CREATED, [(LOCATION, location)], axum::Json(view)).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

/// Creates the request that `read` finds in the body, unless an earlier call did.
pub(crate) async fn create_from(
    app: &App,
    call: CreateCall<'_>,
    body: impl Into<Sent>,
    read: impl FnOnce(Sent, Timestamp) -> Result<NewRequestBody, Problem>,
) -> Result<CreatedRequest, Problem> {
    let CreateCall { owner, asker, path, host, headers, channel } = call;
    let family = asker.and_then(Caller::family);
    let body = body.into();
    let op = app.core.new_op();
    let now = app.core.now();
    // A key that sees only its family's requests gets none of another key by a replay.
    let place = family.map_or_else(|| path.to_owned(), |it| format!("{path}#{it}"));
    let idempotent = idempotency::of_call(app, owner, headers, &place, &body.value).await?;
    let id = match idempotent {
        Some(it) => RequestId::from_bits(it.id_bits),
        None => RequestId::mint(now, app.core.entropy.next()),
    };
    let body = read(body, now);
    let is_limited = app.core.accounts.limits_asking(owner, asker).await?;
    let writes_once =
        |it: &NewRequestBody| it.policy.callback.is_none() && !it.question.is_about_long();
    // Where nothing is probed, counted, refused or written before, the write itself finds an earlier
    // request.
    let is_looked_up = is_limited || !body.as_ref().is_ok_and(writes_once);
    if is_looked_up
        && let Some(found) = idempotency::find(app, idempotent, keys::request(id)).await?
    {
        return replay(app, found).await;
    }

    let mut body = body?;
    if let Err(problem) = prepare(app, owner, asker, &mut body).await {
        return replay_or_refuse(app, idempotent, id, problem).await;
    }
    let NewRequestBody { question, mut policy, time_to_answer, probe, credentials, .. } = body;
    let is_counted = match app.core.accounts.check_pending_limit(owner).await {
        Ok(is_counted) => is_counted,
        Err(problem) => return replay_or_refuse(app, idempotent, id, problem).await,
    };
    let pending = match &mut policy.callback {
        None => PendingProbe::Done(None),
        Some(Callback { receiver, .. }) => {
            let (name, account) = (callback::URL, owner.account);
            let submission = Submission { receiver, name, probe, account, host };
            let pending = callback::check(app, submission).await?;
            receiver.credentials = credentials.seal(app, &Holder::Request(owner, id)).await?;
            pending
        }
    };
    // The time to answer starts after the check.
    let now = app.core.now();
    let new = NewRequest {
        id,
        owner,
        created_by: op,
        body_hash: idempotent.map(|it| it.body_hash),
        created_at: now,
        deadline: time_to_answer.deadline(now),
        question,
        policy,
        channel,
        family,
        trace: trace(headers),
        link_secret: LinkSecret(app.core.entropy.next().to_be_bytes()),
        is_counted,
        base_url: callback::base_url(app, headers, host),
        is_published: app.publishes,
    };
    let request = Request::begin(new, app.core.destinations.subscriptions(owner).await);
    // A call that was refused before does not count.
    if let Some(created) = count(app, asker, idempotent, &request, is_looked_up).await? {
        return Ok(created);
    }
    let (probe, stored) = futures::join!(pending.finish(app), store(app, idempotent, &request));
    match stored? {
        Some(found) => replay(app, found).await,
        None => Ok(CreatedRequest { request, is_replayed: false, probe }),
    }
}

/// Checks what the caller's key may ask, and adds what the body does not say: who asks, and by which
/// notifiers.
async fn prepare(
    app: &App,
    owner: Owner,
    asker: Option<&Caller>,
    body: &mut NewRequestBody,
) -> Result<(), Problem> {
    let NewRequestBody { question, policy, notify, has_assurance, .. } = body;
    if let Some(caller) = asker {
        app.core.accounts.check_ask(caller, question, policy)?;
    }
    let asking = Asking { owner, asker, body: notify, has_assurance: *has_assurance };
    notify::resolve(app, &asking, question, policy).await?;
    question.asked_by = app.core.accounts.asked_by(owner, asker).await?;
    Ok(())
}

/// Counts a new request and its messages, or returns the request of an earlier call.
async fn count(
    app: &App,
    asker: Option<&Caller>,
    idempotent: Option<IdempotentCall>,
    request: &Request,
    is_looked_up: bool,
) -> Result<Option<CreatedRequest>, Problem> {
    if let Some(caller) = asker
        && let Err(problem) = app.core.accounts.count_ask(caller).await
    {
        return replay_or_refuse(app, idempotent, request.id, problem).await.map(Some);
    }
    // Those of later steps count now, while the call can still be refused.
    let n_messages = request.n_reachable();
    if n_messages == 0 {
        return Ok(None);
    }
    // A repeated call sends nothing, so it does not count.
    if !is_looked_up
        && let Some(found) = idempotency::find(app, idempotent, keys::request(request.id)).await?
    {
        return replay(app, found).await.map(Some);
    }
    match app.core.accounts.count_messages(request.owner, n_messages).await {
        Ok(()) => Ok(None),
        Err(problem) => replay_or_refuse(app, idempotent, request.id, problem).await.map(Some),
    }
}

/// At a limit: an equal call may have created the request meanwhile, and filled it.
async fn replay_or_refuse(
    app: &App,
    idempotent: Option<IdempotentCall>,
    id: RequestId,
    problem: Problem,
) -> Result<CreatedRequest, Problem> {
    let found = idempotency::find(app, idempotent, keys::request(id)).await?;
    replay(app, found.ok_or(problem)?).await
}

/// Stores the request and sends its hint, or returns the request of a concurrent call that was faster.
async fn store(
    app: &App,
    call: Option<IdempotentCall>,
    request: &Request,
) -> Result<Option<Request>, Problem> {
    let found = idempotency::create(app, call, request).await?;
    if found.is_none() {
        app.core.hints.send_for_new_request(request, app.core.now()).await;
        log_created(request);
    }
    Ok(found)
}

/// The request of an earlier call, as it is now.
async fn replay(app: &App, found: Request) -> Result<CreatedRequest, Problem> {
    if let RequestState::Erased { .. } = found.state() {
        return Err(idempotency::gone());
    }
    // The first call may have died before it sent its hint.
    app.core.hints.send_for_request(&found).await;
    Ok(CreatedRequest { request: found, is_replayed: true, probe: None })
}

fn log_created(request: &Request) {
    tracing::info!(
        request.id = %request.id,
        account.id = %request.owner.account,
        trace.id = request.trace.map(tracing::field::display),
        RequestsCreated = 1,
        "created a request"
    );
}
