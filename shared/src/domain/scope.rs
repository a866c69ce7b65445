//! The rights of API keys.
//!
//! Asking is apart from answering: a program that asks does not need to see answer links or to post
//! answers, and with them it could approve its own question.

/// A right of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read requests, results and their deliveries.
    RequestsRead,
    /// Create requests; cancel and list those of the family of the key.
    RequestsAsk,
    /// See answer links and codes.
    LinksRead,
    /// Record answers that the sender's own application collected.
    AnswersWrite,
    /// The three above, for every request of the account, and erasure.
    RequestsWrite,
    /// Post events.
    EventsWrite,
    /// Read webhooks and deliveries.
    WebhooksRead,
    /// Change webhooks, redeliver.
    WebhooksWrite,
    /// Read ways to reach people.
    NotifiersRead,
    /// Change ways to reach people. Who may do that can see every link, and so answer as anybody.
    NotifiersWrite,
    /// See secrets in full.
    SecretsRead,
    /// Create and revoke keys.
    KeysWrite,
    /// All of these.
    Admin,
}

/// Scopes that defeat each other, or that need others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConflictingScopes {
    /// A key that only asks would see the callbacks of all requests.
    #[error(
        "must not have webhooks:read or webhooks:write with requests:ask alone: callbacks show all requests"
    )]
    Webhooks,
    /// A key that only asks could send the links of its requests to itself, and answer them.
    #[error(
        "must not have notifiers:write with requests:ask alone: notifiers see every link, and who has a link can answer"
    )]
    Notifiers,
    /// A key could send links to itself that it may neither see nor use.
    #[error(
        "must have links:read and answers:write with notifiers:write: notifiers see every link, and who has a link can answer"
    )]
    NotifiersWithoutLinks,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 13] = [
        Self::RequestsRead,
        Self::RequestsAsk,
        Self::LinksRead,
        Self::AnswersWrite,
        Self::RequestsWrite,
        Self::EventsWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::NotifiersRead,
        Self::NotifiersWrite,
        Self::SecretsRead,
        Self::KeysWrite,
        Self::Admin,
    ];

    /// The scopes of an agent's key: it asks and reads, and never sees a link or answers.
    pub const AGENT: [Self; 2] = [Self::RequestsRead, Self::RequestsAsk];

    /// The name of the scope in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestsRead => "requests:read",
            Self::RequestsAsk => "requests:ask",
            Self::LinksRead => "links:read",
            Self::AnswersWrite => "answers:write",
            Self::RequestsWrite => "requests:write",
            Self::EventsWrite => "events:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::NotifiersRead => "notifiers:read",
            Self::NotifiersWrite => "notifiers:write",
            Self::SecretsRead => "secrets:read",
            Self::KeysWrite => "keys:write",
            Self::Admin => "admin",
        }
    }

    /// The scope with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// Refuses scopes that defeat each other. A key that only asks sees requests of its family, and
    /// webhooks get those of all. A notifier gets links, with which its maker could answer.
    pub fn check(scopes: &[Self]) -> Result<(), ConflictingScopes> {
        let allows = |scope| scopes.iter().any(|it: &Self| it.includes(scope));
        let asks_only = allows(Self::RequestsAsk) && !allows(Self::RequestsWrite);
        let reads_webhooks = allows(Self::WebhooksRead) || allows(Self::WebhooksWrite);
        if asks_only && reads_webhooks {
            return Err(ConflictingScopes::Webhooks);
        }
        if !allows(Self::NotifiersWrite) {
            return Ok(());
        }
        if asks_only {
            return Err(ConflictingScopes::Notifiers);
        }
        let answers = allows(Self::LinksRead) && allows(Self::AnswersWrite);
        if answers { Ok(()) } else { Err(ConflictingScopes::NotifiersWithoutLinks) }
    }

    /// A key with this scope has the right `other`.
    pub fn includes(self, other: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::RequestsWrite => matches!(
                other,
                Self::RequestsWrite | Self::RequestsAsk | Self::LinksRead | Self::AnswersWrite
            ),
            Self::RequestsRead
            | Self::RequestsAsk
            | Self::LinksRead
            | Self::AnswersWrite
            | Self::EventsWrite
            | Self::WebhooksRead
            | Self::WebhooksWrite
            | Self::NotifiersRead
            | Self::NotifiersWrite
            | Self::SecretsRead
            | Self::KeysWrite => self == other,
        }
    }
}
