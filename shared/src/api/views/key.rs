//! API keys.

use serde::Serialize;

use super::Time;
use crate::domain::{ApiKey, Scope};

/// A key, without its secret.
#[derive(Debug, Serialize)]
pub struct KeyView<'a> {
    id: String,
    name: Option<&'a str>,
    scopes: Vec<&'static str>,
    livemode: bool,
    rate_limit_per_minute: Option<u32>,
    created_at: Time,
    created_by: Option<String>,
    expires_at: Option<Time>,
    revoked_at: Option<Time>,
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
            created_at: Time(key.created_at),
            created_by: key.makers.first().map(ToString::to_string),
            expires_at: key.expires_at.map(Time),
            revoked_at: key.revoked_at.map(Time),
        }
    }
}
