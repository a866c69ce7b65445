//! Tokens in answer links, which name a request and a recipient and cannot be forged.
//!
//! A token is 33 bytes in URL-safe base64: the request's 128 bits, the recipient's row, and the
//! first 128 bits of an HMAC over both. The key is random and stored in the request.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{hmac, same_bytes};
use crate::domain::{RequestId, request::LinkSecret};

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
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 33] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
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
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// True if the token was made with `secret`. Compares in constant time.
    pub fn is_genuine(&self, secret: &LinkSecret) -> bool {
        same_bytes(&mac_of(self.request, self.row, secret), &self.mac)
    }
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
        fn altered_token_opens_nothing(bits: u128, at in 0..44_usize, with in "[A-Za-z0-9_-]") {
            let secret = LinkSecret([7; 16]);
            let text = LinkToken::new(RequestId::from_bits(bits), 0, &secret).to_text();
            let mut altered = text.clone();
            altered.replace_range(at..=at, &with);
            if altered != text {
                let opens = LinkToken::parse(&altered).is_some_and(|it| it.is_genuine(&secret));
                prop_assert!(!opens);
            }
        }

        /// A malformed token is refused before the table is read.
        #[test]
        fn token_has_one_spelling(
            text in r"\PC*|[A-Za-z0-9_+/=-]{43,45}|[A-Za-z0-9_-]{18}[AQgw]AA[A-Za-z0-9_-]{23}",
        ) {
            if let Some(token) = LinkToken::parse(&text) {
                prop_assert_eq!(token.to_text(), text);
                prop_assert!(!token.is_genuine(&LinkSecret([7; 16])));
            }
        }
    }
}
