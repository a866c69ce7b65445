//! Secrets as the API shows them: their ends, and all of one to who may see it.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::Time;
use crate::domain::secret::Secrets;

/// The secret that signs, and whether others still do.
#[derive(Serialize)]
pub struct SecretView {
    preview: String,
    created_at: Time,
    previous_expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl SecretView {
    /// The view of those that sign at `now`, the current one `in_full` if it is given; nothing
    /// where none signs.
    pub fn new(secrets: &Secrets, now: Timestamp, in_full: Option<&SecretString>) -> Option<Self> {
        let mut secrets = secrets.live(now);
        let current = secrets.next()?;
        let previous_expires_at: Option<Timestamp> = secrets.filter_map(|it| it.expires_at).max();
        Some(Self {
            preview: format!("whsec_…{}", current.suffix),
            created_at: Time(current.created_at),
            previous_expires_at: previous_expires_at.map(Time),
            secret: in_full.map(|it| it.expose_secret().to_owned()),
        })
    }
}
