//! Idempotency: a call that is repeated with its key has its effect once.
//!
//! The identifier of a new object is derived from the key, so a repeated call finds the object. A
//! call that changes an object, and a creation under an id that the client chose, are remembered in
//! the object itself, as [`PastCalls`].

use std::time::Duration;

use jiff::Timestamp;

/// Time for which a key is remembered, counted from the first call with it.
pub const KEY_RETENTION: Duration = Duration::from_hours(24);
/// Most calls that one object remembers. Beyond it the oldest are forgotten.
const CALLS_MAX: usize = 50;

/// A hash of the body of a call with an idempotency key. A repeated call with another body is
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyHash(pub [u8; 16]);

/// A call with an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotentCall {
    /// Bits derived from account, mode, path and key: those of the object that the call creates.
    pub id_bits: u128,
    /// The hash of its body.
    pub body_hash: BodyHash,
}

/// A call that an object remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastCall {
    /// The call.
    pub call: IdempotentCall,
    /// The time of the call.
    pub at: Timestamp,
}

/// The calls with an idempotency key that had an effect on an object, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastCalls(pub Vec<PastCall>);

impl PastCalls {
    /// The first call with the key of `call`, if it had its effect before.
    pub fn find(&self, call: IdempotentCall) -> Option<IdempotentCall> {
        self.0.iter().map(|it| it.call).find(|it| it.id_bits == call.id_bits)
    }

    /// The calls after `call`, if it has a key. Calls older than [`KEY_RETENTION`] are forgotten.
    #[must_use]
    pub fn with(&self, call: Option<IdempotentCall>, now: Timestamp) -> Self {
        let latest = call.map(|call| PastCall { call, at: now });
        Self(latest.into_iter().collect()).and(self, now)
    }

    /// These calls and `earlier` ones, without those that are forgotten.
    #[must_use]
    pub fn and(&self, earlier: &Self, now: Timestamp) -> Self {
        let all = self.0.iter().chain(&earlier.0).copied();
        Self(all.filter(|it| now < it.at + KEY_RETENTION).take(CALLS_MAX).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id_bits: u128) -> IdempotentCall {
        IdempotentCall { id_bits, body_hash: BodyHash([0; 16]) }
    }

    #[test]
    fn call_is_remembered_for_a_day() {
        let start = Timestamp::UNIX_EPOCH;
        let one = PastCalls::default().with(Some(call(1)), start);
        let last = one.with(Some(call(2)), start + Duration::from_secs(86_399));
        assert_eq!((last.find(call(1)), last.find(call(3))), (Some(call(1)), None));
        let over = one.with(Some(call(2)), start + KEY_RETENTION);
        assert_eq!((over.find(call(1)), over.find(call(2))), (None, Some(call(2))));
        assert_eq!(last.with(None, start).0, last.0);
    }
}
