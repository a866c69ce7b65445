//! Settles what time has decided. The sweep, a worker and a reader all do it, with this code.

use jiff::Timestamp;

use crate::{
    api::views,
    domain::{OpId, Request, request::RequestState},
    platform::{Clock, Entropy, Hints},
    service::Webhooks,
    store::{self, AdvanceError, Store, advance},
};

/// `request` as it is at `now`: timed out if it is overdue, without its result if nobody read it
/// in time. Gives nothing if it is no longer there.
pub async fn settle(
    store: &Store,
    webhooks: &Webhooks,
    mut request: Request,
    now: Timestamp,
    op: OpId,
) -> Result<Option<Request>, store::Error> {
    if request.state == RequestState::Pending && request.is_overdue(now) {
        webhooks.attend(&mut request).await;
    }
    let audience = request.audience;
    let step = |it: &Request| {
        let it = it.heard_by(audience);
        Ok::<_, std::convert::Infallible>(it.time_out(now, op).or_else(|| it.expire_result(now)))
    };
    match advance(store, request, step).await {
        Ok(request) => {
            if matches!(&request.state, RequestState::Ended(end) if end.op == op) {
                log_time_out(&request, now);
            }
            Ok(Some(request))
        }
        // So much is going on with it that somebody else will settle it.
        Err(AdvanceError::Gone | AdvanceError::Contended) => Ok(None),
        Err(AdvanceError::Refused(never)) => match never {},
        Err(AdvanceError::Store(err)) => Err(err),
    }
}

fn log_time_out(request: &Request, now: Timestamp) {
    let lateness = now.duration_since(request.deadline).as_millis();
    tracing::info!(
        request.id = %request.id,
        account.id = %request.account,
        Outcome = views::request_outcome(request),
        RequestsFinished = 1,
        TimeoutLateness = i64::try_from(lateness).unwrap_or(i64::MAX),
        "settled a time-out"
    );
}

/// [`settle`] for somebody who is only looking: costs nothing where there is nothing to settle,
/// and lets the workers know where there was.
pub async fn settled(
    store: &Store,
    webhooks: &Webhooks,
    hints: &Hints,
    clock: &Clock,
    entropy: &Entropy,
    request: Request,
) -> Result<Option<Request>, store::Error> {
    let now = clock.now();
    if !request.is_overdue(now) {
        return Ok(Some(request));
    }
    let op = OpId::new(entropy.next());
    let request = settle(store, webhooks, request, now, op).await?;
    if let Some(request) = &request
        && matches!(&request.state, RequestState::Ended(end) if end.op == op)
    {
        hints.send_for_request(request, false, now).await;
    }
    Ok(request)
}
