//! Laws of signing and verifying, which hold for every scheme.

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::{
    domain::profile::{Previous, Profile},
    signing::{Message, SigningKey, SigningKeys, new_secret, sign},
};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: Signature = Signature::Body { header: "x-signature" };
const TIMED: Signature =
    Signature::Timed { header: "x-signature", unit: Unit::Milliseconds, previous: Previous::Alike };

fn keys(secrets: &[&str]) -> SigningKeys {
    let mut keys = secrets.iter().map(|it| SigningKey::parse(&(*it).into()).expect("a secret"));
    SigningKeys { current: keys.next().expect("at least one"), previous: keys.collect() }
}

/// The value of the signature header, which is the last.
fn signature(scheme: Signature, secret: &str, id: &str, time: Timestamp, body: &[u8]) -> String {
    let message = Message { id, sent_at: time, body };
    sign(scheme, &keys(&[secret]), &message).pop().expect("a signature").value
}

/// `text` with one bit of it flipped, still ASCII.
fn flipped(text: &str, at: prop::sample::Index, bit: u32) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at.index(text.len())] ^= 1 << bit;
    String::from_utf8(bytes).expect("seven bits are ASCII")
}

/// Times that signatures can have: the millisecond is what [`Unit`] keeps of them.
fn times() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(|it| Timestamp::from_millisecond(it).expect("in range"))
}

/// The example published with the Standard Webhooks libraries.
#[test]
fn standard_scheme_agrees_with_the_published_example() {
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let time = Timestamp::from_second(1_649_367_553).expect("in range");
    let signature = signature(Signature::Standard, SECRET, id, time, body);

    assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    assert!(verify_standard(SECRET, id, "1649367553", body, &signature));
    assert!(verify_standard(SECRET, id, "1649367553", body, &format!("v1,AAAA {signature}")));
    assert!(!verify_standard(SECRET, id, "1649367554", body, &signature));
    assert!(!verify_standard(SECRET, id, "1649367553", b"{}", &signature));
    assert!(!verify_standard("whsec_AAAA", id, "1649367553", body, &signature));
}

#[test]
fn every_scheme_verifies_what_it_signed() {
    let (old, older) = ("whsec_b2xk", "whsec_b2xkZXI=");
    let keys = keys(&[SECRET, old, older]);
    let now = Timestamp::from_millisecond(1_767_225_600_000).expect("in range");
    let message = Message { id: "dlv_1", sent_at: now, body: b"{}" };
    for profile in Profile::ALL {
        let scheme = profile.spec().signature;
        let headers = sign(scheme, &keys, &message);
        let header = |name: &str| Some(&*headers.iter().find(|it| it.name == name)?.value);
        let Some(presented) = PresentedSignature::find(scheme, header) else {
            assert!(scheme == Signature::None && headers.is_empty(), "{profile:?}");
            continue;
        };
        let made_with = [SECRET, old, older].map(|it| presented.is_made_with(it, b"{}"));
        let expected = match scheme {
            Signature::Body { .. } => [false, false, true],
            Signature::Timed { previous: Previous::Apart, .. } => [true, true, false],
            Signature::Standard | Signature::Timed { .. } | Signature::None => [true; 3],
        };
        assert_eq!(made_with, expected, "{profile:?}");
        assert!(!presented.is_made_with(SECRET, b"[]"), "{profile:?}");
        let is_recent = |at| presented.is_recent(at, SignedDuration::from_secs(5));
        let has_time = !matches!(scheme, Signature::Body { .. });
        let seconds = SignedDuration::from_secs;
        let recent = [-6, -5, 0, 5, 6].map(|it| is_recent(now + seconds(it)));
        assert_eq!(recent, [!has_time, true, true, true, !has_time], "{profile:?}");
    }
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
    fn standard_signature_verifies_only_unaltered(
        random: [u8; 32],
        id in "dlv_[0-9a-z]{26}",
        time in times(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        others in "(v1a?,[A-Za-z0-9+/]{0,44}=? ){0,3}",
        at: prop::sample::Index,
        bit in 0_u32..7,
    ) {
        let secret = new_secret(random);
        let secret = secret.expose_secret();
        let signature = signature(Signature::Standard, secret, &id, time, &body);
        let second = time.as_second().to_string();
        let verify = |secret: &str, id: &str, second: &str, body: &[u8], signatures: &str| {
            verify_standard(secret, id, second, body, signatures)
        };
        prop_assert!(verify(secret, &id, &second, &body, &signature));
        // During a rotation the header also has signatures of other secrets.
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
            prop_assert!(!verify_body(secret, &altered, &self::signature(BODY, secret, &id, time, &body)));
        }
    }

    #[test]
    fn hexadecimal_signatures_verify_only_unaltered(
        random: [u8; 32],
        time in times(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        others in "(,v[12]=[0-9a-f]{0,64}){0,2}",
        noise in r"\PC*|t=[0-9]{1,13}(,v1=[0-9a-fx]{0,64}){0,2}",
    ) {
        let secret = new_secret(random);
        let secret = secret.expose_secret();
        let altered = [&body[..], b" "].concat();
        let signature = signature(TIMED, secret, "", time, &body);
        let time = time.as_millisecond();
        let mac = signature.strip_prefix(&format!("t={time},v1=")).expect("one `v1`");
        for text in [format!("{signature}{others}"), format!("t={time}{others},v2={mac}")] {
            prop_assert_eq!(verify_timed(secret, &body, &text), Some(time));
            prop_assert_eq!(verify_timed("whsec_AAAA", &body, &text), None);
            prop_assert_eq!(verify_timed(secret, &altered, &text), None);
        }
        let other = format!("t={},v1={mac}", time + 1);
        prop_assert_eq!(verify_timed(secret, &body, &other), None);
        prop_assert_eq!(verify_timed(secret, &body, &noise), None);

        let at = Timestamp::from_millisecond(time).expect("it was one");
        let signature = self::signature(BODY, secret, "", at, &body);
        prop_assert!(verify_body(secret, &body, &signature));
        prop_assert!(!verify_body("whsec_AAAA", &body, &signature));
        prop_assert!(!verify_body(secret, &altered, &signature));
        prop_assert!(!verify_body(secret, &body, &signature[7..]));
        prop_assert!(!verify_body(secret, &body, &noise));
    }
}
