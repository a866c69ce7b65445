//! Secrets, signatures and link tokens: how others know that a message came from us.
//!
//! | file | owns |
//! |---|---|
//! | `key` | signing secrets (`whsec_…`) and the keys read from them |
//! | `scheme` | each signature scheme: the bytes that are signed and the header text |
//! | `verify` | the inverse, for receivers of our callbacks |
//! | `link` | tokens in answer links |
//! | `slack` | Slack's signatures of its own calls |
//! | `nonce` | nonces of the answer page's forms, codes of answer links |
//! | `base32` | the alphabet of tokens and keys |
//!
//! This module turns keys and bytes into text that can be checked. It does no I/O, and it does not
//! know requests, deliveries or where secrets are stored.

mod base32;
mod key;
mod link;
mod nonce;
mod scheme;
mod slack;
mod verify;

pub use base32::to_base32;
pub use key::{SecretError, SigningKey, SigningKeys, new_secret};
pub use link::LinkToken;
pub use nonce::{CODE_DIGITS, LinkPlace};
pub use scheme::{Message, SignatureHeader, sign};
pub use slack::{is_signed_by_slack, sign_as_slack};
pub use verify::{PresentedSignature, verify_body, verify_standard, verify_timed};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// HMAC-SHA256 (RFC 2104) over the concatenation of `parts`.
pub(crate) fn hmac<'a>(key: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// 128 bits that only the holder of `key` can predict, derived from `parts` in order.
///
/// Each part is preceded by its length, so different lists never produce the same input.
pub fn derive_bits(key: &[u8], parts: &[&[u8]]) -> u128 {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|it| (it.len() as u64).to_be_bytes()).collect();
    let framed = lengths.iter().zip(parts).flat_map(|(length, part)| [&length[..], *part]);
    let mac = hmac(key, framed);
    u128::from_be_bytes(mac[..16].try_into().expect("16 of 32 bytes"))
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares two hashes in constant time.
pub fn same_hash(left: &[u8; 32], right: &[u8; 32]) -> bool {
    same_bytes(left, right)
}

/// Compares bytes in a time that depends only on their lengths.
fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |it: u8| char::from(b"0123456789abcdef"[usize::from(it)]);
    bytes.iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]).collect()
}

/// Decodes hexadecimal. `None`: it is malformed.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if is_hex { digits.chunks(2).map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let mac = hmac(b"Jefe", [&b"what do ya want "[..], b"for nothing?"]);
        assert_eq!(hex(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    proptest! {
        #[test]
        fn different_parts_derive_different_bits(
            key: [u8; 32],
            parts in prop::collection::vec("[ab]{0,3}", 1..4),
            others in prop::collection::vec("[ab]{0,3}", 1..4),
        ) {
            let derive = |parts: &[String]| {
                let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
                derive_bits(&key, &parts)
            };
            prop_assert_eq!(derive(&parts) == derive(&others), parts == others);
        }

        #[test]
        fn hash_equals_only_itself(hash: [u8; 32], at in 0_usize..32, bit in 0_u32..8) {
            let mut other = hash;
            other[at] ^= 1 << bit;
            prop_assert!(same_hash(&hash, &hash));
            prop_assert!(!same_hash(&hash, &other));
        }
    }
}
