//! Idempotency: a call that is repeated with its key has its effect once.
//!
//! The identifier of a new object is derived from the key, so a repeated call finds the object. A
//! call that changes an object, and a creation under an id that the client chose, are remembered in
//! the object itself, as [`PastCalls`].

use std::time::Duration;

use jiff::Timestamp;

/// Time for which a key is remembered, counted from the first call with it.
pub const KEY_RETENTION: Duration = Duration::from_hours(24);
/// Most calls that one object remembers.
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
    /// True if it had its effect on an object that was replaced by this one.
    pub is_of_earlier: bool,
}

/// The calls with an idempotency key that had an effect on an object, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastCalls(pub Vec<PastCall>);

impl PastCalls {
    /// The first call with the key of `call`, if it had its effect before.
    pub fn find(&self, call: IdempotentCall) -> Option<PastCall> {
        self.0.iter().copied().find(|it| it.call.id_bits == call.id_bits)
    }

    /// The time until which no further call can be remembered, if there are as many as possible.
    pub fn full_until(&self, now: Timestamp) -> Option<Timestamp> {
        let oldest = self.0.get(CALLS_MAX - 1)?.at + KEY_RETENTION;
        (now < oldest).then_some(oldest)
    }

    /// The calls after `call`, if it has a key. Calls older than [`KEY_RETENTION`] are forgotten.
    #[must_use]
    pub fn with(&self, call: Option<IdempotentCall>, now: Timestamp) -> Self {
        let latest = call.map(|call| PastCall { call, at: now, is_of_earlier: false });
        Self(latest.into_iter().collect()).and(self, now)
    }

    /// These calls, and those of an object that the holder of these replaces.
    #[must_use]
    pub fn replacing(&self, earlier: &Self, now: Timestamp) -> Self {
        let earlier = earlier.0.iter().map(|it| PastCall { is_of_earlier: true, ..*it });
        self.and(&Self(earlier.collect()), now)
    }

    fn and(&self, earlier: &Self, now: Timestamp) -> Self {
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
        let found = |calls: &PastCalls, id_bits| calls.find(call(id_bits)).map(|it| it.call);
        assert_eq!((found(&last, 1), found(&last, 3)), (Some(call(1)), None));
        let over = one.with(Some(call(2)), start + KEY_RETENTION);
        assert_eq!((found(&over, 1), found(&over, 2)), (None, Some(call(2))));
        assert_eq!(last.with(None, start).0, last.0);
    }

    #[test]
    fn calls_of_a_replaced_object_are_marked() {
        let start = Timestamp::UNIX_EPOCH;
        let one = |id_bits| PastCalls::default().with(Some(call(id_bits)), start);
        let both = one(2).replacing(&one(1), start);
        let is_of_earlier = [1, 2].map(|it| both.find(call(it)).map(|it| it.is_of_earlier));
        assert_eq!(is_of_earlier, [Some(true), Some(false)]);
    }

    #[test]
    fn no_call_is_forgotten_for_another() {
        let at = |second| Timestamp::from_second(second).expect("within a few millennia");
        let mut calls = PastCalls::default();
        for number in 0..50 {
            assert_eq!(calls.full_until(at(number)), None);
            calls = calls.with(Some(call(number.unsigned_abs().into())), at(number));
        }
        assert_eq!(calls.full_until(at(50)), Some(at(86_400)));
        assert_eq!(calls.full_until(at(86_400)), None);
    }
}
