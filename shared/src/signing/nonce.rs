//! Nonces of forms, and the codes of answer links. Both are derived from a request's secret, and
//! nothing about them is stored.
//!
//! A nonce names the page that a form comes from: its step, the time at which it was loaded, and how
//! many answers its recipient had given. It is valid for one recipient of one request.

use jiff::Timestamp;

use super::{
    base32::{from_base32, to_base32},
    hmac, same_bytes,
};
use crate::domain::{
    Request, RequestId,
    assurance::{LoadedPage, PageStep},
    request::LinkSecret,
};

/// Bytes of a nonce: its step, 48 bits of milliseconds, the number of answers, and a MAC.
const NONCE_BYTES: usize = 1 + 6 + 4 + 16;
/// Digits of a code.
pub const CODE_DIGITS: usize = 6;
/// The digits zero that keyboards write, next to ASCII (Unicode, category Nd): Arabic, Persian, the
/// scripts of India, Thai, Lao, Burmese, and full width. Nine digits follow each.
const DIGIT_ZEROS: [u32; 15] = [
    0x660, 0x6F0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0,
    0x1040, 0xFF10,
];

/// The place of a form or code: one recipient of one request.
#[derive(Clone, Copy, Debug)]
pub struct LinkPlace<'a> {
    /// The request.
    pub request: RequestId,
    /// The recipient's row.
    pub row: u8,
    /// The request's secret.
    pub secret: &'a LinkSecret,
}

impl<'a> LinkPlace<'a> {
    /// The place of a recipient of `request`.
    pub fn of(request: &'a Request, row: usize) -> Self {
        let row = u8::try_from(row).expect("at most 100 recipients");
        Self { request: request.id, row, secret: &request.link_secret }
    }
    /// The nonce of a page with a form.
    pub fn nonce(self, page: &LoadedPage) -> String {
        let claim = claim(page);
        to_base32(&[&claim[..], &self.mac(b"nonce", &claim)].concat())
    }

    /// The page that a nonce names. `None`: it is malformed, or was not made for this place.
    pub fn loaded_page(self, nonce: &str) -> Option<LoadedPage> {
        let bytes: [u8; NONCE_BYTES] = from_base32(nonce)?;
        let (claim, mac) = bytes.split_at(NONCE_BYTES - 16);
        if !same_bytes(&self.mac(b"nonce", claim), mac) {
            return None;
        }
        let (step, rest) = claim.split_first()?;
        let (millis, n_answers) = rest.split_first_chunk::<6>()?;
        let millis = millis.iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte));
        Some(LoadedPage {
            step: if *step == 0 { PageStep::Question } else { PageStep::Confirmation },
            at: Timestamp::from_millisecond(millis).ok()?,
            n_answers: u32::from_be_bytes(n_answers.try_into().ok()?),
        })
    }

    /// The code with this number among those issued for the place.
    pub fn code(self, issue: u32) -> String {
        let mac = self.mac(b"code", &issue.to_be_bytes());
        let number = u128::from_be_bytes(mac) % 10_u128.pow(6);
        format!("{number:0CODE_DIGITS$}")
    }

    /// `given` is that code. Space and hyphens between digits are ignored. Compares in constant
    /// time.
    pub fn is_code(self, issue: u32, given: &str) -> bool {
        let digits = given.chars().filter(|it| !it.is_whitespace() && *it != '-');
        let digits: String = digits.map(ascii_digit).collect();
        same_bytes(digits.as_bytes(), self.code(issue).as_bytes())
    }

    fn mac(self, purpose: &[u8], claim: &[u8]) -> [u8; 16] {
        let id = self.request.bits().to_be_bytes();
        let mac = hmac(&self.secret.0, [&id[..], &[self.row], purpose, claim]);
        mac[..16].try_into().expect("16 of 32 bytes")
    }
}

/// A decimal digit as people's keyboards write it, as the ASCII digit. Other characters stay.
fn ascii_digit(character: char) -> char {
    let value = |zero: &u32| u32::from(character).checked_sub(*zero).filter(|it| *it < 10);
    let digit = DIGIT_ZEROS.iter().find_map(value).and_then(|it| char::from_digit(it, 10));
    digit.unwrap_or(character)
}

fn claim(page: &LoadedPage) -> [u8; NONCE_BYTES - 16] {
    let mut claim = [0; NONCE_BYTES - 16];
    claim[0] = u8::from(page.step == PageStep::Confirmation);
    let millis = page.at.as_millisecond().to_be_bytes();
    claim[1..7].copy_from_slice(&millis[2..]);
    claim[7..].copy_from_slice(&page.n_answers.to_be_bytes());
    claim
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pages() -> impl Strategy<Value = LoadedPage> {
        let steps = prop_oneof![Just(PageStep::Question), Just(PageStep::Confirmation)];
        (steps, 0_i64..4_000_000_000_000, any::<u32>()).prop_map(|(step, millis, n_answers)| {
            let at = Timestamp::from_millisecond(millis).expect("in range");
            LoadedPage { step, at, n_answers }
        })
    }

    proptest! {
        #[test]
        fn nonce_is_valid_for_its_own_place_only(
            bits: u128,
            [row, other]: [u8; 2],
            [secret, other_secret]: [[u8; 16]; 2],
            page in pages(),
        ) {
            let (secret, other_secret) = (LinkSecret(secret), LinkSecret(other_secret));
            let place = LinkPlace { request: RequestId::from_bits(bits), row, secret: &secret };
            let nonce = place.nonce(&page);
            prop_assert_eq!(place.loaded_page(&nonce), Some(page));
            let elsewhere = LinkPlace { row: other, ..place }.loaded_page(&nonce);
            prop_assert_eq!(elsewhere.is_some(), other == row);
            let elsewhere = LinkPlace { secret: &other_secret, ..place }.loaded_page(&nonce);
            prop_assert_eq!(elsewhere.is_some(), other_secret == secret);
        }

        #[test]
        fn altered_nonce_is_invalid(at in 0..44_usize, with in "[0-9a-hjkmnp-tv-z]", page in pages()) {
            let secret = LinkSecret([7; 16]);
            let request = RequestId::from_bits(1 << 100);
            let place = LinkPlace { request, row: 0, secret: &secret };
            let nonce = place.nonce(&page);
            let mut altered = nonce.clone();
            altered.replace_range(at..=at, &with);
            prop_assert_eq!(place.loaded_page(&altered).is_some(), altered == nonce);
        }

        #[test]
        fn code_has_six_digits_of_its_own_place(bits: u128, row: u8, issue: u32, secret: [u8; 16]) {
            let secret = LinkSecret(secret);
            let place = LinkPlace { request: RequestId::from_bits(bits), row, secret: &secret };
            let code = place.code(issue);
            prop_assert!(code.len() == CODE_DIGITS && code.bytes().all(|it| it.is_ascii_digit()));
            let spaced = format!(" {}-{} ", &code[..3], &code[3..]);
            prop_assert!(place.is_code(issue, &spaced));
            let arabic = code.bytes().map(|it| char::from_u32(0x660 + u32::from(it - b'0')));
            prop_assert!(place.is_code(issue, &arabic.flatten().collect::<String>()));
            let next = place.code(issue.wrapping_add(1));
            prop_assert_eq!(place.is_code(issue, &next), next == code);
            prop_assert!(!place.is_code(issue, "") && !place.is_code(issue, &code[1..]));
        }
    }
}
