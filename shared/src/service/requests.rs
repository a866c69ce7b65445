//! Requests as API callers see them: finding and showing.

use std::time::Duration;

use crate::{
    api::{
        Problem,
        views::{RequestView, Viewer},
    },
    domain::{
        Delivery, Request, RequestId, Scope,
        delivery::CALLBACK,
        request::{CLOCK_GUARD, RequestState},
    },
    service::{Caller, Core, Hold},
    store::{Error, Store, keys},
};
use jiff::Timestamp;

/// Pause after the first read of a request that a client waits for. Each further pause doubles.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(250);
/// Longest pause between two reads of such a request.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// The request `id`, if the caller may see it and it was not erased.
///
/// The caller gets the same answer for a malformed identifier, an unknown one, another account's, and
/// for a key that sees only its own family's requests, another key's.
pub async fn find(store: &Store, caller: &Caller, id: &str) -> Result<Request, Problem> {
    let id: RequestId = id.parse().map_err(|_| Problem::not_found())?;
    let request: Option<Request> = store.get(keys::request(id)).await?;
    request.filter(|it| is_visible(it, caller)).ok_or_else(Problem::not_found)
}

/// `caller` may see `request`.
pub fn is_visible(request: &Request, caller: &Caller) -> bool {
    caller.sees(request) && !matches!(request.state, RequestState::Erased { .. })
}

/// The request once it has ended, or as it is when `hold` ends.
pub async fn wait_for_end(
    core: &Core,
    caller: &Caller,
    id: &str,
    hold: &mut Hold,
) -> Result<Request, Problem> {
    let mut pause = POLL_INTERVAL_MIN;
    loop {
        let request = find(&core.store, caller, id).await?;
        let request = core.settled(request).await?;
        // It may have been erased since it was loaded.
        let request = request.filter(|it| is_visible(it, caller));
        let request = request.ok_or_else(Problem::not_found)?;
        if *request.state() != RequestState::Pending {
            return Ok(request);
        }
        let left = hold.begin(core, caller).await;
        if left.is_zero() {
            return Ok(request);
        }
        // Wakes up as soon as the deadline can be settled.
        let until_settled = (request.deadline + CLOCK_GUARD).duration_since(core.now());
        let until_settled = Duration::try_from(until_settled).unwrap_or_default();
        core.clock.sleep(pause.min(left).min(until_settled.max(POLL_INTERVAL_MIN))).await;
        pause = (pause * 2).min(POLL_INTERVAL_MAX);
    }
}

/// The latest delivery to the callback of `request`, if one was dispatched.
pub async fn callback_delivery(
    store: &Store,
    request: &Request,
) -> Result<Option<Delivery>, Error> {
    let Some(number) = request.callback_event else { return Ok(None) };
    let id = Delivery::id_of(request.id.event(number), request.created_by, CALLBACK);
    store.get(keys::delivery(id)).await
}

/// The view of `request` for `caller`.
pub fn view<'a>(
    request: &'a Request,
    delivery: Option<&'a Delivery>,
    caller: &Caller,
    now: Timestamp,
) -> RequestView<'a> {
    let sees_links = caller.may(Scope::LinksRead);
    RequestView::new(request, Viewer { now, sees_links, delivery })
}
