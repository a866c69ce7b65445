//! The secret that signs the account's callbacks.

use answerback::{
    api::{Code, Problem, views::SecretView},
    domain::{Scope, Secrets},
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

/// Shows the account's secret: a preview, or all of it with `reveal=true`.
pub(crate) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reader = SecretReader::identify(&app, &headers, &mut parameters).await?;
    parameters.finish()?;
    let account = app.core.accounts.account_now(reader.caller.account()).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    if reader.extent == Extent::Whole {
        reader.caller.audit("revealed", "the account's secret");
    }
    reader.view(&app, &account.secrets).await
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

    /// The secret that signs now.
    pub(crate) async fn view(&self, app: &App, secrets: &Secrets) -> Result<Response, Problem> {
        let now = app.core.now();
        let current = secrets.live(now).next().filter(|_| self.extent == Extent::Whole);
        let text = match current {
            Some(current) => Some(app.core.vault.open(self.caller.account(), current, now).await?),
            None => None,
        };
        let view = SecretView::new(secrets, now, text.as_ref());
        let view = view.ok_or_else(|| Problem::new(Code::Internal, "no secret signs"))?;
        Ok(axum::Json(view).into_response())
    }
}
