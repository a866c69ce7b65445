//! Signing secrets: a preview, and the whole secret where the caller may see it.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::Time;
use crate::domain::secret::Secrets;

/// The current secret, and the end of the overlap with previous ones.
#[derive(Serialize)]
pub struct SecretView {
    preview: String,
    created_at: Time,
    previous_expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl SecretView {
    /// The secrets that sign at `now`, with the whole current one if it is given. `None` if none
    /// signs.
    pub fn new(secrets: &Secrets, now: Timestamp, whole: Option<&SecretString>) -> Option<Self> {
        let mut secrets = secrets.live(now);
        let current = secrets.next()?;
        let previous_expires_at: Option<Timestamp> = secrets.filter_map(|it| it.expires_at).max();
        Some(Self {
            preview: format!("whsec_…{}", current.suffix),
            created_at: Time(current.created_at),
            previous_expires_at: previous_expires_at.map(Time),
            secret: whole.map(|it| it.expose_secret().to_owned()),
        })
    }
}
