//! The kinds of notifiers, and their settings.

use crate::domain::{
    EmailAddress, Mailbox, NotifierKind, breaker::Authority, delivery::Credentials, secret::Sealed,
    slack::SlackId,
};

/// The ports of mail submission: implicit TLS (RFC 8314), STARTTLS (RFC 6409), and the one that hosters
/// offer where networks block these.
pub const SMTP_PORTS: [u16; 3] = [IMPLICIT_TLS_PORT, 587, 2525];
/// The port on which TLS begins at once.
const IMPLICIT_TLS_PORT: u16 = 465;

/// The address of Slack's API.
pub const SLACK_API: &str = "https://slack.com/api/";

/// The kind of a notifier, and its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum NotifierSettings {
    /// E-mail.
    Email(EmailSettings),
    /// Slack, by a bot.
    Slack(SlackSettings),
    /// A topic of an [ntfy](https://ntfy.sh) server.
    Ntfy(NtfySettings),
    /// A URL that a chat program made for messages.
    IncomingWebhook(IncomingWebhookSettings),
    /// The account's own system, which brings the link to people.
    Webhook(OwnSystemSettings),
}

/// The settings of e-mail.
#[derive(Clone, Debug, PartialEq)]
pub struct EmailSettings {
    /// The sender.
    pub from: Mailbox,
    /// The address for replies.
    pub reply_to: Option<EmailAddress>,
    /// The service that takes the mail.
    pub transport: EmailTransport,
}

/// The service that takes mail.
#[derive(Clone, Debug, PartialEq)]
pub enum EmailTransport {
    /// Amazon SES in the operator's AWS account.
    Ses,
    /// A mail server of the account's choice.
    Smtp(SmtpServer),
}

/// A mail server.
#[derive(Clone, Debug, PartialEq)]
pub struct SmtpServer {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The way in which TLS begins.
    pub tls: SmtpTls,
    /// The login, if it wants one.
    pub login: Option<SmtpLogin>,
}

/// The way in which TLS begins on a connection to a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// At once, as on port 465 (RFC 8314).
    Implicit,
    /// After the command STARTTLS (RFC 3207), which the server must offer.
    StartTls,
    /// Never. Only a local stack may talk to such a server.
    None,
}

/// A login at a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpLogin {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Sealed,
}

/// The settings of a Slack app's bot.
#[derive(Clone, Debug, PartialEq)]
pub struct SlackSettings {
    /// The address of the API, with a slash at the end.
    pub api_url: String,
    /// The token of the bot.
    pub bot_token: Sealed,
    /// The secret that Slack signs presses of buttons with.
    pub signing_secret: Sealed,
    /// The workspace. Nobody else answers.
    pub team_id: SlackId,
    /// The channel for messages. `None`: each recipient gets a direct message.
    pub default_channel: Option<SlackId>,
}

/// The settings of an ntfy topic.
#[derive(Clone, Debug, PartialEq)]
pub struct NtfySettings {
    /// The URL of the server.
    pub url: String,
    /// The topic. Whoever knows it can read it, so it is a secret.
    pub topic: Sealed,
    /// The access token, if the server wants one.
    pub token: Option<Sealed>,
    /// Notifications have a button for each option.
    pub buttons: bool,
}

/// The settings of a chat program's incoming webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingWebhookSettings {
    /// The URL. Whoever knows it can write to the channel, so it is a secret.
    pub url: Sealed,
    /// The origin of the URL (scheme, host and port), for people to recognize it.
    pub origin: String,
    /// The chat program.
    pub format: ChatFormat,
}

/// A chat program, which decides the form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatFormat {
    /// Microsoft Teams: an Adaptive Card.
    Teams,
    /// Discord.
    Discord,
    /// Mattermost.
    Mattermost,
    /// Google Chat.
    GoogleChat,
    /// Slack.
    Slack,
}

/// The settings of the account's own system.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnSystemSettings {
    /// The URL.
    pub url: String,
    /// The credentials that the system expects.
    pub credentials: Credentials,
}

impl NotifierSettings {
    /// The kind.
    pub fn kind(&self) -> NotifierKind {
        match self {
            Self::Email(_) => NotifierKind::Email,
            Self::Slack(_) => NotifierKind::Slack,
            Self::Ntfy(_) => NotifierKind::Ntfy,
            Self::IncomingWebhook(_) => NotifierKind::IncomingWebhook,
            Self::Webhook(_) => NotifierKind::Webhook,
        }
    }

    /// The host and port that messages go to. `None`: Amazon SES.
    pub fn authority(&self) -> Option<Authority> {
        match self {
            Self::Email(EmailSettings { transport: EmailTransport::Ses, .. }) => None,
            Self::Email(EmailSettings { transport: EmailTransport::Smtp(server), .. }) => {
                Some(Authority::from_text(format!("{}:{}", server.host, server.port)))
            }
            Self::Slack(SlackSettings { api_url: url, .. })
            | Self::Ntfy(NtfySettings { url, .. })
            | Self::IncomingWebhook(IncomingWebhookSettings { origin: url, .. })
            | Self::Webhook(OwnSystemSettings { url, .. }) => Authority::of(url),
        }
    }

    /// The settings with nothing in place of their secrets.
    pub(super) fn without_secrets(&self) -> Self {
        let nothing = || Sealed(Vec::new());
        let mut settings = self.clone();
        match &mut settings {
            Self::Email(email) => {
                if let EmailTransport::Smtp(server) = &mut email.transport {
                    server.login = None;
                }
            }
            Self::Slack(slack) => (slack.bot_token, slack.signing_secret) = (nothing(), nothing()),
            Self::Ntfy(ntfy) => (ntfy.topic, ntfy.token) = (nothing(), None),
            Self::IncomingWebhook(webhook) => webhook.url = nothing(),
            Self::Webhook(system) => system.credentials = Credentials::default(),
        }
        settings
    }
}

impl SmtpTls {
    /// All ways, with their names in the API.
    pub const ALL: [(&'static str, Self); 3] =
        [("implicit", Self::Implicit), ("starttls", Self::StartTls), ("none", Self::None)];

    /// The way on this port, unless the account says another.
    pub fn usual(port: u16) -> Self {
        if port == IMPLICIT_TLS_PORT { Self::Implicit } else { Self::StartTls }
    }

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::StartTls => "starttls",
            Self::None => "none",
        }
    }
}

impl ChatFormat {
    /// All formats, with their names in the API.
    pub const ALL: [(&'static str, Self); 5] = [
        ("teams", Self::Teams),
        ("discord", Self::Discord),
        ("mattermost", Self::Mattermost),
        ("google_chat", Self::GoogleChat),
        ("slack", Self::Slack),
    ];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Discord => "discord",
            Self::Mattermost => "mattermost",
            Self::GoogleChat => "google_chat",
            Self::Slack => "slack",
        }
    }
}
