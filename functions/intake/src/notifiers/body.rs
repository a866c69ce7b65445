//! The body of a notifier, whole or as a patch.

use answerback::{
    api::{
        FieldError, Problem,
        body::{self, Object},
    },
    domain::{
        Notifier, NotifierKind,
        notifier::{
            EmailSettings, EmailTransport, NOTIFIER_NAME_CHARS_MAX, NotifierSettings,
            SlackSettings, SmtpTls,
        },
        slack::SlackId,
    },
};
use serde_json::{Map, Value, json};

use super::{
    kept::Kept,
    settings::{Context, SMTP_MEMBERS, SettingsBody},
};
use crate::{App, merge::merge};

/// A notifier as its owner describes it.
pub(super) struct NotifierBody {
    pub(super) name: Option<String>,
    pub(super) settings: SettingsBody,
    pub(super) is_enabled: bool,
    pub(super) is_default: bool,
}

impl NotifierBody {
    /// Reads the body of a creation.
    pub(super) fn read(app: &App, body: Value) -> Result<Self, Problem> {
        Self::read_with(app, body, &Kept::none())
    }

    /// `notifier` after `patch` (RFC 7396: null resets a member to its default). Secrets that the patch
    /// does not name stay, unless they would go to another server.
    pub(super) fn patch(app: &App, notifier: &Notifier, patch: Value) -> Result<Self, Problem> {
        let Value::Object(mut patch) = patch else { return Self::read(app, patch) };
        let kept = Kept::of_patch(&notifier.settings, &mut patch);
        let mut whole = body_of(notifier);
        if patch.get("settings").and_then(|it| it.get("transport")) == Some(&json!("ses"))
            && let Some(Value::Object(settings)) = whole.get_mut("settings")
        {
            settings.retain(|name, _| !SMTP_MEMBERS.contains(&&**name));
        }
        merge(&mut whole, patch);
        if whole.get("kind") != Some(&json!(notifier.kind().as_str())) {
            let detail = "must not change; create another notifier";
            return Err(Problem::invalid(vec![FieldError::pointer("/kind", detail)]));
        }
        Self::read_with(app, Value::Object(whole), &kept)
    }

    fn read_with(app: &App, body: Value, kept: &Kept<'_>) -> Result<Self, Problem> {
        let context = Context { is_development: app.rules.is_development, kept };
        body::read(body, |body| Self::of(body, context))
    }

    fn of(body: &mut Object<'_>, context: Context<'_>) -> Option<Self> {
        body.require("kind");
        let kind = body.word("kind", &NotifierKind::ALL.map(|it| (it.as_str(), it)));
        let name = body.optional_line("name", NOTIFIER_NAME_CHARS_MAX);
        let is_enabled = body.flag("enabled").unwrap_or(true);
        let is_default = body.flag("default").unwrap_or(false);
        body.require("settings");
        // Without a kind, the members of the settings are unknown.
        let Some(kind) = kind else {
            body.take("settings");
            return None;
        };
        let settings = body.object("settings", |it| SettingsBody::read(it, kind, context));
        Some(Self { name, settings: settings.flatten()?, is_enabled, is_default })
    }
}

/// The body that describes `notifier`, without secrets.
fn body_of(notifier: &Notifier) -> Map<String, Value> {
    let mut whole = Map::new();
    let mut set = |name: &str, value: Value| _ = whole.insert(name.to_owned(), value);
    set("kind", notifier.kind().as_str().into());
    set("name", notifier.name.clone().into());
    set("enabled", notifier.is_enabled().into());
    set("default", notifier.is_default.into());
    set("settings", settings_of(&notifier.settings));
    whole
}

fn settings_of(settings: &NotifierSettings) -> Value {
    match settings {
        NotifierSettings::Email(it) => email_of(it),
        NotifierSettings::Slack(it) => slack_of(it),
        NotifierSettings::Ntfy(it) => json!({ "url": it.url, "buttons": it.buttons }),
        NotifierSettings::IncomingWebhook(it) => json!({ "format": it.format.as_str() }),
        NotifierSettings::Webhook(it) => json!({ "url": it.url }),
    }
}

fn slack_of(slack: &SlackSettings) -> Value {
    let channel = slack.default_channel.as_ref().map(SlackId::as_str);
    json!({ "api_url": slack.api_url, "team_id": slack.team_id.as_str(), "default_channel": channel })
}

fn email_of(email: &EmailSettings) -> Value {
    let reply_to = email.reply_to.as_ref().map(ToString::to_string);
    let mut settings = json!({ "from": email.from.as_str(), "reply_to": reply_to });
    match &email.transport {
        EmailTransport::Ses => settings["transport"] = json!("ses"),
        EmailTransport::Smtp(server) => {
            settings["transport"] = json!("smtp");
            settings["host"] = json!(server.host);
            settings["port"] = json!(server.port);
            settings["username"] = json!(server.login.as_ref().map(|it| &it.username));
            // The usual way is left out, so that it follows a change of the port.
            if server.tls != SmtpTls::usual(server.port) {
                settings["tls"] = json!(server.tls.as_str());
            }
        }
    }
    settings
}
