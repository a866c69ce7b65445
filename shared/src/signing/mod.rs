//! Secrets, and the signatures by which others know that something came from us.
//!
//! Knows nothing of requests: it turns keys and bytes into text that can be checked.

mod callback;
mod link;

pub use callback::{
    SecretError, SigningKey, new_secret, verify_body, verify_standard, verify_timed,
};
pub use link::LinkToken;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// HMAC-SHA256 (RFC 2104) over `parts`, one after the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// 128 bits that only the holder of `key` can foresee, made from `parts` in order.
///
/// Each part goes in with its length, so that no two lists of parts run together.
pub fn derive_bits(key: &[u8], parts: &[&[u8]]) -> u128 {
    let mut mac = hmac(key, &[]);
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let bytes: [u8; 32] = mac.finalize().into_bytes().into();
    u128::from_be_bytes(bytes[..16].try_into().expect("16 of 32 bytes"))
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether two hashes are equal, in a time that does not tell where they differ.
pub fn same_hash(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.iter().zip(right).fold(0, |differences, (l, r)| differences | (l ^ r)) == 0
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// What is written so in hexadecimal.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if is_hex { digits.chunks(2).map(byte).collect() } else { None }
}
