//! Watches this machine's clock, which decides whether an answer or the time-out came first.
//!
//! Every response of DynamoDB has a `Date` header, so the comparison costs no call.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
        },
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use jiff::{SignedDuration, Timestamp};

use crate::platform::Clock;

/// Smallest skew that is logged: half of what the protocol tolerates.
const REPORTED_SKEW_MIN: Duration = Duration::from_secs(1);
/// Time between two log lines.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);
/// Precision of a `Date` header.
const DATE_PRECISION: SignedDuration = SignedDuration::from_secs(1);

/// Compares the clock with the date of each response.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    /// Milliseconds since the epoch.
    reported_at: AtomicI64,
}

/// The time at which a call was sent.
#[derive(Debug)]
struct SentAt(Timestamp);

impl Storable for SentAt {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for ClockWatch {
    fn name(&self) -> &'static str {
        "ClockWatch"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(SentAt(Clock::System.now()));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|it| jiff::fmt::rfc2822::parse(it).ok());
        let (Some(date), Some(&SentAt(sent_at))) = (date, cfg.load::<SentAt>()) else {
            return Ok(());
        };
        let now = Clock::System.now();
        let skew = skew(sent_at, now, date.timestamp());
        let last = self.reported_at.load(Ordering::Relaxed);
        let interval = i64::try_from(REPORT_INTERVAL.as_millis()).expect("a minute");
        if skew.unsigned_abs() >= REPORTED_SKEW_MIN && now.as_millisecond() - last >= interval {
            self.reported_at.store(now.as_millisecond(), Ordering::Relaxed);
            tracing::error!(
                ClockSkew = i64::try_from(skew.abs().as_millis()).unwrap_or(i64::MAX),
                is_ahead = skew.is_positive(),
                "the clock differs from DynamoDB's"
            );
        }
        Ok(())
    }
}

/// The least by which our clock must be ahead of one that showed `date` between two of our times.
fn skew(sent_at: Timestamp, received_at: Timestamp, date: Timestamp) -> SignedDuration {
    let ahead = sent_at.duration_since(date + DATE_PRECISION);
    let behind = date.duration_since(received_at);
    if ahead.is_positive() {
        ahead
    } else if behind.is_positive() {
        -behind
    } else {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sent: i64, received: i64, date: i64, expected: i64) {
        let at = |it| Timestamp::from_millisecond(it).expect("a time");
        let skew = skew(at(sent), at(received), at(date));
        assert_eq!(skew, SignedDuration::from_millis(expected), "{sent} {received} {date}");
    }

    #[test]
    fn skew_is_the_least_that_the_dates_prove() {
        check(10_000, 10_050, 10_000, 0);
        check(10_990, 11_040, 10_000, 0);
        check(10_990, 14_000, 12_000, 0);
        check(12_500, 12_550, 10_000, 1_500);
        check(10_000, 10_050, 13_000, -2_950);
    }
}
