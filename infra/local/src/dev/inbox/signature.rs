//! Verification of a callback's signature, as every receiver should do it.

use answerback::{api::http::header, domain::profile::Profile, signing::PresentedSignature};
use axum::http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, Serializer};

/// Greatest difference between the signed time and ours. An older message may be a replay.
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

/// Verifies the signature of the first profile whose headers the callback has.
pub(super) fn verify(
    secrets: &[&SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Unverified> {
    let find =
        |it: Profile| PresentedSignature::find(it.spec().signature, |name| header(headers, name));
    let presented = Profile::ALL.into_iter().find_map(find).ok_or(Unverified::Unsigned)?;
    if !secrets.iter().any(|it| presented.is_made_with(it.expose_secret(), body)) {
        return Err(Unverified::Signature);
    }
    if !presented.is_recent(now, TIMESTAMP_TOLERANCE) {
        return Err(Unverified::Timestamp);
    }
    Ok(())
}

impl Serialize for Unverified {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use answerback::signing::{Message, SigningKey, SigningKeys, new_secret, sign};
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const SECOND: i64 = 1_767_225_600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    /// The headers of a callback of `profile` with the body `{}`.
    fn signed(profile: Profile, sent_at: Timestamp) -> HeaderMap {
        let current = SigningKey::parse(&new_secret([7; 32])).expect("a secret");
        let keys = SigningKeys { current, previous: Vec::new() };
        let message = Message { id: "dlv_1", sent_at, body: b"{}" };
        let headers = sign(profile.spec().signature, &keys, &message).into_iter().map(|it| {
            let value = HeaderValue::from_str(&it.value).expect("ASCII");
            (HeaderName::from_static(it.name), value)
        });
        headers.collect()
    }

    fn verify_one(headers: &HeaderMap, body: &[u8]) -> Result<(), Unverified> {
        verify(&[&new_secret([8; 32]), &new_secret([7; 32])], headers, body, at(SECOND))
    }

    #[test]
    fn only_recent_signatures_of_the_account_are_verified() {
        for profile in Profile::ALL {
            let verify = |second: i64, body: &[u8]| verify_one(&signed(profile, at(second)), body);
            let has_time = profile != Profile::NextKs;
            let old = if has_time { Err(Unverified::Timestamp) } else { Ok(()) };
            let expected = match profile {
                Profile::Notify => [Err(Unverified::Unsigned); 5],
                _ => [Ok(()), Ok(()), old, old, Err(Unverified::Signature)],
            };
            let found = [
                verify(SECOND, b"{}"),
                verify(SECOND - 300, b"{}"),
                verify(SECOND - 301, b"{}"),
                verify(SECOND + 301, b"{}"),
                verify(SECOND, b"[]"),
            ];
            assert_eq!(found, expected, "{profile:?}");
        }
    }

    #[test]
    fn time_in_another_unit_is_not_recent() {
        for (profile, name, of) in [
            (Profile::Nextmv, "nextmv-signature", Profile::Ping),
            (Profile::Ping, "x-ping-signature", Profile::Nextmv),
        ] {
            let mut headers = signed(of, at(SECOND));
            let value = headers.drain().next().expect("one header").1;
            headers.insert(HeaderName::from_static(name), value);
            assert_eq!(verify_one(&headers, b"{}"), Err(Unverified::Timestamp), "{profile:?}");
        }
    }

    #[test]
    fn callback_without_all_headers_is_unsigned() {
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut headers = signed(Profile::Standard, at(SECOND));
            headers.remove(name);
            assert_eq!(verify_one(&headers, b"{}"), Err(Unverified::Unsigned), "{name}");
        }
    }

    #[test]
    fn signature_of_another_secret_is_refused() {
        let headers = signed(Profile::Standard, at(SECOND));
        let verified = verify(&[&new_secret([8; 32])], &headers, b"{}", at(SECOND));
        assert_eq!(verified, Err(Unverified::Signature));
    }
}
