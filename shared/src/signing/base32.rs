//! Bytes as text that survives e-mail, chat and speech: Crockford's base32 in lower case, the
//! alphabet of our identifiers.
//!
//! It has no punctuation. Mail programs and chats that turn URLs into links leave out a `-` or `_`
//! at the end, and a double click selects only letters and digits.

/// The digits. Without `i`, `l`, `o` and `u`.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Bits of a digit.
const DIGIT_BITS: u32 = 5;

/// The text of `bytes`.
pub fn to_base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 8).div_ceil(5));
    let (mut bits, mut n_bits) = (0_u32, 0);
    let digit = |bits: u32| char::from(DIGITS[(bits & 31) as usize]);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        n_bits += 8;
        while n_bits >= DIGIT_BITS {
            n_bits -= DIGIT_BITS;
            text.push(digit(bits >> n_bits));
        }
    }
    if n_bits > 0 {
        text.push(digit(bits << (DIGIT_BITS - n_bits)));
    }
    text
}

/// The bytes of a text. `None`: it is malformed. Bytes have one text: upper case and other padding
/// are refused.
pub(super) fn from_base32<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0; N];
    let (mut bits, mut n_bits, mut n_bytes) = (0_u32, 0, 0);
    for character in text.bytes() {
        let digit = DIGITS.iter().position(|it| *it == character)?;
        bits = bits << DIGIT_BITS | u32::try_from(digit).expect("less than 32");
        n_bits += DIGIT_BITS;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes[n_bytes] = (bits >> n_bits & 0xff).try_into().expect("8 bits");
            n_bytes += 1;
        }
    }
    // The bits that fill the last digit are zero.
    (bits & ((1 << n_bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_those_of_identifiers() {
        assert_eq!(to_base32(&[]), "");
        assert_eq!(to_base32(&[0xff]), "zw");
        assert_eq!(to_base32(b"Answerback"), "85q76xv5e9h62rvb");
    }

    proptest! {
        #[test]
        fn bytes_have_one_text(bytes: [u8; 33], other in "[0-9a-zA-Z_-]{52,54}") {
            let text = to_base32(&bytes);
            prop_assert!(text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit()));
            prop_assert_eq!(from_base32(&text), Some(bytes));
            if let Some(bytes) = from_base32::<33>(&other) {
                prop_assert_eq!(to_base32(&bytes), other);
            }
        }
    }
}
