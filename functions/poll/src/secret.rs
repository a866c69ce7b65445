//! The secrets that sign the account's callbacks.

use answerback::{
    api::{Code, Problem, views::SecretView},
    domain::{Scope, Secrets, Source, secret::Holder},
    service::Caller,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{App, list::Parameters};

/// The part of a secret that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Preview,
    Whole,
}

/// A caller who may see this much of a secret.
pub(crate) struct SecretReader {
    pub(crate) caller: Caller,
    pub(crate) extent: Extent,
}

/// Shows the secret for results of requests: a preview, or all of it with `reveal=true`.
pub(crate) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    show_of(&app, Source::Requests, &headers, parameters).await
}

/// Shows the secret for posted events: a preview, or all of it with `reveal=true`.
pub(crate) async fn show_for_events(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    show_of(&app, Source::Events, &headers, parameters).await
}

async fn show_of(
    app: &App,
    source: Source,
    headers: &HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reader = SecretReader::identify(app, headers, &mut parameters).await?;
    parameters.finish()?;
    let owner = reader.caller.owner();
    let account = app.core.accounts.account_now(owner.account).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    if reader.extent == Extent::Whole {
        let what = match source {
            Source::Requests => "the account's secret for requests",
            Source::Events => "the account's secret for events",
        };
        reader.caller.audit("revealed", what);
    }
    let holder = Holder::Account(owner, source);
    reader.view(app, &holder, account.secrets.of(owner.mode, source)).await
}

impl SecretReader {
    /// The caller. A whole secret needs the scope `secrets:read`.
    pub(crate) async fn identify(
        app: &App,
        headers: &HeaderMap,
        parameters: &mut Parameters,
    ) -> Result<Self, Problem> {
        let reveal = parameters.parsed("reveal", "true or false", |it| it.parse::<bool>().ok());
        let (extent, scope) = match reveal {
            Some(true) => (Extent::Whole, Scope::SecretsRead),
            Some(false) | None => (Extent::Preview, Scope::WebhooksRead),
        };
        Ok(Self { caller: app.core.accounts.caller(headers, scope).await?, extent })
    }

    /// The secret of `holder` that signs now.
    pub(crate) async fn view(
        &self,
        app: &App,
        holder: &Holder,
        secrets: &Secrets,
    ) -> Result<Response, Problem> {
        let now = app.core.now();
        let current = secrets.live(now).next().filter(|_| self.extent == Extent::Whole);
        let text = match current {
            Some(current) => Some(app.core.vault.open(holder, current, now).await?),
            None => None,
        };
        let view = SecretView::new(secrets, now, text.as_ref());
        let view = view.ok_or_else(|| Problem::new(Code::Internal, "no secret signs"))?;
        Ok(axum::Json(view).into_response())
    }
}
