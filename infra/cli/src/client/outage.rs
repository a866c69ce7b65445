//! Consecutive failures of a call: the pause before each next attempt, and the end.

use std::time::{Duration, Instant};

use answerback::platform::Entropy;

/// Pause after the first failure. It doubles with each further one.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause that the client chooses.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The failures of one call.
pub(super) struct Outage {
    began: Option<Instant>,
    n_failures: u32,
    give_up: Duration,
}

impl Outage {
    /// An outage that has not begun.
    pub(super) fn new(give_up: Duration) -> Self {
        Self { began: None, n_failures: 0, give_up }
    }

    /// Notes that an attempt failed, which began at this time.
    pub(super) fn failed_since(&mut self, began: Instant) {
        self.began.get_or_insert(began);
    }

    /// True after a failure.
    pub(super) fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    /// The time until the client gives up.
    pub(super) fn time_left(&self) -> Duration {
        let elapsed = self.began.map(|it| it.elapsed()).unwrap_or_default();
        self.give_up.saturating_sub(elapsed)
    }

    /// The pause after another failure. `None` if the client must give up.
    pub(super) fn next_pause(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let left = self.time_left();
        if left.is_zero() {
            return None;
        }
        let pause = match retry_after {
            Some(asked) => asked.max(PAUSE),
            None => jittered(pause_after(self.n_failures)),
        };
        self.n_failures += 1;
        // The last attempt is at the limit.
        Some(pause.min(left))
    }
}

fn pause_after(n_failures: u32) -> Duration {
    2_u32.checked_pow(n_failures).map_or(PAUSE_MAX, |it| PAUSE.saturating_mul(it)).min(PAUSE_MAX)
}

/// Between half of `pause` and all of it, so that clients of one server do not call in step.
fn jittered(pause: Duration) -> Duration {
    const PARTS: u32 = 1_000;
    let part = u32::try_from(Entropy::System.next() % u128::from(PARTS)).expect("it is small");
    pause / 2 + pause / 2 / PARTS * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds() {
        let pauses = [0, 1, 2, 5, 6, 40].map(|it| pause_after(it).as_millis());
        assert_eq!(pauses, [200, 400, 800, 6_400, 10_000, 10_000]);
        for _ in 0..100 {
            let pause = jittered(PAUSE_MAX);
            assert!(PAUSE_MAX / 2 <= pause && pause <= PAUSE_MAX, "{pause:?}");
        }
    }

    #[test]
    fn server_sets_the_pause_up_to_the_limit() {
        let mut outage = Outage::new(Duration::from_mins(1));
        outage.failed_since(Instant::now());
        let asked = Some(Duration::from_secs(7));
        assert_eq!(outage.next_pause(asked), asked);
        let last = outage.next_pause(Some(Duration::from_hours(1))).expect("time is left");
        assert!(last <= Duration::from_mins(1));
        assert_eq!(outage.next_pause(Some(Duration::ZERO)), Some(PAUSE));
        assert_eq!(Outage::new(Duration::ZERO).next_pause(None), None);
    }

    #[test]
    fn outage_begins_with_the_first_failed_attempt() {
        let minute = Duration::from_mins(1);
        let mut outage = Outage::new(minute);
        assert_eq!((outage.has_begun(), outage.time_left()), (false, minute));
        let began = Instant::now().checked_sub(minute).expect("the machine runs for a minute");
        outage.failed_since(began);
        outage.failed_since(Instant::now());
        assert_eq!((outage.has_begun(), outage.time_left()), (true, Duration::ZERO));
        assert_eq!(outage.next_pause(None), None);
    }
}
