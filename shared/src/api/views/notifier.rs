//! Notifiers.

use serde::Serialize;

use super::{Time, webhook::AuthView};
use crate::domain::{
    EmailAddress, Notifier,
    notifier::{
        EmailSettings, EmailTransport, NotifierDisableReason, NotifierDisabled, NotifierSettings,
        SmtpServer,
    },
    slack::SlackId,
};

/// Stands for a secret that is set.
pub const MASK: &str = "***";

/// A notifier, without its secrets.
#[derive(Debug, Serialize)]
pub struct NotifierView<'a> {
    id: String,
    kind: &'static str,
    name: Option<&'a str>,
    settings: SettingsView<'a>,
    enabled: bool,
    default: bool,
    disabled: Option<DisabledView>,
    created_at: Time,
    updated_at: Time,
    livemode: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum SettingsView<'a> {
    Email {
        transport: &'static str,
        from: &'a str,
        reply_to: Option<&'a str>,
        #[serde(flatten)]
        server: Option<ServerView<'a>>,
    },
    Slack {
        api_url: &'a str,
        bot_token: &'static str,
        signing_secret: &'static str,
        team_id: &'a str,
        default_channel: Option<&'a str>,
    },
    Ntfy {
        url: &'a str,
        topic: &'static str,
        token: Option<&'static str>,
        buttons: bool,
    },
    IncomingWebhook {
        url: &'static str,
        origin: &'a str,
        format: &'static str,
    },
    Webhook {
        url: &'a str,
        auth: Option<AuthView<'a>>,
        header_names: Vec<&'a str>,
    },
}

#[derive(Debug, Serialize)]
struct ServerView<'a> {
    host: &'a str,
    port: u16,
    tls: &'static str,
    username: Option<&'a str>,
    password: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct DisabledView {
    reason: &'static str,
    at: Time,
}

impl<'a> NotifierView<'a> {
    /// The view of `notifier`.
    pub fn new(notifier: &'a Notifier) -> Self {
        Self {
            id: notifier.id.to_string(),
            kind: notifier.kind().as_str(),
            name: notifier.name.as_deref(),
            settings: SettingsView::new(&notifier.settings),
            enabled: notifier.disabled.is_none(),
            default: notifier.is_default,
            disabled: notifier.disabled.map(DisabledView::new),
            created_at: Time(notifier.created_at),
            updated_at: Time(notifier.updated_at),
            livemode: notifier.owner.mode.is_live(),
        }
    }
}

impl<'a> SettingsView<'a> {
    fn new(settings: &'a NotifierSettings) -> Self {
        match settings {
            NotifierSettings::Email(EmailSettings { from, reply_to, transport }) => {
                let (transport, server) = match transport {
                    EmailTransport::Ses => ("ses", None),
                    EmailTransport::Smtp(server) => ("smtp", Some(ServerView::new(server))),
                };
                let reply_to = reply_to.as_ref().map(EmailAddress::as_given);
                Self::Email { transport, from: from.as_str(), reply_to, server }
            }
            NotifierSettings::Slack(it) => Self::Slack {
                api_url: &it.api_url,
                bot_token: MASK,
                signing_secret: MASK,
                team_id: it.team_id.as_str(),
                default_channel: it.default_channel.as_ref().map(SlackId::as_str),
            },
            NotifierSettings::Ntfy(it) => Self::Ntfy {
                url: &it.url,
                topic: MASK,
                token: it.token.as_ref().map(|_| MASK),
                buttons: it.buttons,
            },
            NotifierSettings::IncomingWebhook(it) => {
                Self::IncomingWebhook { url: MASK, origin: &it.origin, format: it.format.as_str() }
            }
            NotifierSettings::Webhook(it) => Self::Webhook {
                url: &it.url,
                auth: it.credentials.auth.as_ref().map(|it| AuthView::new(&it.kind)),
                header_names: it.credentials.headers.iter().map(|it| &*it.name).collect(),
            },
        }
    }
}

impl<'a> ServerView<'a> {
    fn new(server: &'a SmtpServer) -> Self {
        Self {
            host: &server.host,
            port: server.port,
            tls: server.tls.as_str(),
            username: server.login.as_ref().map(|it| &*it.username),
            password: server.login.as_ref().map(|_| MASK),
        }
    }
}

impl DisabledView {
    fn new(disabled: NotifierDisabled) -> Self {
        let reason = match disabled.reason {
            NotifierDisableReason::ByHand => "by_hand",
            NotifierDisableReason::Refused => "refused",
        };
        Self { reason, at: Time(disabled.at) }
    }
}
