//! The settings of each kind of notifier: reads them, and seals the secrets among them.

use answerback::{
    api::{Problem, body::Object},
    domain::{
        EmailAddress, Mailbox, NotifierKind,
        delivery::Credentials,
        limits::{
            CREDENTIAL_CHARS_MAX, EMAIL_CHARS_MAX, MAILBOX_CHARS_MAX, SMTP_HOST_CHARS_MAX,
            WEBHOOK_URL_CHARS_MAX,
        },
        notifier::{
            ChatFormat, EmailSettings, EmailTransport, IncomingWebhookSettings, NotifierSettings,
            NtfySettings, OwnSystemSettings, SLACK_API, SMTP_PORTS, SmtpLogin, SmtpServer, SmtpTls,
        },
        secret::{Holder, Sealed},
    },
};

use super::{
    kept::Kept,
    secret::{PASSWORD, Secret, TOKEN, TOPIC},
    slack::SlackBody,
};
use crate::{
    App,
    callback::{CredentialsUpdate, NewCredentials, Previous, origin},
};

/// Settings as a caller sends them.
pub(super) enum SettingsBody {
    Email { from: Mailbox, reply_to: Option<EmailAddress>, transport: TransportBody },
    Slack(SlackBody),
    Ntfy { url: String, topic: Secret, token: Option<Secret>, buttons: bool },
    IncomingWebhook { url: UrlBody, format: ChatFormat },
    Webhook { url: String, credentials: CredentialsUpdate, before: Option<OwnSystemSettings> },
}

/// The service that takes mail.
pub(super) enum TransportBody {
    Ses,
    Smtp { host: String, port: u16, tls: SmtpTls, login: Option<LoginBody> },
}

/// A login at a mail server.
pub(super) struct LoginBody {
    username: String,
    password: Secret,
}

/// The URL of an incoming webhook.
pub(super) enum UrlBody {
    /// A new URL, not sealed yet.
    New(String),
    /// The stored one.
    Kept { url: Sealed, origin: String },
}

/// An address that messages will go to.
#[derive(PartialEq, Eq)]
pub(super) struct Destination {
    /// The member of the settings with it.
    pub(super) name: &'static str,
    /// It as a URL. Only its host counts if it is a mail server's.
    pub(super) url: String,
}

/// The things besides the body that decide how settings are read.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The program is a local stack.
    pub(super) is_development: bool,
    pub(super) kept: &'a Kept<'a>,
}

impl SettingsBody {
    /// The address from which it sends by SES.
    pub(super) fn ses_sender(&self) -> Option<&EmailAddress> {
        match self {
            Self::Email { from, transport: TransportBody::Ses, .. } => Some(from.address()),
            _ => None,
        }
    }

    /// Reads the settings of a notifier of this kind.
    pub(super) fn read(
        settings: &mut Object<'_>,
        kind: NotifierKind,
        context: Context<'_>,
    ) -> Option<Self> {
        match kind {
            NotifierKind::Email => email(settings, context),
            NotifierKind::Slack => SlackBody::read(settings, context.kept).map(Self::Slack),
            NotifierKind::Ntfy => ntfy(settings, context.kept),
            NotifierKind::IncomingWebhook => incoming_webhook(settings, context.kept),
            NotifierKind::Webhook => own_system(settings, context.kept),
        }
    }

    /// The address that messages will go to, unless it is that of Amazon SES or Slack, or a stored secret.
    pub(super) fn destination(&self) -> Option<Destination> {
        let (name, url) = match self {
            Self::Email { transport: TransportBody::Ses, .. }
            | Self::IncomingWebhook { url: UrlBody::Kept { .. }, .. } => return None,
            Self::Email { transport: TransportBody::Smtp { host, .. }, .. } => {
                ("host", server_url(host))
            }
            Self::Slack(slack) if slack.api_url == SLACK_API => return None,
            Self::Slack(slack) => ("api_url", slack.api_url.clone()),
            Self::IncomingWebhook { url: UrlBody::New(url), .. }
            | Self::Ntfy { url, .. }
            | Self::Webhook { url, .. } => ("url", url.clone()),
        };
        Some(Destination { name, url })
    }

    /// The settings, with their secrets sealed for `holder`.
    pub(super) async fn seal(
        self,
        app: &App,
        holder: &Holder,
    ) -> Result<NotifierSettings, Problem> {
        Ok(match self {
            Self::Email { from, reply_to, transport } => {
                let transport = transport.seal(app, holder).await?;
                NotifierSettings::Email(EmailSettings { from, reply_to, transport })
            }
            Self::Slack(slack) => NotifierSettings::Slack(slack.seal(app, holder).await?),
            Self::Ntfy { url, topic, token, buttons } => {
                let topic = topic.seal(app, holder).await?;
                let token = match token {
                    Some(token) => Some(token.seal(app, holder).await?),
                    None => None,
                };
                NotifierSettings::Ntfy(NtfySettings { url, topic, token, buttons })
            }
            Self::IncomingWebhook { url, format } => {
                let (url, origin) = match url {
                    UrlBody::Kept { url, origin } => (url, origin),
                    UrlBody::New(url) => {
                        let origin = origin(&url).to_owned();
                        (Secret::New(url.into()).seal(app, holder).await?, origin)
                    }
                };
                NotifierSettings::IncomingWebhook(IncomingWebhookSettings { url, origin, format })
            }
            Self::Webhook { url, credentials, before } => {
                let new = credentials.new.seal(app, holder).await?;
                let credentials = updated(&credentials, before.as_ref(), &url, new);
                NotifierSettings::Webhook(OwnSystemSettings { url, credentials })
            }
        })
    }
}

/// The address of stored settings, as [`SettingsBody::destination`] has it.
pub(super) fn destination_of(settings: &NotifierSettings) -> Option<Destination> {
    let (name, url) = match settings {
        NotifierSettings::Email(it) => match &it.transport {
            EmailTransport::Ses => return None,
            EmailTransport::Smtp(server) => ("host", server_url(&server.host)),
        },
        NotifierSettings::IncomingWebhook(_) => return None,
        NotifierSettings::Slack(it) if it.api_url == SLACK_API => return None,
        NotifierSettings::Slack(it) => ("api_url", it.api_url.clone()),
        NotifierSettings::Ntfy(it) => ("url", it.url.clone()),
        NotifierSettings::Webhook(it) => ("url", it.url.clone()),
    };
    Some(Destination { name, url })
}

/// The URL by which the host of a mail server is checked. The rules for ports of callbacks are others.
fn server_url(host: &str) -> String {
    format!("https://{host}/")
}

fn updated(
    update: &CredentialsUpdate,
    before: Option<&OwnSystemSettings>,
    url: &str,
    new: Credentials,
) -> Credentials {
    match before {
        None => new,
        Some(before) => {
            let before = Previous { url: &before.url, credentials: &before.credentials };
            update.apply(before, url, &new)
        }
    }
}

impl TransportBody {
    async fn seal(self, app: &App, holder: &Holder) -> Result<EmailTransport, Problem> {
        let Self::Smtp { host, port, tls, login } = self else { return Ok(EmailTransport::Ses) };
        let login = match login {
            None => None,
            Some(LoginBody { username, password }) => {
                let password = password.seal(app, holder).await?;
                Some(SmtpLogin { username, password })
            }
        };
        Ok(EmailTransport::Smtp(SmtpServer { host, port, tls, login }))
    }
}

fn email(settings: &mut Object<'_>, context: Context<'_>) -> Option<SettingsBody> {
    #[derive(Clone, Copy)]
    enum Transport {
        Ses,
        Smtp,
    }
    settings.require("transport");
    let transport =
        settings.word("transport", &[("ses", Transport::Ses), ("smtp", Transport::Smtp)]);
    let from = from(settings);
    let reply_to = reply_to(settings);
    let transport = match transport {
        Some(Transport::Ses) => Some(TransportBody::Ses),
        Some(Transport::Smtp) => smtp(settings, context),
        None => {
            // They are known, but of which transport is not.
            for member in SMTP_MEMBERS {
                drop(settings.take(member));
            }
            None
        }
    };
    Some(SettingsBody::Email { from: from?, reply_to, transport: transport? })
}

/// The members that only a mail server has.
pub(super) const SMTP_MEMBERS: [&str; 5] = ["host", "port", "tls", "username", "password"];

fn from(settings: &mut Object<'_>) -> Option<Mailbox> {
    let text = settings.required_text("from", 1..=MAILBOX_CHARS_MAX)?;
    Mailbox::parse(&text).map_err(|err| settings.error("from", err.to_string())).ok()
}

fn reply_to(settings: &mut Object<'_>) -> Option<EmailAddress> {
    let text = settings.optional_text("reply_to", EMAIL_CHARS_MAX)?;
    let address = EmailAddress::parse(&text).filter(|_| text.is_ascii());
    if address.is_none() {
        settings.error("reply_to", "must be an e-mail address in ASCII");
    }
    address
}

fn smtp(settings: &mut Object<'_>, context: Context<'_>) -> Option<TransportBody> {
    let host = host(settings);
    settings.require("port");
    let port = settings.integer("port", 1..=u32::from(u16::MAX));
    let port = port.and_then(|it| u16::try_from(it).ok());
    if !context.is_development && port.is_some_and(|it| !SMTP_PORTS.contains(&it)) {
        let [first, second, third] = SMTP_PORTS;
        settings.error("port", format!("must be {first}, {second} or {third}"));
    }
    let tls = settings.word("tls", &SmtpTls::ALL);
    if !context.is_development && tls == Some(SmtpTls::None) {
        settings
            .error("tls", "must be implicit or starttls; mail servers without TLS are not called");
    }
    let username = settings.optional_text("username", CREDENTIAL_CHARS_MAX);
    if username.as_ref().is_some_and(|it| it.contains(char::is_control)) {
        settings.error("username", "must not contain control characters");
    }
    let server = host.as_deref().zip(port);
    let kept = server.and_then(|(host, port)| context.kept.password(host, port));
    let kept = kept.filter(|_| username.is_some());
    let is_missing = username.is_some() && kept.is_none() && !settings.has("password");
    if is_missing {
        settings.error("password", context.kept.required());
    }
    let password = Secret::read(settings, "password", PASSWORD, kept);
    let login = match (username, password) {
        (Some(username), Some(password)) => Some(LoginBody { username, password }),
        (_, None) => None,
        (None, Some(_)) => {
            settings.error("username", "is required with `password`");
            None
        }
    };
    let (host, port) = (host?, port?);
    Some(TransportBody::Smtp { host, port, tls: tls.unwrap_or(SmtpTls::usual(port)), login })
}

/// A host name or address in its canonical form. The rules for callbacks decide whether it is allowed.
fn host(settings: &mut Object<'_>) -> Option<String> {
    let text = settings.required_text("host", 1..=SMTP_HOST_CHARS_MAX)?;
    let inner = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(&text);
    if let Ok(address) = inner.parse::<std::net::Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    let is_name = text.chars().all(|it| it.is_ascii_alphanumeric() || it == '-' || it == '.');
    if !is_name {
        settings.error("host", "must be a host name or an IP address");
    }
    is_name.then(|| text.to_ascii_lowercase())
}

fn ntfy(settings: &mut Object<'_>, kept: &Kept<'_>) -> Option<SettingsBody> {
    let url = settings.required_text("url", 1..=WEBHOOK_URL_CHARS_MAX);
    let stored = url.as_deref().and_then(|url| kept.ntfy(url));
    let kept_topic = stored.and_then(|it| it.topic);
    if kept_topic.is_none() && !settings.has("topic") {
        settings.error("topic", kept.required());
    }
    let topic = Secret::read(settings, "topic", TOPIC, kept_topic);
    let token = Secret::read(settings, "token", TOKEN, stored.and_then(|it| it.token));
    let buttons = settings.flag("buttons").unwrap_or(false);
    Some(SettingsBody::Ntfy { url: url?, topic: topic?, token, buttons })
}

fn incoming_webhook(settings: &mut Object<'_>, kept: &Kept<'_>) -> Option<SettingsBody> {
    let url = match kept.incoming_webhook() {
        Some(stored) if !settings.has("url") => {
            Some(UrlBody::Kept { url: stored.url.clone(), origin: stored.origin.clone() })
        }
        _ => settings.required_text("url", 1..=WEBHOOK_URL_CHARS_MAX).map(UrlBody::New),
    };
    settings.require("format");
    let format = settings.word("format", &ChatFormat::ALL);
    Some(SettingsBody::IncomingWebhook { url: url?, format: format? })
}

fn own_system(settings: &mut Object<'_>, kept: &Kept<'_>) -> Option<SettingsBody> {
    let url = settings.required_text("url", 1..=WEBHOOK_URL_CHARS_MAX);
    let credentials = kept.credentials(NewCredentials::read(settings));
    let before = kept.own_system().cloned();
    Some(SettingsBody::Webhook { url: url?, credentials, before })
}
