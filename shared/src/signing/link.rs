//! Tokens in answer links, which name a request and a recipient and cannot be forged.
//!
//! A token is 33 bytes in base32: the request's 128 bits, the recipient's row, and the first 128 bits
//! of an HMAC over both. The key is random and stored in the request.

use super::{
    base32::{from_base32, to_base32},
    hmac, same_bytes,
};
use crate::domain::{RequestId, request::LinkSecret, text::is_invisible};

/// The token of an answer link, as presented by a caller. Nothing is proven until
/// [`LinkToken::is_genuine`].
#[derive(Clone)]
pub struct LinkToken {
    /// The request that the token claims to open.
    pub request: RequestId,
    /// The recipient's row that the token claims to open.
    pub row: u8,
    mac: [u8; 16],
}

impl LinkToken {
    /// The token of one recipient of a request.
    pub fn new(request: RequestId, row: u8, secret: &LinkSecret) -> Self {
        Self { request, row, mac: mac_of(request, row, secret) }
    }

    /// Reads a token. `None`: it is malformed.
    ///
    /// Characters that the sentence around a link left at its end are ignored: programs that turn
    /// URLs into links often include them.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 33] = from_base32(text.trim_end_matches(is_of_sentence))?;
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (row, mac) = rest.split_first()?;
        let id = u128::from_be_bytes(*id);
        let request = RequestId::from_bits(id);
        (request.bits() == id).then_some(Self { request, row: *row, mac: mac.try_into().ok()? })
    }

    /// The text in the link.
    pub fn to_text(&self) -> String {
        let mut bytes = [0; 33];
        bytes[..16].copy_from_slice(&self.request.bits().to_be_bytes());
        bytes[16] = self.row;
        bytes[17..].copy_from_slice(&self.mac);
        to_base32(&bytes)
    }

    /// True if the token was made with `secret`. Compares in constant time.
    pub fn is_genuine(&self, secret: &LinkSecret) -> bool {
        same_bytes(&mac_of(self.request, self.row, secret), &self.mac)
    }
}

/// True for characters that follow a link in a sentence: punctuation, space, and characters without
/// width.
fn is_of_sentence(character: char) -> bool {
    ".,;:!?)]}>'\"/\\`*…’”».、。".contains(character)
        || character.is_whitespace()
        || is_invisible(character)
}

/// The first 128 bits of the HMAC.
fn mac_of(request: RequestId, row: u8, secret: &LinkSecret) -> [u8; 16] {
    let mac = hmac(&secret.0, [&request.bits().to_be_bytes()[..], &[row]]);
    mac[..16].try_into().expect("16 of 32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn token_opens_only_its_own_row(bits: u128, row: u8, other: u8, secret: [u8; 16]) {
            let secret = LinkSecret(secret);
            let token = LinkToken::new(RequestId::from_bits(bits), row, &secret);
            let read = LinkToken::parse(&token.to_text()).expect("our own spelling");
            prop_assert!(read.is_genuine(&secret));
            prop_assert_eq!(LinkToken { row: other, ..read }.is_genuine(&secret), other == row);
        }

        #[test]
        fn altered_token_opens_nothing(bits: u128, at in 0..53_usize, with in "[A-Za-z0-9_-]") {
            let secret = LinkSecret([7; 16]);
            let text = LinkToken::new(RequestId::from_bits(bits), 0, &secret).to_text();
            let mut altered = text.clone();
            altered.replace_range(at..=at, &with);
            if altered != text {
                let opens = LinkToken::parse(&altered).is_some_and(|it| it.is_genuine(&secret));
                prop_assert!(!opens);
            }
        }

        /// Links end with a letter or digit, and work with the punctuation of a sentence.
        #[test]
        fn token_works_at_the_end_of_a_sentence(
            bits: u128,
            end in "[.,)\\]>'\"/;… \u{200b}\u{feff}]{0,3}",
        ) {
            let secret = LinkSecret([7; 16]);
            let text = LinkToken::new(RequestId::from_bits(bits), 0, &secret).to_text();
            prop_assert!(text.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit()));
            let read = LinkToken::parse(&format!("{text}{end}")).expect("the token is there");
            prop_assert!(read.is_genuine(&secret));
            let before = LinkToken::parse(&format!("{end}{text}"));
            prop_assert_eq!(before.is_some(), end.is_empty());
        }

        /// A malformed token is refused before the table is read.
        #[test]
        fn token_has_one_spelling(
            text in r"\PC*|[A-Za-z0-9_+/=-]{52,54}|[0-9a-hjkmnp-tv-z]{52}[08gr]",
        ) {
            if let Some(token) = LinkToken::parse(&text) {
                prop_assert_eq!(token.to_text(), text.trim_end_matches(is_of_sentence));
                prop_assert!(!token.is_genuine(&LinkSecret([7; 16])));
            }
        }
    }
}
