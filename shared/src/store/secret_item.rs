//! How secrets are spelled in the table.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::DecodeError;
use crate::domain::secret::{Sealed, Secret, Secrets};

/// The attribute in which they stand.
pub(crate) const SECRETS: &str = "secrets";

#[derive(Serialize, Deserialize)]
pub(crate) struct SecretItem {
    /// Base64.
    sealed: String,
    end: String,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

/// As they are written.
pub(crate) fn spell(secrets: &Secrets) -> Vec<SecretItem> {
    let spell = |it: &Secret| SecretItem {
        sealed: STANDARD.encode(&it.sealed.0),
        end: it.end.clone(),
        created_at: it.created_at.as_millisecond(),
        expires_at: it.expires_at.map(Timestamp::as_millisecond),
    };
    secrets.0.iter().map(spell).collect()
}

/// What was written so.
pub(crate) fn read(items: Vec<SecretItem>) -> Result<Secrets, DecodeError> {
    let time = |it| Timestamp::from_millisecond(it).map_err(|_| DecodeError::of(SECRETS));
    let read = |it: SecretItem| {
        Ok(Secret {
            sealed: Sealed(STANDARD.decode(it.sealed).map_err(|_| DecodeError::of(SECRETS))?),
            end: it.end,
            created_at: time(it.created_at)?,
            expires_at: it.expires_at.map(time).transpose()?,
        })
    };
    items.into_iter().map(read).collect::<Result<_, _>>().map(Secrets)
}
