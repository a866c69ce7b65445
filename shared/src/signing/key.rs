//! Signing secrets in the format of [Standard Webhooks](https://www.standardwebhooks.com):
//! `whsec_` and base64.

use std::iter;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::{hex, hmac};

/// Prefix of every signing secret.
const PREFIX: &str = "whsec_";

/// A secret shared with one receiver, ready to sign. It cannot be printed.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The whole text, which is the key of the hexadecimal schemes.
    text: SecretString,
    /// The bytes after the prefix, which are the key of the `standard` scheme.
    bytes: SecretSlice<u8>,
}

/// The keys that sign a message: one for each secret that is live.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    /// The key of the current secret.
    pub current: SigningKey,
    /// The keys of replaced secrets that still sign during their overlap, latest first.
    pub previous: Vec<SigningKey>,
}

/// The text is not a `whsec_…` secret.
#[derive(Debug, thiserror::Error)]
#[error("must be `whsec_` followed by base64")]
pub struct SecretError;

/// A new secret made of 32 random bytes.
pub fn new_secret(random: [u8; 32]) -> SecretString {
    format!("{PREFIX}{}", STANDARD.encode(random)).into()
}

impl SigningKey {
    /// Reads a secret in the format that customers receive.
    pub fn parse(text: &SecretString) -> Result<Self, SecretError> {
        let bytes = decode(text.expose_secret()).ok_or(SecretError)?;
        Ok(Self { text: text.clone(), bytes: bytes.into() })
    }

    /// The HMAC of `parts` under the secret's bytes, in base64.
    pub(super) fn mac_base64(&self, parts: [&[u8]; 2]) -> String {
        STANDARD.encode(hmac(self.bytes.expose_secret(), parts))
    }

    /// The HMAC of `parts` under the secret's text, in hexadecimal.
    pub(super) fn mac_hex(&self, parts: [&[u8]; 2]) -> String {
        hex(&hmac(self.text.expose_secret().as_bytes(), parts))
    }
}

impl SigningKeys {
    /// All keys, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        iter::once(&self.current).chain(&self.previous)
    }

    /// The key of the secret that was replaced first, or the current one.
    pub(super) fn oldest(&self) -> &SigningKey {
        self.previous.last().unwrap_or(&self.current)
    }
}

/// The bytes of a secret. `None`: the text is not a secret.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = text.strip_prefix(PREFIX).and_then(|it| STANDARD.decode(it).ok());
    bytes.filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signing_key_cannot_be_printed() {
        let key = SigningKey::parse(&"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".into());
        let shown = format!("{:?}", key.expect("a secret"));
        assert!(!shown.contains("C2FV") && !shown.contains("11, 97"), "{shown}");
    }

    proptest! {
        #[test]
        fn only_base64_after_the_prefix_is_a_secret(
            text in r"\PC*|(whsec_|Whsec_|whsec)[A-Za-z0-9+/=_-]{0,12}",
        ) {
            let key = SigningKey::parse(&text.as_str().into());
            let bytes = text.strip_prefix(PREFIX).and_then(|it| STANDARD.decode(it).ok());
            let bytes = bytes.filter(|it| !it.is_empty());
            prop_assert_eq!(key.is_ok(), bytes.is_some());
            if let Some(bytes) = bytes {
                prop_assert_eq!(format!("{PREFIX}{}", STANDARD.encode(bytes)), text);
            }
        }
    }
}
