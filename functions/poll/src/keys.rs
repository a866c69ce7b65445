//! The list of API keys.

use answerback::{
    api::{Problem, views::KeyView},
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
