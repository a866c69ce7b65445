//! A delivery waits for a receiver that is slow or down, so that deliveries to others do not.
//!
//! ```text
//!   receiver is slow ─▶ the slow lane: a separate queue with separate workers
//!   receiver is down ─▶ wait until its breaker lets it be called, 6 hours in all
//! ```

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Delivery, DeliveryState, HINT_DELAY_MAX, SWEEP_GRACE, Target, attempting::LEASE_GUARD,
};
use crate::domain::breaker::{Authority, Endpoint};

/// Longest time that a delivery waits for open breakers, in all.
pub const BREAKER_WAIT_MAX: Duration = Duration::from_hours(6);

/// Shortest delay after a receiver has said that it takes no more.
const THROTTLE_MIN: Duration = Duration::from_secs(1);
/// Longest such delay, without its random extension. Longer ones would be left to the sweep.
const THROTTLE_MAX: Duration = Duration::from_mins(5);

/// The reason why a delivery waits for its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Its receiver is down.
    BreakerOpen,
    /// Its receiver is slow, or was down a moment ago, so the slow lane attempts it.
    SlowLane,
}

/// A queue of hints for deliveries, with its own workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// For healthy receivers.
    Fast,
    /// For receivers that are slow or down.
    Slow,
}

impl Delivery {
    /// The host and port of its receiver, if its target has one.
    pub fn authority(&self) -> Option<Authority> {
        self.target.authority(self.way)
    }

    /// The webhook or callback URL that it goes to, if its target has a breaker.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match (&self.target, &self.webhook) {
            (Target::Https(_), Some(reference)) => Some(Endpoint::Webhook(reference.clone())),
            (Target::Https(receiver), None) => Endpoint::of_callback(&receiver.url),
            (Target::Message(_) | Target::Test(_) | Target::Update(_), _) => {
                self.way().map(|it| Endpoint::Notifier(it.notifier))
            }
            (Target::Bus | Target::Erased, _) => None,
        }
    }

    /// True while it waits behind an open breaker.
    pub fn is_held(&self) -> bool {
        let reason = Some(WaitReason::BreakerOpen);
        matches!(self.state, DeliveryState::Waiting { reason: it, .. } if it == reason)
    }

    /// The delivery at the time `not_before` instead of a later one, if an open breaker holds it. Its
    /// receiver is back.
    pub fn bring_forward(&self, not_before: Timestamp, now: Timestamp) -> Option<Self> {
        let DeliveryState::Waiting { not_before: held_until, .. } = self.state else { return None };
        (self.is_held() && not_before < held_until).then(|| {
            let mut next = self.next();
            let saved = Duration::try_from(held_until.duration_since(not_before.max(now)));
            next.breaker_wait = self.breaker_wait.saturating_sub(saved.unwrap_or_default());
            next.wait(not_before, WaitReason::SlowLane, now);
            next
        })
    }

    /// The lane of its next attempt.
    pub fn lane(&self) -> Lane {
        match self.state {
            DeliveryState::Waiting { reason: Some(_), .. } => Lane::Slow,
            DeliveryState::Waiting { reason: None, .. }
            | DeliveryState::Leased { .. }
            | DeliveryState::Done { .. } => Lane::Fast,
        }
    }

    /// The time that it may still wait for a breaker, or `None` if it ignores breakers.
    ///
    /// A delivery ignores breakers if the delays of its profile, or its own, do not grow: then its
    /// sender chose fixed times. It also does right after a redelivery or a trigger, which a person
    /// asked for. So does a message, because its other ways would wait, too.
    pub fn breaker_wait_left(&self) -> Option<Duration> {
        let Target::Https(receiver) = &self.target else { return None };
        let grows = receiver.profile.spec().retry().grows() && receiver.retry.grows();
        let is_wanted_now = self.expedited_by.is_some() && self.starts == 0;
        let left = BREAKER_WAIT_MAX.saturating_sub(self.breaker_wait);
        (grows && !is_wanted_now && !left.is_zero()).then_some(left)
    }

    /// The new delivery in the slow lane, so that its creator does not attempt it.
    #[must_use]
    pub fn begin_in_slow_lane(mut self, now: Timestamp) -> Self {
        self.wait(now, WaitReason::SlowLane, now);
        self
    }

    /// The new delivery behind an open breaker until `until`.
    #[must_use]
    pub fn begin_behind_breaker(mut self, until: Timestamp, now: Timestamp) -> Self {
        self.wait_for_receiver(until, now);
        self
    }

    /// The delivery behind an open breaker until `until`, if its next attempt comes after number
    /// `expected` and is due.
    pub fn wait_for_breaker(
        &self,
        expected: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        self.is_startable(expected, now).then(|| {
            let mut next = self.next();
            next.wait_for_receiver(until, now);
            next
        })
    }

    /// The delivery in the slow lane, if its next attempt comes after number `expected`, is due,
    /// and is in the fast lane.
    pub fn move_to_slow_lane(&self, expected: u32, now: Timestamp) -> Option<Self> {
        (self.is_startable(expected, now) && self.lane() == Lane::Fast).then(|| {
            let mut next = self.next();
            next.wait(now, WaitReason::SlowLane, now);
            next
        })
    }

    /// The delivery with its retry, if it has one, in `lane`.
    #[must_use]
    pub fn retried_in(mut self, lane: Lane) -> Self {
        if let DeliveryState::Waiting { reason, .. } = &mut self.state {
            *reason = match lane {
                Lane::Fast => None,
                Lane::Slow => Some(WaitReason::SlowLane),
            };
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

    /// The delay until a receiver that takes no more is called again, or `None` if that has taken as long
    /// as it may. The delays grow, and differ, so that many deliveries find their turns.
    pub(super) fn throttle(
        &mut self,
        chance: f64,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let left = BREAKER_WAIT_MAX.saturating_sub(self.breaker_wait);
        let least = retry_after.unwrap_or_default().clamp(THROTTLE_MIN, THROTTLE_MAX);
        let longest = least + (self.breaker_wait / 2).min(THROTTLE_MAX);
        let delay = least + longest.mul_f64(chance.clamp(0.0, 1.0));
        (delay <= left).then(|| {
            self.breaker_wait += delay;
            // It did not begin: the receiver turned it away.
            self.starts = self.starts.saturating_sub(1);
            // Whole milliseconds, because the table stores milliseconds.
            Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
        })
    }

    fn wait_for_receiver(&mut self, until: Timestamp, now: Timestamp) {
        let left = BREAKER_WAIT_MAX.saturating_sub(self.breaker_wait);
        let length = Duration::try_from(until.duration_since(now)).unwrap_or_default().min(left);
        self.breaker_wait += length;
        self.wait(now + length, WaitReason::BreakerOpen, now);
    }

    fn wait(&mut self, not_before: Timestamp, reason: WaitReason, now: Timestamp) {
        self.state = DeliveryState::Waiting { not_before, reason: Some(reason) };
        let is_hinted = not_before <= now + HINT_DELAY_MAX;
        self.due_at = Some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });
    }
}
