//! The settings of a Slack app's bot.

use answerback::{
    api::{Problem, body::Object},
    domain::{
        limits::WEBHOOK_URL_CHARS_MAX,
        notifier::{SLACK_API, SlackSettings},
        secret::Holder,
        slack::{SlackId, SlackIdKind},
    },
};

use super::{
    kept::Kept,
    secret::{Secret, TOKEN},
};
use crate::App;

/// Most characters of an identifier.
const ID_CHARS_MAX: usize = 20;

/// Settings as a caller sends them.
pub(super) struct SlackBody {
    pub(super) api_url: String,
    bot_token: Secret,
    signing_secret: Secret,
    team_id: SlackId,
    default_channel: Option<SlackId>,
}

impl SlackBody {
    /// Reads the settings. Stored secrets stay while the API stays at the same server.
    pub(super) fn read(settings: &mut Object<'_>, kept: &Kept<'_>) -> Option<Self> {
        let api_url = settings.text("api_url", 1..=WEBHOOK_URL_CHARS_MAX);
        let api_url = api_url.unwrap_or_else(|| SLACK_API.to_owned());
        let api_url = format!("{}/", api_url.trim_end_matches('/'));
        let stored = kept.slack(&api_url);
        let mut secret = |name, stored: Option<_>| {
            if stored.is_none() && !settings.has(name) {
                settings.error(name, kept.required());
            }
            Secret::read(settings, name, TOKEN, stored)
        };
        let bot_token = secret("bot_token", stored.and_then(|it| it.bot_token));
        let signing_secret = secret("signing_secret", stored.and_then(|it| it.signing_secret));
        settings.require("team_id");
        let team_id = slack_id(settings, "team_id", SlackIdKind::Team);
        let default_channel = slack_id(settings, "default_channel", SlackIdKind::Channel);
        Some(Self {
            api_url,
            bot_token: bot_token?,
            signing_secret: signing_secret?,
            team_id: team_id?,
            default_channel,
        })
    }

    /// The settings, with their secrets sealed for `holder`.
    pub(super) async fn seal(self, app: &App, holder: &Holder) -> Result<SlackSettings, Problem> {
        let Self { api_url, bot_token, signing_secret, team_id, default_channel } = self;
        let bot_token = bot_token.seal(app, holder).await?;
        let signing_secret = signing_secret.seal(app, holder).await?;
        Ok(SlackSettings { api_url, bot_token, signing_secret, team_id, default_channel })
    }
}

/// Reads an identifier. One of another kind would bring a message, and its link, to others.
pub(crate) fn slack_id(body: &mut Object<'_>, name: &str, kind: SlackIdKind) -> Option<SlackId> {
    let text = body.text(name, 1..=ID_CHARS_MAX)?;
    let id = SlackId::parse(&text).filter(|it| it.is(kind));
    if id.is_none() {
        let [usual, other] = kind.letters();
        let what = match kind {
            SlackIdKind::Team => "a workspace",
            SlackIdKind::User => "a user",
            SlackIdKind::Channel => "a channel",
        };
        let detail =
            format!("must be Slack's identifier of {what}: {usual} or {other}, then A-Z and 0-9");
        body.error(name, detail);
    }
    id
}
