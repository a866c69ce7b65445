//! Watches this machine's clock: who tells time-outs from answers must not be far from the others.
//!
//! Each answer of DynamoDB's has a date. It costs no call to compare it.

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

/// A difference that is worth telling: half of what the protocol allows for.
const NOTABLE: Duration = Duration::from_secs(1);
/// It is told once in so long.
const TOLD_EVERY: Duration = Duration::from_mins(1);
/// A date has whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Compares the clock with the date of each answer.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    told_at: AtomicI64,
}

/// When a call was sent.
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
        let last = self.told_at.load(Ordering::Relaxed);
        if skew.unsigned_abs() >= NOTABLE && now.as_millisecond() - last >= told_every() {
            self.told_at.store(now.as_millisecond(), Ordering::Relaxed);
            tracing::error!(
                ClockSkew = i64::try_from(skew.abs().as_millis()).unwrap_or(i64::MAX),
                is_ahead = skew.is_positive(),
                "this machine's clock and DynamoDB's differ"
            );
        }
        Ok(())
    }
}

fn told_every() -> i64 {
    i64::try_from(TOLD_EVERY.as_millis()).expect("a minute")
}

/// By how much at least our clock is ahead of one that showed `date` between two times of ours.
fn skew(sent_at: Timestamp, received_at: Timestamp, date: Timestamp) -> SignedDuration {
    let ahead = sent_at.duration_since(date + SECOND);
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
    fn only_what_must_be_a_difference_counts_as_one() {
        check(10_000, 10_050, 10_000, 0);
        check(10_990, 11_040, 10_000, 0);
        check(10_990, 14_000, 12_000, 0);
        check(12_500, 12_550, 10_000, 1_500);
        check(10_000, 10_050, 13_000, -2_950);
    }
}
