//! Calls of Slack while it waits for our response, which it does for 3 seconds.

use std::time::Duration;

use answerback::{
    api::Problem,
    domain::{CallbackUrl, request::RequestState},
    egress::{HeaderMap, HeaderValue, Post, SlackAnswer, SlackApi, SlackError, USER_AGENT},
    notify::slack,
};
use axum::response::Response;
use serde_json::Value;
use url::Url;

use super::{Verified, accepted, open, payload::Tap};

/// Time for one call. There may be two.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_200);

impl Verified<'_> {
    /// The recipient can no longer answer.
    pub(super) fn is_over(&self) -> bool {
        *self.request.state() != RequestState::Pending
            || self.request.deadline <= self.app.core.now()
    }

    /// Calls a method of the API as the bot.
    pub(super) async fn call(
        &self,
        method: &str,
        body: &Value,
    ) -> Result<Result<SlackAnswer, SlackError>, Problem> {
        let token = open(self.app, &self.notifier, &self.settings.bot_token).await?;
        let api = SlackApi {
            egress: &self.app.egress,
            rules: &self.app.rules,
            api_url: &self.settings.api_url,
            token: &token,
            timeout: CALL_TIMEOUT,
        };
        Ok(api.call(method, body).await)
    }

    /// Shows a text in Slack's markup to the user who pressed the button, and to nobody else.
    pub(super) async fn reply(&self, tap: &Tap, text: &str) -> Result<Response, Problem> {
        let url = CallbackUrl::parse(&tap.response_url, &self.app.rules);
        let Some(url) = url.ok().filter(|_| self.is_slacks(&tap.response_url)) else {
            return Ok(accepted());
        };
        let body = slack::whisper(&self.request, text);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("user-agent", HeaderValue::from_static(USER_AGENT));
        let body = body.to_string().into_bytes();
        let post = Post { url, headers, body, timeout: CALL_TIMEOUT };
        if let Err(err) = self.app.egress.post(post).await {
            tracing::warn!(
                request.id = %self.request.id,
                error = &err as &(dyn std::error::Error + 'static),
                "could not reply to a press of a button"
            );
        }
        Ok(accepted())
    }

    /// The URL is on a host of the same domain as the API.
    fn is_slacks(&self, url: &str) -> bool {
        let host = |it: &str| Url::parse(it).ok()?.host_str().map(str::to_owned);
        let (Some(host), Some(api)) = (host(url), host(&self.settings.api_url)) else {
            return false;
        };
        host == api || host.strip_suffix(&api).is_some_and(|it| it.ends_with('.'))
    }
}
