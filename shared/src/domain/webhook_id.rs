//! Names of webhooks: chosen by their owners, or generated.

use std::fmt;

use super::{MintedWebhookId, OpId};

/// Longest name of a webhook, in characters.
pub const WEBHOOK_ID_CHARS_MAX: usize = 64;

/// The name of a webhook, unique in its account and mode: `[a-z0-9][a-z0-9_-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookId(String);

impl WebhookId {
    /// The name with this text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_first = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
        let is_letter = |it: u8| is_first(it) || it == b'-' || it == b'_';
        let is_id = text.len() <= WEBHOOK_ID_CHARS_MAX
            && text.bytes().next().is_some_and(is_first)
            && text.bytes().all(is_letter);
        is_id.then(|| Self(text.to_owned()))
    }

    /// A generated name, for a webhook whose owner chose none.
    pub fn minted(id: MintedWebhookId) -> Self {
        Self(id.to_string())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One webhook, and not another one that had its name before or has it later.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookRef {
    /// Its name.
    pub id: WebhookId,
    /// The operation that created it.
    pub created_by: OpId,
}

impl WebhookRef {
    /// The target name of its deliveries.
    pub fn target(&self) -> String {
        format!("webhook:{self}")
    }

    /// The reference with this text.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, created_by) = text.split_once('.')?;
        let reference = Self {
            id: WebhookId::parse(id)?,
            created_by: OpId(u64::from_str_radix(created_by, 16).ok()?),
        };
        (reference.to_string() == text).then_some(reference)
    }
}

impl fmt::Display for WebhookRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:016x}", self.id, self.created_by.0)
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
