//! Which channels an account has, and what signs their callbacks.

use answerback::{
    api::{Problem, views::ChannelView},
    domain::{Channel, Scope},
    fronts::ping::find,
    store::{Listed, Listing},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    list::{Parameters, Wanted, page},
    secret,
};

/// Lists the channels of the caller's mode.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let Wanted { limit, cursor } = parameters.page();
    parameters.finish()?;
    let owner = caller.owner();
    let Listing { items, next } =
        app.core.store.list::<Channel>(owner, Listed::Channels, limit, cursor.as_ref()).await?;
    // The index lags behind a deletion.
    let there = items.iter().filter(|it| !it.is_deleted());
    Ok(axum::Json(page(there.map(ChannelView::new).collect(), next.as_ref())).into_response())
}

/// Shows the ends of a channel's secret, or all of it to who may see it.
pub(crate) async fn show_secret(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let (caller, reveals) = secret::caller(&app, &headers, &mut parameters).await?;
    parameters.finish()?;
    let channel = find(&app.core.store, caller.owner(), &id).await?;
    if reveals {
        caller.audit("revealed the secret of a channel", &channel.id.to_string());
    }
    secret::view(&app, &caller, channel.secrets(), reveals).await
}
