//! Traces: a callback belongs to the same trace as the call that led to it.
//!
//! The trace is stored in the item, so it survives until a callback days later. The parsers of
//! trace headers are in `api::trace`.

use std::fmt;

use super::{AttemptId, id::Id};

/// A trace (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    is_sampled: bool,
}

impl Trace {
    /// A trace that the caller records. `None` for zero, which is no identifier.
    pub fn sampled(id: u128) -> Option<Self> {
        (id != 0).then_some(Self { id, is_sampled: true })
    }

    /// A trace that the caller does not record. `None` for zero, which is no identifier.
    pub fn unsampled(id: u128) -> Option<Self> {
        (id != 0).then_some(Self { id, is_sampled: false })
    }

    /// A trace for something whose caller named none. Its identifier is taken from `id`.
    pub fn named_after<K>(id: Id<K>) -> Self {
        Self { id: id.bits().max(1), is_sampled: false }
    }

    /// The `traceparent` header of one attempt. Every attempt is its own span.
    pub fn traceparent(self, attempt: AttemptId) -> String {
        let (id, span) = (self.id, attempt.short());
        format!("00-{id:032x}-{span:016x}-{:02x}", u8::from(self.is_sampled))
    }

    /// The bytes that are stored: the identifier and the flags.
    pub fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [u8::from(self.is_sampled); 17];
        bytes[..16].copy_from_slice(&self.id.to_be_bytes());
        bytes
    }

    /// The trace with these bytes. `None` for zero, which is no identifier.
    pub fn from_bytes(bytes: [u8; 17]) -> Option<Self> {
        let [id @ .., flags] = bytes;
        let id = u128::from_be_bytes(id);
        if flags & 1 == 1 { Self::sampled(id) } else { Self::unsampled(id) }
    }
}

/// The identifier, as tools that collect traces show it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::RequestId;

    #[test]
    fn trace_without_a_caller_is_named_after_the_item() {
        let request = RequestId::from_bits(0x0123_4567_89ab_cdef_0123_4567_89a0_0000);
        let named = Trace::named_after(request);
        assert_eq!(named.to_string(), "0123456789abcdef0123456789a00000");
    }

    proptest! {
        #[test]
        fn stored_trace_is_read_back(id in 1..u128::MAX, is_sampled: bool) {
            let trace = Trace { id, is_sampled };
            prop_assert_eq!(Trace::from_bytes(trace.to_bytes()), Some(trace));
        }
    }
}
