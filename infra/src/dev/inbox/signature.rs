//! Whether a callback is ours: what every receiver should do before it believes one.

use answerback::{
    service::http::header,
    signing::{SigningKey, same_hash, sha256, verify_standard},
};
use axum::http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, Serializer};

/// How far the sender's clock and ours may be apart; an older message may be a replay.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Why a callback is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unverified {
    #[error("it has no signature")]
    Unsigned,
    #[error("its timestamp is more than 5 minutes off")]
    Timestamp,
    #[error("its signature is not one of this account's secret over these bytes")]
    Signature,
}

/// Checks the signature of the profile that the headers show, `standard` or `nextks`.
pub(super) fn check(
    secrets: &[&SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Unverified> {
    if let Some(signature) = header(headers, "x-nextks-signature") {
        let is_ours = |secret: &&SecretString| {
            SigningKey::parse(secret).is_ok_and(|key| same_text(&key.sign_nextks(body), signature))
        };
        return if secrets.iter().any(is_ours) { Ok(()) } else { Err(Unverified::Signature) };
    }

    let signature = header(headers, "webhook-signature").ok_or(Unverified::Unsigned)?;
    let id = header(headers, "webhook-id").ok_or(Unverified::Unsigned)?;
    let timestamp = header(headers, "webhook-timestamp").ok_or(Unverified::Unsigned)?;
    let sent_at = timestamp.parse().ok().and_then(|it| Timestamp::from_second(it).ok());
    if sent_at.is_none_or(|it| now.duration_since(it).abs() > TOLERANCE) {
        return Err(Unverified::Timestamp);
    }
    let is_ours = |secret: &&SecretString| {
        verify_standard(secret.expose_secret(), id, timestamp, body, signature)
    };
    if secrets.iter().any(is_ours) { Ok(()) } else { Err(Unverified::Signature) }
}

/// Compares in a time that does not tell where the two differ.
fn same_text(left: &str, right: &str) -> bool {
    same_hash(&sha256(left.as_bytes()), &sha256(right.as_bytes()))
}

impl Serialize for Unverified {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const SECOND: i64 = 1_767_225_600;

    #[track_caller]
    fn check_one(headers: &[(&'static str, &str)], body: &[u8], expected: Result<(), Unverified>) {
        let secret = answerback::signing::new_secret([7; 32]);
        let headers = headers
            .iter()
            .map(|(name, it)| (name.parse().expect("a name"), it.parse().expect("ASCII")))
            .collect::<Vec<(axum::http::HeaderName, HeaderValue)>>();
        let now = Timestamp::from_second(SECOND).expect("in range");
        assert_eq!(check(&[&secret], &HeaderMap::from_iter(headers), body, now), expected);
    }

    #[test]
    fn what_was_signed_with_the_secret_just_now_is_ours_and_nothing_else() {
        let key = SigningKey::parse(&answerback::signing::new_secret([7; 32])).expect("a secret");
        for (second, body, expected) in [
            (SECOND, b"{}", Ok(())),
            (SECOND - 300, b"{}", Ok(())),
            (SECOND - 301, b"{}", Err(Unverified::Timestamp)),
            (SECOND + 301, b"{}", Err(Unverified::Timestamp)),
            (SECOND, b"[]", Err(Unverified::Signature)),
        ] {
            let signature = key.sign_standard("dlv_1", second, b"{}");
            let headers = [
                ("webhook-id", "dlv_1"),
                ("webhook-timestamp", &second.to_string()),
                ("webhook-signature", &signature),
            ];
            check_one(&headers, body, expected);
        }
        let signature = key.sign_nextks(b"{}");
        check_one(&[("x-nextks-signature", &signature)], b"{}", Ok(()));
        check_one(&[("x-nextks-signature", &signature)], b"[]", Err(Unverified::Signature));
        check_one(&[("webhook-id", "dlv_1")], b"{}", Err(Unverified::Unsigned));
    }
}
