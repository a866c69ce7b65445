//! When a delivery that failed is attempted again.

use std::time::Duration;

use jiff::Timestamp;

/// Most retries of one delivery.
pub const RETRIES_MAX: usize = 20;
/// Shortest delay between attempts.
pub const DELAY_SECONDS_MIN: u32 = 1;
/// Longest delay between attempts: 48 hours.
pub const DELAY_SECONDS_MAX: u32 = 48 * 60 * 60;
/// Longest time for one attempt; the function lives 30 s and must write down what came of it.
pub const TIMEOUT_SECONDS_MAX: u32 = 20;
/// Starts beyond the budget after which a delivery is given up: its payload kills its worker.
pub const CRASHES_MAX: u32 = 5;

/// How often, and how far apart.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The delay before each retry.
    pub delays_seconds: Vec<u32>,
    /// By how much of itself a delay may grow at random, 0 to 1, so that receivers that come back
    /// are not met by everybody at once.
    pub jitter: f64,
}

impl RetryPolicy {
    /// The delay before the retry that follows `failures` failures, or `None` if they are spent.
    ///
    /// `chance` is uniform in 0 to 1. What the receiver asked for is honoured up to the double of
    /// the delay.
    pub fn delay(
        &self,
        failures: u32,
        chance: f64,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let index = usize::try_from(failures).ok()?.checked_sub(1)?;
        let seconds = f64::from(*self.delays_seconds.get(index)?);
        let stretched = seconds * (1.0 + self.jitter * chance.clamp(0.0, 1.0));
        // Whole milliseconds, as times are stored.
        let delay = Duration::from_secs_f64((stretched * 1e3).ceil() / 1e3);
        let asked = retry_after.unwrap_or_default().min(Duration::from_secs_f64(seconds * 2.0));
        Some(delay.max(asked))
    }

    /// The most starts of one delivery: the first, the retries, and room for crashes.
    pub fn starts_max(&self) -> u32 {
        u32::try_from(self.delays_seconds.len()).unwrap_or(u32::MAX - 10) + 1 + CRASHES_MAX
    }
}

/// Reads a `Retry-After` header (RFC 9110, section 10.2.3): seconds, or a date.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit()) {
        // However large: it is capped where it is used.
        let seconds = value.parse().unwrap_or(u32::MAX);
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy { delays_seconds: vec![5, 300], jitter: 0.2 }
    }

    #[test]
    fn delays_come_in_turn_and_end() {
        let seconds =
            |failures| policy().delay(failures, 0.0, None).map(|it| it.as_secs_f64().round());
        assert_eq!([0, 1, 2, 3].map(seconds), [None, Some(5.0), Some(300.0), None]);
    }

    #[test]
    fn a_receiver_is_obeyed_up_to_the_double() {
        let asked = |seconds| policy().delay(1, 0.0, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(3), Some(Duration::from_secs(5)));
        assert_eq!(asked(8), Some(Duration::from_secs(8)));
        assert_eq!(asked(3600), Some(Duration::from_secs(10)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_second(784_111_777).expect("in range");
        assert_eq!(retry_after("120", now), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:51:37 GMT", now), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(value: String) {
            let _ = retry_after(&value, Timestamp::UNIX_EPOCH);
        }

        #[test]
        fn a_delay_is_within_its_bounds(chance in 0.0..=1.0_f64, asked in 0_u64..100_000) {
            let delay = policy().delay(2, chance, Some(Duration::from_secs(asked)));
            let seconds = delay.expect("not spent").as_secs_f64();
            prop_assert!((300.0..=600.0).contains(&seconds));
        }
    }
}
