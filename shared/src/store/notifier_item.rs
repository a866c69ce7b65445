//! The encoding of notifiers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    idempotency_item::{self, CALLS},
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    reader::{self, DecodeError, Reader},
    receiver_item::{CredentialsItem, sealed},
};
use crate::domain::{
    EmailAddress, Mailbox, Notifier,
    notifier::{
        ChatFormat, EmailSettings, EmailTransport, IncomingWebhookSettings, NotifierDisableReason,
        NotifierDisabled, NotifierSettings, NtfySettings, OwnSystemSettings, SlackSettings,
        SmtpLogin, SmtpServer, SmtpTls,
    },
    secret::Sealed,
    slack::SlackId,
};

/// Time from the deletion of a notifier to the deletion of its item.
const DELETED_RETENTION: std::time::Duration = std::time::Duration::from_hours(24);

/// Sealed texts are in base64.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SettingsItem {
    Email {
        from: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<String>,
        /// Absent: Amazon SES.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        smtp: Option<SmtpItem>,
    },
    Slack {
        api: String,
        token: String,
        signing: String,
        team: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
    },
    Ntfy {
        url: String,
        topic: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        buttons: bool,
    },
    IncomingWebhook {
        url: String,
        origin: String,
        format: String,
    },
    Webhook {
        url: String,
        credentials: CredentialsItem,
    },
}

#[derive(Serialize, Deserialize)]
struct SmtpItem {
    host: String,
    port: u16,
    tls: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<LoginItem>,
}

#[derive(Serialize, Deserialize)]
struct LoginItem {
    username: String,
    password: String,
}

#[derive(Serialize, Deserialize)]
struct DisabledItem {
    reason: DisableReasonItem,
    at: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DisableReasonItem {
    ByHand,
    Refused,
}

impl Item for Notifier {
    const NAME: &'static str = "a notifier";

    fn key(&self) -> Key {
        keys::notifier(self.owner, self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .owner(self.owner)
            .op("created_by", self.created_by)
            .time("created_at", self.created_at)
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .json(CALLS, &idempotency_item::encode(&self.calls))
            .op("updated_by", self.updated_by)
            .time("updated_at", self.updated_at)
            .text("name", self.name.clone())
            .json("settings", &SettingsItem::from(&self.settings))
            .optional_flag("default", self.is_default)
            .optional_json("disabled", self.disabled.map(DisabledItem::from).as_ref())
            .op("refused_settings", self.refused_settings)
            .time("deleted_at", self.deleted_at)
            .number("revision", self.revision.cast_signed())
            .ttl(self.deleted_at.map(|it| it + DELETED_RETENTION))
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let settings: SettingsItem = item.json("settings")?;
        let disabled: Option<DisabledItem> = item.optional_json("disabled")?;
        Ok(Self {
            id: keys::notifier_at(&item.text("sk")?).ok_or(DecodeError::of("sk"))?,
            owner: item.owner()?,
            created_by: item.op("created_by")?,
            calls: idempotency_item::decode(item.json(CALLS)?)?,
            created_at: item.time("created_at")?,
            updated_by: item.op("updated_by")?,
            updated_at: item.time("updated_at")?,
            name: item.optional_text("name")?,
            settings: settings.read()?,
            is_default: item.is_flagged("default")?,
            disabled: disabled.map(NotifierDisabled::try_from).transpose()?,
            refused_settings: item.optional_op("refused_settings")?,
            deleted_at: item.optional_time("deleted_at")?,
            revision: item.number("revision")?,
        })
    }
}

impl From<&NotifierSettings> for SettingsItem {
    fn from(settings: &NotifierSettings) -> Self {
        match settings {
            NotifierSettings::Email(it) => Self::Email {
                from: it.from.to_string(),
                reply_to: it.reply_to.as_ref().map(ToString::to_string),
                smtp: match &it.transport {
                    EmailTransport::Ses => None,
                    EmailTransport::Smtp(server) => Some(server.into()),
                },
            },
            NotifierSettings::Slack(it) => Self::Slack {
                api: it.api_url.clone(),
                token: text(&it.bot_token),
                signing: text(&it.signing_secret),
                team: it.team_id.to_string(),
                channel: it.default_channel.as_ref().map(ToString::to_string),
            },
            NotifierSettings::Ntfy(it) => Self::Ntfy {
                url: it.url.clone(),
                topic: text(&it.topic),
                token: it.token.as_ref().map(text),
                buttons: it.buttons,
            },
            NotifierSettings::IncomingWebhook(it) => Self::IncomingWebhook {
                url: text(&it.url),
                origin: it.origin.clone(),
                format: it.format.as_str().to_owned(),
            },
            NotifierSettings::Webhook(it) => {
                Self::Webhook { url: it.url.clone(), credentials: (&it.credentials).into() }
            }
        }
    }
}

impl SettingsItem {
    fn read(self) -> Result<NotifierSettings, DecodeError> {
        Ok(match self {
            Self::Email { from, reply_to, smtp } => NotifierSettings::Email(EmailSettings {
                from: Mailbox::parse(&from).map_err(|_| wrong())?,
                reply_to: reply_to
                    .map(|it| EmailAddress::parse(&it).ok_or_else(wrong))
                    .transpose()?,
                transport: match smtp {
                    None => EmailTransport::Ses,
                    Some(server) => EmailTransport::Smtp(server.read()?),
                },
            }),
            Self::Slack { api, token, signing, team, channel } => {
                let id = |it: String| SlackId::parse(&it).ok_or_else(wrong);
                NotifierSettings::Slack(SlackSettings {
                    api_url: api,
                    bot_token: opaque(&token)?,
                    signing_secret: opaque(&signing)?,
                    team_id: id(team)?,
                    default_channel: channel.map(id).transpose()?,
                })
            }
            Self::Ntfy { url, topic, token, buttons } => NotifierSettings::Ntfy(NtfySettings {
                url,
                topic: opaque(&topic)?,
                token: token.as_deref().map(opaque).transpose()?,
                buttons,
            }),
            Self::IncomingWebhook { url, origin, format } => {
                let format = ChatFormat::ALL.into_iter().find(|it| it.0 == format);
                let format = format.ok_or_else(wrong)?.1;
                let url = opaque(&url)?;
                NotifierSettings::IncomingWebhook(IncomingWebhookSettings { url, origin, format })
            }
            Self::Webhook { url, credentials } => {
                let credentials = credentials.read().ok_or_else(wrong)?;
                NotifierSettings::Webhook(OwnSystemSettings { url, credentials })
            }
        })
    }
}

impl From<&SmtpServer> for SmtpItem {
    fn from(server: &SmtpServer) -> Self {
        Self {
            host: server.host.clone(),
            port: server.port,
            tls: server.tls.as_str().to_owned(),
            login: server.login.as_ref().map(|SmtpLogin { username, password }| LoginItem {
                username: username.clone(),
                password: text(password),
            }),
        }
    }
}

impl SmtpItem {
    fn read(self) -> Result<SmtpServer, DecodeError> {
        let Self { host, port, tls, login } = self;
        let tls = SmtpTls::ALL.into_iter().find(|it| it.0 == tls).ok_or_else(wrong)?.1;
        let login = login.map(LoginItem::read).transpose()?;
        Ok(SmtpServer { host, port, tls, login })
    }
}

impl LoginItem {
    fn read(self) -> Result<SmtpLogin, DecodeError> {
        Ok(SmtpLogin { username: self.username, password: opaque(&self.password)? })
    }
}

fn wrong() -> DecodeError {
    DecodeError::of("settings")
}

/// The sealed text in this base64.
fn opaque(text: &str) -> Result<Sealed, DecodeError> {
    sealed(text).ok_or_else(wrong)
}

fn text(sealed: &Sealed) -> String {
    STANDARD.encode(&sealed.0)
}

impl From<NotifierDisabled> for DisabledItem {
    fn from(disabled: NotifierDisabled) -> Self {
        let reason = match disabled.reason {
            NotifierDisableReason::ByHand => DisableReasonItem::ByHand,
            NotifierDisableReason::Refused => DisableReasonItem::Refused,
        };
        Self { reason, at: disabled.at.as_millisecond() }
    }
}

impl TryFrom<DisabledItem> for NotifierDisabled {
    type Error = DecodeError;

    fn try_from(item: DisabledItem) -> Result<Self, DecodeError> {
        let reason = match item.reason {
            DisableReasonItem::ByHand => NotifierDisableReason::ByHand,
            DisableReasonItem::Refused => NotifierDisableReason::Refused,
        };
        Ok(Self { reason, at: reader::time("disabled", item.at)? })
    }
}
