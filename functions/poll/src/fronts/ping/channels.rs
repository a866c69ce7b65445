//! Channels and their secrets.

use answerback::{
    api::Problem,
    domain::{Channel, Scope, secret::Holder},
    fronts::ping::{ChannelView, find},
    store::{Listed, Listing},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    list::{PageQuery, Parameters, page},
    secret::{Extent, SecretReader},
};

/// Lists the channels of the caller's mode.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::WebhooksRead).await?;
    let PageQuery { limit, cursor } = parameters.page();
    parameters.finish()?;
    let owner = caller.owner();
    let Listing { items, next } =
        app.core.store.list::<Channel>(owner, Listed::Channels, limit, cursor.as_ref()).await?;
    // The index may still have a channel that was just deleted.
    let kept = items.iter().filter(|it| !it.is_deleted());
    Ok(axum::Json(page(kept.map(ChannelView::new).collect(), next.as_ref())).into_response())
}

/// Shows the secret of a channel: a preview, or all of it with `reveal=true`.
pub(crate) async fn show_secret(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reader = SecretReader::identify(&app, &headers, &mut parameters).await?;
    parameters.finish()?;
    let channel = find(&app.core.store, reader.caller.owner(), &id).await?;
    if reader.extent == Extent::Whole {
        reader.caller.audit("revealed the secret of a channel", &channel.id.to_string());
    }
    let holder = Holder::Channel(channel.owner, channel.id);
    reader.view(&app, &holder, channel.secrets()).await
}
