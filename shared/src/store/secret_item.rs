//! The encoding of signing secrets.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reader::DecodeError;
use crate::domain::secret::{Sealed, Secret, Secrets};

/// The attribute that holds them.
pub(crate) const SECRETS: &str = "secrets";

#[derive(Serialize, Deserialize)]
pub(crate) struct SecretItem {
    /// Base64.
    sealed: String,
    suffix: String,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

pub(crate) fn encode(secrets: &Secrets) -> Vec<SecretItem> {
    let encode = |it: &Secret| SecretItem {
        sealed: STANDARD.encode(&it.sealed.0),
        suffix: it.suffix.clone(),
        created_at: it.created_at.as_millisecond(),
        expires_at: it.expires_at.map(Timestamp::as_millisecond),
    };
    secrets.0.iter().map(encode).collect()
}

pub(crate) fn decode(items: Vec<SecretItem>) -> Result<Secrets, DecodeError> {
    let time = |it| Timestamp::from_millisecond(it).map_err(|_| DecodeError::of(SECRETS));
    let decode = |it: SecretItem| {
        Ok(Secret {
            sealed: Sealed(STANDARD.decode(it.sealed).map_err(|_| DecodeError::of(SECRETS))?),
            suffix: it.suffix,
            created_at: time(it.created_at)?,
            expires_at: it.expires_at.map(time).transpose()?,
        })
    };
    items.into_iter().map(decode).collect::<Result<_, _>>().map(Secrets)
}
