//! Secrets as the API shows them: their ends, and all of one to who may see it.

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::Time;
use crate::domain::secret::Secrets;

/// How much of a secret's end is shown.
const SHOWN_CHARS: usize = 4;

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
    /// The view of those that sign at `now`; nothing where none does.
    pub fn new(secrets: &Secrets, now: Timestamp, reveals: bool) -> Option<Self> {
        let mut secrets = secrets.live(now);
        let current = secrets.next()?;
        let text = current.text.expose_secret();
        let end = text.char_indices().nth_back(SHOWN_CHARS - 1).map_or(text, |(at, _)| &text[at..]);
        let previous_expires_at: Option<Timestamp> = secrets.filter_map(|it| it.expires_at).max();
        Some(Self {
            preview: format!("whsec_…{end}"),
            created_at: Time(current.created_at),
            previous_expires_at: previous_expires_at.map(Time),
            secret: reveals.then(|| text.to_owned()),
        })
    }
}
