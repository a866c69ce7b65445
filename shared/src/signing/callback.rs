//! Signatures of callbacks.
//!
//! | scheme   | header value | over | key |
//! |----------|--------------|------|-----|
//! | standard | `v1,<base64>`, one for each secret | `{id}.{seconds}.{body}` | the base64 after `whsec_` |
//! | `nextks` | `sha256=<hex>` | `{body}` | the secret's text |
//! | `nextmv`, `ping` | `t=<time>,v1=<hex>`, a `v1` for each secret | `{time}.{body}` | the secret's text |
//! | `noukai` | `t=<time>,v1=<hex>`, and `v2` with the previous secret | `{time}.{body}` | the secret's text |

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Mac as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::{hex, hmac, unhex};

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

    /// The hexadecimal HMAC of `parts`, one after the other, under the secret's text.
    pub fn sign_hex(&self, parts: &[&[u8]]) -> String {
        hex(&hmac(self.text.expose_secret().as_bytes(), parts).finalize().into_bytes())
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

/// Whether `signature`, `sha256=` and hexadecimal, was made of `body` with `secret`.
pub fn verify_body(secret: &str, body: &[u8], signature: &str) -> bool {
    let mac = signature.strip_prefix("sha256=").and_then(unhex);
    mac.is_some_and(|it| hmac(secret.as_bytes(), &[body]).verify_slice(&it).is_ok())
}

/// The time in a `t=<time>,v1=<hex>` header where one of its signatures, whatever its mark, was
/// made of that time and `body` with `secret`.
pub fn verify_timed(secret: &str, body: &[u8], signature: &str) -> Option<i64> {
    let (time, signatures) = signature.strip_prefix("t=")?.split_once(',')?;
    let is_ours = |it: &str| {
        let mac = it.split_once('=').and_then(|(_, hex)| unhex(hex));
        let parts = [time.as_bytes(), b".", body];
        mac.is_some_and(|it| hmac(secret.as_bytes(), &parts).verify_slice(&it).is_ok())
    };
    signatures.split(',').any(is_ours).then(|| time.parse().ok())?
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

    /// The text with one bit of it another, still ASCII.
    fn flipped(text: &str, at: prop::sample::Index, bit: u32) -> String {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at.index(text.len())] ^= 1 << bit;
        String::from_utf8(bytes).expect("seven bits are ASCII")
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

        #[test]
        fn what_we_sign_is_verified_and_nothing_else_is(
            random: [u8; 32],
            id in "dlv_[0-9a-z]{26}",
            second: i64,
            body in prop::collection::vec(any::<u8>(), 0..200),
            others in "(v1a?,[A-Za-z0-9+/]{0,44}=? ){0,3}",
            at: prop::sample::Index,
            bit in 0_u32..7,
        ) {
            let secret = new_secret(random);
            let key = SigningKey::parse(&secret).expect("our own spelling");
            let signature = key.sign_standard(&id, second, &body);
            let secret = secret.expose_secret();
            let second = second.to_string();
            let verify = |secret: &str, id: &str, second: &str, body: &[u8], signatures: &str| {
                verify_standard(secret, id, second, body, signatures)
            };
            prop_assert!(verify(secret, &id, &second, &body, &signature));
            // Among those of other secrets too, as while one is rotated.
            for signatures in [format!("{others}{signature}"), format!("{signature} {others}")] {
                prop_assert!(verify(secret, &id, &second, &body, &signatures));
            }

            prop_assert!(!verify(secret, &flipped(&id, at, bit), &second, &body, &signature));
            prop_assert!(!verify(secret, &id, &flipped(&second, at, bit), &body, &signature));
            prop_assert!(!verify(secret, &id, &second, &body, &flipped(&signature, at, bit)));
            prop_assert!(!verify(&flipped(secret, at, bit), &id, &second, &body, &signature));
            prop_assert!(!verify(secret, &id, &second, &[&body[..], b" "].concat(), &signature));
            prop_assert!(!verify(secret, &id, &second, &body, &signature[..signature.len() - 1]));
            if !body.is_empty() {
                let mut altered = body.clone();
                altered[at.index(body.len())] ^= 1 << bit;
                prop_assert!(!verify(secret, &id, &second, &altered, &signature));
                prop_assert_ne!(key.sign_hex(&[&altered]), key.sign_hex(&[&body]));
            }
        }

        #[test]
        fn a_timed_signature_is_verified_with_its_secret_time_and_body_only(
            random: [u8; 32],
            time: i64,
            body in prop::collection::vec(any::<u8>(), 0..200),
            others in "(,v[12]=[0-9a-f]{0,64}){0,2}",
            noise in r"\PC*|t=[0-9]{1,13}(,v1=[0-9a-fx]{0,64}){0,2}",
        ) {
            let secret = new_secret(random);
            let key = SigningKey::parse(&secret).expect("our own spelling");
            let secret = secret.expose_secret();
            let mac = key.sign_hex(&[format!("{time}.").as_bytes(), &body]);
            for text in [format!("t={time},v1={mac}{others}"), format!("t={time}{others},v2={mac}")] {
                prop_assert_eq!(verify_timed(secret, &body, &text), Some(time));
                prop_assert_eq!(verify_timed("whsec_AAAA", &body, &text), None);
                prop_assert_eq!(verify_timed(secret, &[&body[..], b" "].concat(), &text), None);
            }
            let other = format!("t={},v1={mac}", time.wrapping_add(1));
            prop_assert_eq!(verify_timed(secret, &body, &other), None);
            prop_assert_eq!(verify_timed(secret, &body, &noise), None);

            let signature = format!("sha256={}", key.sign_hex(&[&body]));
            prop_assert!(verify_body(secret, &body, &signature));
            prop_assert!(!verify_body("whsec_AAAA", &body, &signature));
            prop_assert!(!verify_body(secret, &body, &signature[7..]));
            prop_assert!(!verify_body(secret, &body, &noise));
        }

        #[test]
        fn a_secret_is_base64_after_its_prefix_or_none(
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
