//! The list of API keys, and the calling key.

use answerback::{
    api::{
        Problem,
        views::{KeyView, OwnKeyView},
    },
    domain::{ApiKey, Scope},
    store::{Listed, Listing},
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    list::{PageQuery, Parameters, page},
};

/// Lists the keys of the caller's mode, including those that were revoked recently.
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::KeysWrite).await?;
    let PageQuery { limit, cursor } = parameters.page();
    parameters.finish()?;
    let owner = caller.owner();
    let Listing { items, next } =
        app.core.store.list::<ApiKey>(owner, Listed::Keys, limit, cursor.as_ref()).await?;
    let data = items.iter().map(KeyView::new).collect();
    Ok(axum::Json(page(data, next.as_ref())).into_response())
}

/// Shows the calling key: what it is and may do. Every key may.
pub(crate) async fn show_own(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.any_caller(&headers).await?;
    parameters.finish()?;
    Ok(axum::Json(OwnKeyView::new(caller.api_key())).into_response())
}
