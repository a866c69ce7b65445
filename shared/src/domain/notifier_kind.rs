//! The kinds of notifiers. Deliveries know them, and notifiers know the credentials of deliveries.

/// The kind of a notifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotifierKind {
    /// E-mail.
    Email,
    /// Slack, by a bot.
    Slack,
    /// A topic of an ntfy server.
    Ntfy,
    /// A URL that a chat program made for messages.
    IncomingWebhook,
    /// The account's own system.
    Webhook,
}

impl NotifierKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Email, Self::Slack, Self::Ntfy, Self::IncomingWebhook, Self::Webhook];

    /// The name of the kind in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Ntfy => "ntfy",
            Self::IncomingWebhook => "incoming_webhook",
            Self::Webhook => "webhook",
        }
    }

    /// The kind with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// It reaches recipients of a request that needs a code: its messages may carry the code, because
    /// nobody but the recipient, or the account's own system, reads them, or it knows who answers.
    /// All who read a topic or a chat channel would see both the link and its code.
    pub fn carries_code(self) -> bool {
        match self {
            Self::Email | Self::Slack | Self::Webhook => true,
            Self::Ntfy | Self::IncomingWebhook => false,
        }
    }

    /// Its messages can be changed after they were sent.
    pub fn has_copies(self) -> bool {
        match self {
            Self::Slack => true,
            Self::Email | Self::Ntfy | Self::IncomingWebhook | Self::Webhook => false,
        }
    }

    /// It finds a recipient by an e-mail address, and so only one that has an address.
    pub fn needs_email(self) -> bool {
        match self {
            Self::Email | Self::Slack => true,
            Self::Ntfy | Self::IncomingWebhook | Self::Webhook => false,
        }
    }
}
