//! Deliveries, and the attempts that were made for them.

use answerback::{
    api::{
        FieldError, Problem,
        views::{AttemptView, DeliveryView, delivery_status},
    },
    domain::{
        Attempt, AttemptId, Delivery, DeliveryId, EventId, RequestId, Scope, WebhookId, WebhookRef,
        account::LIST_SHARDS, delivery::Target,
    },
    service::Caller,
    store::{self, Cursor, Listing, Related, keys},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    list::{PageQuery, Parameters, page},
    webhooks,
};

const STATUSES: [&str; 5] = ["pending", "delivered", "failed", "dead_lettered", "cancelled"];

/// The filters of a list of deliveries. `W` names a webhook.
struct Filters<W> {
    status: Option<&'static str>,
    request: Option<RequestId>,
    event: Option<EventId>,
    webhook: Option<W>,
}

/// Lists deliveries.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let query = parameters.page();
    let filters = Filters::take(&mut parameters);
    parameters.finish()?;
    let Some(filters) = filters.resolve(&app, &caller).await? else {
        // No webhook has this id, so it has no deliveries.
        return Ok(axum::Json(page(Vec::<DeliveryView<'_>>::new(), None)).into_response());
    };
    let Listing { items, next } = filters.load(&app, &caller, &query).await?;
    let is_shown = |it: &&Delivery| is_own(it, &caller) && filters.match_delivery(it);
    let data = items.iter().filter(is_shown).map(DeliveryView::new).collect();
    Ok(axum::Json(page(data, next.as_ref())).into_response())
}

/// Shows a delivery.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let delivery = find(&app, &caller, id).await?;
    Ok(axum::Json(DeliveryView::new(&delivery)).into_response())
}

/// Lists the attempts of a delivery.
pub(crate) async fn list_attempts(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let PageQuery { limit, cursor } = parameters.page();
    let id = parameters.text("delivery_id");
    parameters.finish()?;
    let id = id.ok_or_else(|| {
        Problem::invalid(vec![FieldError::parameter("delivery_id", "is required")])
    })?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let delivery = find(&app, &caller, id).await?;
    let Listing { items, mut next } = app.core.store.attempts(id, limit, cursor.as_ref()).await?;
    let mut data: Vec<_> = items.iter().map(|it| AttemptView::new(it, Some(&delivery))).collect();
    // The first one is the last of the list.
    if let (Some(first), None) = (&delivery.first_attempt, &next) {
        match items.last().filter(|_| items.len() == usize::try_from(limit).unwrap_or(0)) {
            Some(last) => next = Some(Cursor::after(keys::attempt(last.id), last.started_at)),
            None => data.push(AttemptView::new(first, Some(&delivery))),
        }
    }
    Ok(axum::Json(page(data, next.as_ref())).into_response())
}

/// Shows an attempt.
pub(crate) async fn show_attempt(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let id: AttemptId = id.parse().map_err(|_| Problem::not_found())?;
    let delivery = find(&app, &caller, id.delivery()).await?;
    let first = delivery.first_attempt.as_deref().filter(|it| it.id == id);
    if let Some(first) = first {
        return Ok(axum::Json(AttemptView::new(first, Some(&delivery))).into_response());
    }
    let attempt: Option<Attempt> = app.core.store.get(keys::attempt(id)).await?;
    let attempt = attempt.ok_or_else(Problem::not_found)?;
    Ok(axum::Json(AttemptView::new(&attempt, Some(&delivery))).into_response())
}

impl Filters<WebhookId> {
    /// Takes the filters out of the query.
    fn take(parameters: &mut Parameters) -> Self {
        Self {
            status: parameters.parsed("status", &STATUSES.join(" or "), |it| {
                STATUSES.into_iter().find(|status| *status == it)
            }),
            request: parameters.parsed("request_id", "the id of a request", |it| it.parse().ok()),
            event: parameters.parsed("event_id", "the id of an event", |it| it.parse().ok()),
            webhook: parameters.parsed("webhook_id", "the id of a webhook", WebhookId::parse),
        }
    }

    /// The filters with the webhook that has this id now. `None`: there is none.
    async fn resolve(
        self,
        app: &App,
        caller: &Caller,
    ) -> Result<Option<Filters<WebhookRef>>, store::Error> {
        let webhook = match &self.webhook {
            None => None,
            Some(id) => match webhooks::find_by_id(app, caller, id).await? {
                Some(webhook) => Some(webhook.reference()),
                None => return Ok(None),
            },
        };
        let Self { status, request, event, .. } = self;
        Ok(Some(Filters { status, request, event, webhook }))
    }
}

impl Filters<WebhookRef> {
    /// A page of the narrowest list that covers a filter. That of an event or request may belong to
    /// another account.
    async fn load(
        &self,
        app: &App,
        caller: &Caller,
        query: &PageQuery,
    ) -> Result<Listing<Delivery>, store::Error> {
        let (store, owner, cursor) = (&app.core.store, caller.owner(), query.cursor.as_ref());
        let mut listing = match (self.event, self.request, &self.webhook) {
            (Some(event), _, _) => store.deliveries_of_event(event, query.limit, cursor).await?,
            (_, Some(request), _) => {
                store.deliveries_of_request(request, query.limit, cursor).await?
            }
            (_, _, Some(webhook)) => {
                let related = Related::WebhookDeliveries(owner, webhook.clone());
                return store.related(&related, query.limit, cursor).await;
            }
            _ => {
                // Another process may know a larger number than the one that is cached here.
                let account = app.core.accounts.account_now(owner.account).await?;
                let n_shards = account.map_or(LIST_SHARDS, |it| it.n_list_shards);
                return store.deliveries(owner, n_shards, query.limit, cursor).await;
            }
        };
        // All deliveries of a request have one owner. A cursor would reveal another account's.
        let is_visible = listing.items.iter().any(|it| is_own(it, caller));
        listing.next = listing.next.filter(|_| is_visible);
        Ok(listing)
    }

    fn match_delivery(&self, it: &Delivery) -> bool {
        self.webhook.as_ref().is_none_or(|webhook| Some(webhook) == it.webhook.as_ref())
            && self.request.is_none_or(|request| Some(request) == it.request())
            && self.event.is_none_or(|event| event == it.event())
            && self.status.is_none_or(|status| status == delivery_status(it))
    }
}

async fn find(app: &App, caller: &Caller, id: DeliveryId) -> Result<Delivery, Problem> {
    let delivery: Option<Delivery> = app.core.store.get(keys::delivery(id)).await?;
    delivery.filter(|it| is_own(it, caller)).ok_or_else(Problem::not_found)
}

/// Messages to recipients are shown as notifications of their request.
fn is_own(delivery: &Delivery, caller: &Caller) -> bool {
    delivery.owner == caller.owner()
        && !matches!(delivery.target, Target::Message(_) | Target::Update(_))
}
