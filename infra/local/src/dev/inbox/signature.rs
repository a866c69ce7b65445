//! Verification of a callback's signature, as every receiver should do it.

use answerback::{
    api::http::header,
    domain::profile::{Profile, Signature, Unit},
    signing::{verify_body, verify_standard, verify_timed},
};
use axum::http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, Serializer};

/// Largest accepted age of a signature. An older message may be a replay.
const TIMESTAMP_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// The reason why a callback is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unverified {
    #[error("no signature")]
    Unsigned,
    #[error("timestamp differs by more than 5 minutes")]
    Timestamp,
    #[error("signature does not match any of the account's secrets")]
    Signature,
}

/// Verifies the signature of the profile whose header is present.
pub(super) fn verify(
    secrets: &[&SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Unverified> {
    for profile in Profile::ALL {
        match profile.spec().signature {
            Signature::Body { header: name } => {
                let Some(signature) = header(headers, name) else { continue };
                return with_any(secrets, |it| verify_body(it, body, signature).then_some(()));
            }
            Signature::Timed { header: name, unit, .. } => {
                let Some(signature) = header(headers, name) else { continue };
                let time = with_any(secrets, |it| verify_timed(it, body, signature))?;
                return check_age(unit.timestamp(time), now);
            }
            Signature::Standard => {
                let Some(signature) = header(headers, "webhook-signature") else { continue };
                let id = header(headers, "webhook-id").ok_or(Unverified::Unsigned)?;
                let second = header(headers, "webhook-timestamp").ok_or(Unverified::Unsigned)?;
                let sent_at = second.parse().ok().and_then(|it| Unit::Seconds.timestamp(it));
                check_age(sent_at, now)?;
                let is_valid = |it: &str| verify_standard(it, id, second, body, signature);
                return with_any(secrets, |it| is_valid(it).then_some(()));
            }
            Signature::None => (),
        }
    }
    Err(Unverified::Unsigned)
}

fn with_any<T>(
    secrets: &[&SecretString],
    verify: impl Fn(&str) -> Option<T>,
) -> Result<T, Unverified> {
    secrets.iter().find_map(|it| verify(it.expose_secret())).ok_or(Unverified::Signature)
}

fn check_age(sent_at: Option<Timestamp>, now: Timestamp) -> Result<(), Unverified> {
    let is_recent = sent_at.is_some_and(|it| now.duration_since(it).abs() <= TIMESTAMP_TOLERANCE);
    if is_recent { Ok(()) } else { Err(Unverified::Timestamp) }
}

impl Serialize for Unverified {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use answerback::signing::SigningKey;
    use axum::http::HeaderValue;

    use super::*;

    const SECOND: i64 = 1_767_225_600;

    #[track_caller]
    fn expect(headers: &[(&'static str, &str)], body: &[u8], expected: Result<(), Unverified>) {
        let secret = answerback::signing::new_secret([7; 32]);
        let headers = headers
            .iter()
            .map(|(name, it)| (name.parse().expect("a name"), it.parse().expect("ASCII")))
            .collect::<Vec<(axum::http::HeaderName, HeaderValue)>>();
        let now = Timestamp::from_second(SECOND).expect("in range");
        assert_eq!(verify(&[&secret], &HeaderMap::from_iter(headers), body, now), expected);
    }

    #[test]
    fn only_recent_signatures_of_the_account_are_verified() {
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
            expect(&headers, body, expected);
        }
        let signature = format!("sha256={}", key.sign_hex(&[b"{}"]));
        expect(&[("x-nextks-signature", &signature)], b"{}", Ok(()));
        expect(&[("x-nextks-signature", &signature)], b"[]", Err(Unverified::Signature));
        let signed = |time: i64| {
            format!("t={time},v1={}", key.sign_hex(&[format!("{time}.{{}}").as_bytes()]))
        };
        for (name, times) in [
            ("nextmv-signature", [SECOND * 1_000, SECOND]),
            ("x-ping-signature", [SECOND, SECOND * 1_000]),
            ("x-noukai-signature", [SECOND, SECOND - 301]),
        ] {
            let [right, wrong] = times.map(signed);
            expect(&[(name, &right)], b"{}", Ok(()));
            expect(&[(name, &right)], b"[]", Err(Unverified::Signature));
            expect(&[(name, &wrong)], b"{}", Err(Unverified::Timestamp));
        }
        expect(&[("webhook-id", "dlv_1")], b"{}", Err(Unverified::Unsigned));
    }
}
