//! How a delivery waits for a receiver that is slow or down, so that no other waits with it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Delivery, DeliveryState, HINT_DELAY_MAX, LEASE_GUARD, SWEEP_GRACE, Target};
use crate::domain::breaker::Authority;

/// The longest that a delivery waits, in all, because its receiver is taken to be down.
pub const HELD_MAX: Duration = Duration::from_hours(6);

/// Why a delivery waits, if not for its time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Its receiver is taken to be down.
    BreakerOpen,
    /// Its receiver is slow, or was down: it is attempted where that keeps no other waiting.
    SlowLane,
}

impl Delivery {
    /// Where it goes, if that is a receiver of the sender's.
    pub fn host(&self) -> Option<Authority> {
        match &self.target {
            Target::Https(receiver) => Authority::of(&receiver.url),
            Target::Bus | Target::Erased => None,
        }
    }

    /// Whether workers of the slow lane attempt it.
    pub fn is_in_slow_lane(&self) -> bool {
        matches!(self.state, DeliveryState::Waiting { because: Some(_), .. })
    }

    /// Whether it waits for a receiver that is down, and for how long at most from now on.
    ///
    /// Not where the profile's delays or its own do not grow: those are times that somebody chose.
    /// Nor right after it was redelivered: somebody wants to know now.
    pub fn patience(&self) -> Option<Duration> {
        let Target::Https(receiver) = &self.target else { return None };
        let grows = receiver.profile.spec().retry().grows() && receiver.retry.grows();
        let is_wanted_now = self.redelivered_by.is_some() && self.starts == 0;
        let left = HELD_MAX.saturating_sub(self.held);
        (grows && !is_wanted_now && !left.is_zero()).then_some(left)
    }

    /// The delivery, to be attempted in the slow lane, by somebody else than its maker.
    #[must_use]
    pub fn begin_in_slow_lane(mut self, now: Timestamp) -> Self {
        self.wait(now, WaitReason::SlowLane, now);
        self
    }

    /// The delivery, held from the beginning until its receiver may be called.
    #[must_use]
    pub fn begin_held(mut self, until: Timestamp, now: Timestamp) -> Self {
        self.wait_for_receiver(until, now);
        self
    }

    /// The delivery with `expected` starts, held until its receiver may be called; nothing if it is
    /// being held already, or its time has not come. Spends nothing of its budget.
    pub fn hold(&self, expected: u32, until: Timestamp, now: Timestamp) -> Option<Self> {
        self.is_startable(expected, now).then(|| {
            let mut next = self.next();
            next.wait_for_receiver(until, now);
            next
        })
    }

    /// The delivery with `expected` starts, on to the slow lane; nothing if it is there already.
    pub fn change_lane(&self, expected: u32, now: Timestamp) -> Option<Self> {
        (self.is_startable(expected, now) && !self.is_in_slow_lane()).then(|| {
            let mut next = self.next();
            next.wait(now, WaitReason::SlowLane, now);
            next
        })
    }

    /// The delivery with its next attempt, if there is one, in the slow lane.
    #[must_use]
    pub fn retried_in_slow_lane(mut self, is_slow: bool) -> Self {
        if let DeliveryState::Waiting { because, .. } = &mut self.state {
            *because = is_slow.then_some(WaitReason::SlowLane);
        }
        self
    }

    /// True if the attempt after `expected` starts is due, by a worker that does not have the lease.
    /// [`Self::start`] then leases it. A crash loop is not ready: it ends, and its receiver's breaker
    /// has no say.
    pub fn is_ready(&self, expected: u32, now: Timestamp) -> bool {
        self.is_startable(expected, now) && self.starts < self.retry().starts_max()
    }

    fn is_startable(&self, expected: u32, now: Timestamp) -> bool {
        self.attempt == expected
            && match self.state {
                DeliveryState::Waiting { not_before, .. } => not_before <= now,
                DeliveryState::Leased { until, .. } => until + LEASE_GUARD <= now,
                DeliveryState::Done { .. } => false,
            }
    }

    fn wait_for_receiver(&mut self, until: Timestamp, now: Timestamp) {
        let left = HELD_MAX.saturating_sub(self.held);
        let length = Duration::try_from(until.duration_since(now)).unwrap_or_default().min(left);
        self.held += length;
        self.wait(now + length, WaitReason::BreakerOpen, now);
    }

    fn wait(&mut self, not_before: Timestamp, because: WaitReason, now: Timestamp) {
        self.state = DeliveryState::Waiting { not_before, because: Some(because) };
        let is_hinted = not_before <= now + HINT_DELAY_MAX;
        self.due_at = Some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });
    }
}
