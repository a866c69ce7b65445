//! API keys.

use serde::Serialize;

use super::{RequesterView, Time};
use crate::domain::{ApiKey, Scope};

/// A key, without its secret.
#[derive(Debug, Serialize)]
pub struct KeyView<'a> {
    id: String,
    name: Option<&'a str>,
    scopes: Vec<&'static str>,
    livemode: bool,
    rate_limit_per_minute: Option<u32>,
    asks_per_hour: Option<u32>,
    recipients_allowed: Option<Vec<String>>,
    requester: Option<RequesterView<'a>>,
    created_at: Time,
    created_by: Option<String>,
    expires_at: Option<Time>,
    revoked_at: Option<Time>,
}

/// The calling key, without its secret: what it is and may do.
#[derive(Debug, Serialize)]
pub struct OwnKeyView<'a> {
    #[serde(flatten)]
    key: KeyView<'a>,
    account_id: String,
    sees_only_own_requests: bool,
}

impl<'a> OwnKeyView<'a> {
    /// The view of `key` for itself.
    pub fn new(key: &'a ApiKey) -> Self {
        Self {
            key: KeyView::new(key),
            account_id: key.owner.account.to_string(),
            sees_only_own_requests: key.is_confined(),
        }
    }
}

impl<'a> KeyView<'a> {
    /// The view of `key`.
    pub fn new(key: &'a ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.as_deref(),
            scopes: key.scopes.iter().copied().map(Scope::as_str).collect(),
            livemode: key.owner.mode.is_live(),
            rate_limit_per_minute: key.rate_limit_per_minute(),
            asks_per_hour: key.asks_per_hour(),
            recipients_allowed: key
                .recipients_allowed
                .as_ref()
                .map(|it| it.iter().map(ToString::to_string).collect()),
            requester: key.requester.as_ref().map(RequesterView::new),
            created_at: Time(key.created_at),
            created_by: key.makers.first().map(ToString::to_string),
            expires_at: key.expires_at.map(Time),
            revoked_at: key.revoked_at.map(Time),
        }
    }
}
