//! Slack's signatures of its own calls.
//!
//! <https://docs.slack.dev/authentication/verifying-requests-from-slack>

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{hex, hmac, same_hash, unhex};

/// Most time between the signature of a call and its arrival.
const AGE_MAX: Duration = Duration::from_mins(5);

/// A call was signed with `secret`, at a time close to `now`.
///
/// `timestamp` and `signature` are the headers `X-Slack-Request-Timestamp` and `X-Slack-Signature`.
pub fn is_signed_by_slack(
    secret: &SecretString,
    timestamp: &str,
    body: &[u8],
    signature: &str,
    now: Timestamp,
) -> bool {
    let Some(at) = timestamp.parse().ok().and_then(|it| Timestamp::from_second(it).ok()) else {
        return false;
    };
    let expected = mac(secret, timestamp, body);
    let given = signature.strip_prefix("v0=").and_then(unhex);
    let given: Option<[u8; 32]> = given.and_then(|it| it.try_into().ok());
    at.duration_since(now).unsigned_abs() <= AGE_MAX
        && given.is_some_and(|it| same_hash(&it, &expected))
}

/// The header `X-Slack-Signature` of a call at `timestamp`, for tests that act as Slack.
pub fn sign_as_slack(secret: &SecretString, timestamp: &str, body: &[u8]) -> String {
    format!("v0={}", hex(&mac(secret, timestamp, body)))
}

fn mac(secret: &SecretString, timestamp: &str, body: &[u8]) -> [u8; 32] {
    let parts = [b"v0:".as_slice(), timestamp.as_bytes(), b":", body];
    hmac(secret.expose_secret().as_bytes(), parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's documentation.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const AT: i64 = 1_531_420_618;
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
        &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
        &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F\
        T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.\
        803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn is_signed(secret: &str, timestamp: &str, body: &str, signature: &str, late: i64) -> bool {
        let now = Timestamp::from_second(AT + late).expect("in range");
        is_signed_by_slack(&secret.into(), timestamp, body.as_bytes(), signature, now)
    }

    #[test]
    fn documented_signature_is_right_for_five_minutes() {
        let at = AT.to_string();
        for (late, is_right) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)]
        {
            assert_eq!(is_signed(SECRET, &at, BODY, SIGNATURE, late), is_right, "{late}");
        }
    }

    #[test]
    fn altered_calls_are_refused() {
        let at = AT.to_string();
        let later = (AT + 1).to_string();
        for (secret, timestamp, body, signature) in [
            ("8f742231b10e8888abcd99yyyzzz85a6", &*at, BODY, SIGNATURE),
            (SECRET, &later, BODY, SIGNATURE),
            (SECRET, "", BODY, SIGNATURE),
            (SECRET, &at, &BODY[1..], SIGNATURE),
            (SECRET, &at, BODY, &SIGNATURE[1..]),
            (SECRET, &at, BODY, &SIGNATURE[..65]),
            (SECRET, &at, BODY, ""),
        ] {
            assert!(!is_signed(secret, timestamp, body, signature, 0), "{timestamp} {signature}");
        }
    }
}
