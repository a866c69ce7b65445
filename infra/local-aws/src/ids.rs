//! Message and event ids, and randomness.

use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};

/// A unique identifier in the form of a UUID: the time, then a sequence number.
pub(crate) fn unique_id(now: Timestamp, sequence: u64) -> String {
    let milliseconds = now.as_millisecond();
    format!("{:08x}-{:04x}-7000-8000-{sequence:012x}", milliseconds >> 16, milliseconds & 0xffff)
}

/// Bytes that nothing else can guess.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system supplies randomness");
    bytes
}
