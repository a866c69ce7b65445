//! Waiting for receivers that are slow or down.

use super::*;
use crate::domain::delivery::{StartDecision, waiting::BREAKER_WAIT_MAX};

fn behind_breaker(delivery: &Delivery, until: Timestamp, now: Timestamp) -> Delivery {
    delivery.wait_for_breaker(delivery.attempt, until, now).expect("it is due")
}

fn to(profile: Profile, delays_seconds: &[u32]) -> Delivery {
    let retry = RetryPolicy { delays_seconds: delays_seconds.to_vec(), jitter: 0.0 };
    let Target::Https(receiver) = delivery().target else { panic!("it has a receiver") };
    Delivery { target: Target::Https(Receiver { profile, retry, ..receiver }), ..delivery() }
}

#[test]
fn waiting_for_a_breaker_uses_up_no_retries() {
    let failed = finished(&started(&delivery(), at(0), ME), RETRY, at(1), ME);
    let waiting = behind_breaker(&failed, at(120), at(61));
    let state =
        DeliveryState::Waiting { not_before: at(120), reason: Some(WaitReason::BreakerOpen) };
    assert_eq!((waiting.state, waiting.due_at), (state, Some(at(120) + SWEEP_GRACE)));
    assert_eq!((waiting.attempt, waiting.starts, waiting.failures), (1, 1, 1));
    assert_eq!(waiting.breaker_wait, Duration::from_secs(59));
    assert_eq!(waiting.wait_for_breaker(1, at(130), at(119)), None, "it waits already");
    assert_eq!(waiting.wait_for_breaker(0, at(130), at(120)), None, "a stale hint");
    assert_eq!(waiting.start(1, at(119), OTHER, LEASE), StartDecision::TooEarly(at(120)));
    assert_eq!(started(&waiting, at(120), OTHER).attempt, 2);

    // Too long for a hint, so the sweep finds it.
    let long = behind_breaker(&waiting, at(3_720), at(120));
    assert_eq!(long.due_at, Some(at(3_720)));
    assert_eq!(long.lane(), Lane::Slow);
}

#[test]
fn leased_delivery_waits_only_after_its_lease_expired() {
    let mine = started(&delivery(), at(0), ME);
    assert_eq!(mine.wait_for_breaker(1, at(999), at(46)), None);
    assert_eq!(behind_breaker(&mine, at(999), at(47)).attempt, 1);
    let done = finished(&mine, AttemptVerdict::Accepted, at(1), ME);
    assert_eq!(done.wait_for_breaker(1, at(999), at(47)), None);
    assert_eq!(done.move_to_slow_lane(1, at(47)), None);
}

#[test]
fn waits_for_breakers_are_limited_to_six_hours() {
    let mut waiting = delivery();
    let mut now = at(0);
    while let Some(left) = waiting.breaker_wait_left() {
        assert_eq!(left, BREAKER_WAIT_MAX.saturating_sub(waiting.breaker_wait));
        waiting =
            behind_breaker(&waiting, now + Duration::from_hours(1) + Duration::from_secs(7), now);
        let DeliveryState::Waiting { not_before, .. } = waiting.state else {
            panic!("it does not wait")
        };
        now = not_before;
    }
    assert_eq!((waiting.breaker_wait, now), (BREAKER_WAIT_MAX, at(0) + BREAKER_WAIT_MAX));
    assert_eq!(started(&waiting, now, ME).attempt, 1);
}

#[test]
fn fixed_delays_and_redeliveries_ignore_breakers() {
    for profile in Profile::ALL {
        let has_fixed_delays = [Profile::NextKs, Profile::Notify, Profile::Ping].contains(&profile);
        assert_eq!(
            to(profile, &[5, 300]).breaker_wait_left().is_some(),
            !has_fixed_delays,
            "{profile:?}"
        );
        for own in [&[][..], &[60], &[60, 60, 60]] {
            assert_eq!(to(profile, own).breaker_wait_left(), None, "{profile:?} {own:?}");
        }
    }
    assert_eq!(Delivery { target: Target::Bus, ..delivery() }.breaker_wait_left(), None);

    let waiting = behind_breaker(&delivery(), at(3_600), at(0));
    let wanted = waiting.redeliver(at(9), OTHER).expect("it is waiting");
    assert_eq!((wanted.breaker_wait, wanted.breaker_wait_left()), (Duration::ZERO, None));
    let failed = finished(&started(&wanted, at(9), ME), RETRY, at(10), ME);
    assert_eq!(failed.breaker_wait_left(), Some(BREAKER_WAIT_MAX));
}

#[test]
fn slow_lane_is_chosen_at_creation_on_start_and_on_retry() {
    let first = delivery().begin_in_slow_lane(at(0));
    let state = DeliveryState::Waiting { not_before: at(0), reason: Some(WaitReason::SlowLane) };
    assert_eq!((first.state, first.due_at), (state, Some(at(0) + SWEEP_GRACE)));
    assert_eq!(first.move_to_slow_lane(0, at(1)), None, "it is there already");
    let moved = delivery().move_to_slow_lane(0, at(1)).expect("it was in the fast lane");
    assert_eq!((moved.revision, moved.attempt), (1, 0));
    assert_eq!((moved.lane(), delivery().lane()), (Lane::Slow, Lane::Fast));

    let failed = finished(&started(&first, at(1), ME), RETRY, at(2), ME);
    assert_eq!(failed.lane(), Lane::Fast);
    let retried = failed.clone().retried_in(Lane::Slow);
    assert_eq!((retried.lane(), retried.due_at), (Lane::Slow, failed.due_at));
    let done = finished(&started(&first, at(1), ME), AttemptVerdict::Accepted, at(2), ME);
    assert_eq!(done.clone().retried_in(Lane::Slow), done);
    let created = delivery().begin_behind_breaker(at(60), at(0));
    assert_eq!((created.breaker_wait, created.revision), (Duration::from_mins(1), 0));
}

#[test]
fn ready_delivery_is_one_that_start_leases() {
    let leased = started(&delivery(), at(0), ME);
    let failed = finished(&leased, RETRY, at(1), ME);
    let starts_max = failed.retry().starts_max();
    let crashing = Delivery { starts: starts_max, ..failed.clone() };
    let done = finished(&leased, AttemptVerdict::Accepted, at(1), ME);
    for it in [delivery(), leased, failed, crashing, done] {
        for (expected, second) in [(0, 0), (1, 0), (1, 46), (1, 47), (1, 500), (2, 500)] {
            let decision = it.start(expected, at(second), OTHER, LEASE);
            let is_leased = matches!(decision, StartDecision::Attempt(_));
            assert_eq!(it.is_ready(expected, at(second)), is_leased, "{expected} {second} {it:?}");
        }
    }
}
