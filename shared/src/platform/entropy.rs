//! Entropy: the only place that draws randomness. Tests count instead, so their ids are predictable.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Source of randomness.
#[derive(Clone, Debug)]
pub enum Entropy {
    /// The operating system's generator.
    System,
    /// 1, 2, 3 and so on, spread over 128 bits.
    Counting(Arc<AtomicU64>),
}

impl Entropy {
    /// A generator that counts, so that tests can predict identifiers.
    pub fn counting() -> Self {
        Self::Counting(Arc::default())
    }

    /// The next 128 bits.
    #[expect(clippy::disallowed_methods, reason = "this is where chance comes in")]
    pub fn next(&self) -> u128 {
        /// Odd, so multiplication by it is a bijection.
        const MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        match self {
            Self::System => rand::random(),
            Self::Counting(counter) => {
                u128::from(counter.fetch_add(1, Ordering::SeqCst) + 1).wrapping_mul(MULTIPLIER)
            }
        }
    }

    /// 32 random bytes, for a secret.
    pub fn next_secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (low, high) = bytes.split_at_mut(16);
        low.copy_from_slice(&self.next().to_be_bytes());
        high.copy_from_slice(&self.next().to_be_bytes());
        bytes
    }
}
