//! Signatures of callbacks.
//!
//! | scheme   | header value | over | key |
//! |----------|--------------|------|-----|
//! | standard | `v1,<base64>`, one for each secret | `{id}.{seconds}.{body}` | the base64 after `whsec_` |
//! | `nextks` | `sha256=<hex>` | `{body}` | the secret's text |

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Mac as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::{hex, hmac};

/// What a secret in the style of [Standard Webhooks](https://www.standardwebhooks.com) begins
/// with.
const PREFIX: &str = "whsec_";

/// A secret shared with one receiver.
#[derive(Clone, Debug)]
pub struct SigningKey {
    text: SecretString,
}

/// The text is not a `whsec_…` secret.
#[derive(Debug, thiserror::Error)]
#[error("a signing secret looks like `whsec_` followed by base64")]
pub struct SecretError;

/// A new secret made of 32 random bytes.
pub fn new_secret(random: [u8; 32]) -> SecretString {
    format!("{PREFIX}{}", STANDARD.encode(random)).into()
}

impl SigningKey {
    /// Reads a secret as we hand it to customers.
    pub fn parse(text: &SecretString) -> Result<Self, SecretError> {
        decode(text.expose_secret()).map(|_| Self { text: text.clone() })
    }

    /// The `standard` signature of one message.
    pub fn sign_standard(&self, id: impl fmt::Display, second: i64, body: &[u8]) -> String {
        let key = decode(self.text.expose_secret()).expect("it was read before");
        let head = format!("{id}.{second}.");
        let mac = hmac(&key, &[head.as_bytes(), body]).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(mac))
    }

    /// The signature of `body` as `NextKS` makes it.
    pub fn sign_nextks(&self, body: &[u8]) -> String {
        let mac = hmac(self.text.expose_secret().as_bytes(), &[body]).finalize().into_bytes();
        format!("sha256={}", hex(&mac))
    }
}

/// Whether one of the signatures in a `webhook-signature` header was made with `secret`.
pub fn verify_standard(
    secret: &str,
    id: &str,
    timestamp: &str,
    body: &[u8],
    signatures: &str,
) -> bool {
    let Ok(key) = decode(secret) else { return false };
    let head = format!("{id}.{timestamp}.");
    signatures
        .split(' ')
        .filter_map(|it| it.strip_prefix("v1,"))
        .filter_map(|it| STANDARD.decode(it).ok())
        .any(|it| hmac(&key, &[head.as_bytes(), body]).verify_slice(&it).is_ok())
}

fn decode(text: &str) -> Result<Vec<u8>, SecretError> {
    let bytes = text.strip_prefix(PREFIX).and_then(|it| STANDARD.decode(it).ok());
    bytes.filter(|it| !it.is_empty()).ok_or(SecretError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn key() -> SigningKey {
        SigningKey::parse(&SECRET.into()).expect("valid")
    }

    /// The example published with the Standard Webhooks libraries.
    #[test]
    fn agrees_with_the_standard() {
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        let signature = key().sign_standard(id, 1_649_367_553, body);

        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
        assert!(verify_standard(SECRET, id, "1649367553", body, &signature));
        assert!(verify_standard(SECRET, id, "1649367553", body, &format!("v1,AAAA {signature}")));
        assert!(!verify_standard(SECRET, id, "1649367554", body, &signature));
        assert!(!verify_standard(SECRET, id, "1649367553", b"{}", &signature));
        assert!(!verify_standard("whsec_AAAA", id, "1649367553", body, &signature));
    }

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_agrees_with_the_rfc() {
        let mac = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]).finalize().into_bytes();
        assert_eq!(hex(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        assert!(!format!("{:?}", key()).contains("C2FV"));
    }

    proptest! {
        #[test]
        fn no_header_makes_verification_panic_or_pass(
            secret: String, id: String, timestamp: String, signatures: String,
        ) {
            prop_assert!(!verify_standard(&secret, &id, &timestamp, b"[]", &signatures));
            prop_assert!(!verify_standard(SECRET, &id, &timestamp, b"[]", &signatures));
        }
    }
}
