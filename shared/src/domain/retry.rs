//! Retries: the delays between the attempts of a delivery.

use std::time::Duration;

use jiff::{Timestamp, fmt::strtime::BrokenDownTime, tz::TimeZone};

/// Most retries of one delivery.
pub const RETRIES_MAX: usize = 20;
/// Shortest delay between attempts.
pub const DELAY_SECONDS_MIN: u32 = 1;
/// Longest delay between attempts: 48 hours.
pub const DELAY_SECONDS_MAX: u32 = 48 * 60 * 60;
/// Longest time limit of one attempt. The function runs for 30 s, and must record the result.
pub const TIMEOUT_SECONDS_MAX: u32 = 20;
/// Attempts in addition to the retries, for workers that died. After these, the payload itself
/// must be what kills the workers.
pub const CRASHES_MAX: u32 = 5;

/// Obsolete date formats that must still be parsed: RFC 850 and C's `asctime` (RFC 9110, section
/// 5.6.7).
const OBSOLETE_DATES: [&str; 2] = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// The number of retries and their delays.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The delay before each retry.
    pub delays_seconds: Vec<u32>,
    /// The largest random extension of a delay, as a part of it, from 0 to 1. It keeps a receiver
    /// that recovers from getting all retries at once.
    pub jitter: f64,
}

impl RetryPolicy {
    /// The delay before the retry after `failures` failures, or `None` if no retries are left.
    ///
    /// `chance` is uniform from 0 to 1. A receiver that asks for a longer delay gets it, up to twice
    /// the planned one.
    pub fn delay(
        &self,
        failures: u32,
        chance: f64,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let index = usize::try_from(failures).ok()?.checked_sub(1)?;
        let seconds = f64::from(*self.delays_seconds.get(index)?);
        let stretched = seconds * (1.0 + self.jitter * chance.clamp(0.0, 1.0));
        // Rounded up to whole milliseconds, because the table stores milliseconds.
        let delay = Duration::from_secs_f64((stretched * 1e3).ceil() / 1e3);
        let asked = retry_after.unwrap_or_default().min(Duration::from_secs_f64(seconds * 2.0));
        Some(delay.max(asked))
    }

    /// The longest time from the first attempt to the last, without waits for breakers and without
    /// crashes. A delay is at most doubled, by chance or because the receiver asks for it.
    pub fn longest(&self) -> Duration {
        2 * self.delays_seconds.iter().map(|it| Duration::from_secs((*it).into())).sum::<Duration>()
    }

    /// Its delays grow, so a receiver that is down gets more and more time.
    pub fn grows(&self) -> bool {
        self.delays_seconds.windows(2).any(|it| it[0] < it[1])
    }

    /// The most attempts of one delivery: the first, the retries, and [`CRASHES_MAX`].
    pub fn starts_max(&self) -> u32 {
        u32::try_from(self.delays_seconds.len()).unwrap_or(u32::MAX - 10) + 1 + CRASHES_MAX
    }
}

/// Parses a `Retry-After` header (RFC 9110, section 10.2.3): seconds, or a date.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit()) {
        // A number that is too large becomes the largest. `RetryPolicy::delay` limits it.
        let seconds = value.parse().unwrap_or(u32::MAX);
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = match jiff::fmt::rfc2822::parse(value) {
        Ok(at) => at.timestamp(),
        Err(_) => OBSOLETE_DATES.iter().find_map(|it| date(it, value))?,
    };
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// The UTC date that `value` writes in this format.
fn date(format: &str, value: &str) -> Option<Timestamp> {
    let at = BrokenDownTime::parse(format, value).ok()?.to_datetime().ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy { delays_seconds: vec![5, 300], jitter: 0.2 }
    }

    #[test]
    fn delays_follow_the_list_and_end() {
        let seconds =
            |failures| policy().delay(failures, 0.0, None).map(|it| it.as_secs_f64().round());
        assert_eq!([0, 1, 2, 3].map(seconds), [None, Some(5.0), Some(300.0), None]);
    }

    #[test]
    fn retry_after_extends_a_delay_up_to_twice() {
        let asked = |seconds| policy().delay(1, 0.0, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(3), Some(Duration::from_secs(5)));
        assert_eq!(asked(8), Some(Duration::from_secs(8)));
        assert_eq!(asked(3600), Some(Duration::from_secs(10)));
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        let now = Timestamp::from_second(784_111_777).expect("in range");
        assert_eq!(retry_after("120", now), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:51:37 GMT", now), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        for obsolete in ["Sunday, 06-Nov-94 08:51:37 GMT", "Sun Nov  6 08:51:37 1994"] {
            assert_eq!(retry_after(obsolete, now), Some(Duration::from_mins(2)), "{obsolete}");
        }
        assert_eq!(retry_after("Sunday, 06-Nov-94 08:51:37 CET", now), None);
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_without_a_panic(
            value in r"\PC*|[ ]*[0-9]{1,30}[ ]*|[+-]?[0-9.e]{1,9}|[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{2,5} [0-9:]{1,9} [A-Z+0-9-]{1,5}|(Sunday|Friday), [0-9]{1,2}-(Nov|Feb)-[0-9]{2,4} [0-9:]{1,9} GMT|(Sun|Fri) (Nov|Feb) [ 0-9]{2} [0-9:]{1,9} [0-9]{1,5}",
            now in -377_705_116_800_i64..253_402_207_200,
        ) {
            let now = Timestamp::from_second(now).expect("in range");
            let asked = retry_after(&value, now);
            let digits = value.trim();
            if !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()) {
                let seconds = digits.parse().unwrap_or(u32::MAX);
                prop_assert_eq!(asked, Some(Duration::from_secs(seconds.into())));
            }
            // The time of the retry is in range, whatever the receiver asked for.
            let delay = policy().delay(1, 1.0, asked).expect("not spent");
            prop_assert!((5.0..=10.0).contains(&delay.as_secs_f64()));
        }

        #[test]
        fn http_date_is_parsed_as_it_was_formatted(
            second in 0_i64..253_402_207_200,
            now in 0_i64..253_402_207_200,
        ) {
            let [at, now] = [second, now].map(|it| Timestamp::from_second(it).expect("in range"));
            let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            prop_assert_eq!(retry_after(&text.expect("a year of four digits"), now), Some(wait));
        }

        #[test]
        fn delays_are_within_bounds_and_end(
            delays_seconds in prop::collection::vec(DELAY_SECONDS_MIN..=DELAY_SECONDS_MAX, 0..4),
            jitter in 0.0..=1.0_f64,
            chance in -1.0..=2.0_f64,
            failures in prop_oneof![0_u32..6, Just(u32::MAX)],
            asked: Option<Duration>,
        ) {
            let policy = RetryPolicy { delays_seconds, jitter };
            let index = usize::try_from(failures).expect("32 bits fit").checked_sub(1);
            let least = index.and_then(|it| policy.delays_seconds.get(it));
            let least = least.map(|it| Duration::from_secs((*it).into()));
            let delay = policy.delay(failures, chance, asked);
            prop_assert_eq!(delay.is_some(), least.is_some());
            if let Some((delay, least)) = delay.zip(least) {
                prop_assert!((least..=least * 2).contains(&delay), "{:?}", delay);
                prop_assert!(asked.is_none_or(|it| it.min(least * 2) <= delay), "too early");
            }
        }
    }
}
