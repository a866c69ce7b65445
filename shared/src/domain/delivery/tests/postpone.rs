//! How deliveries wait for receivers that are slow or down.

use super::*;
use crate::domain::delivery::waiting::{HELD_MAX, WaitReason};

fn held(delivery: &Delivery, until: Timestamp, now: Timestamp) -> Delivery {
    delivery.hold(delivery.attempt, until, now).expect("its time has come")
}

fn to(profile: Profile, delays_seconds: &[u32]) -> Delivery {
    let retry = RetryPolicy { delays_seconds: delays_seconds.to_vec(), jitter: 0.0 };
    let Target::Https(receiver) = delivery().target else { panic!("it has a receiver") };
    Delivery { target: Target::Https(Receiver { profile, retry, ..receiver }), ..delivery() }
}

#[test]
fn what_is_held_spends_nothing_and_is_attempted_afterwards() {
    let failed = finished(&started(&delivery(), at(0), ME), RETRY, at(1), ME);
    let waiting = held(&failed, at(120), at(61));
    let state =
        DeliveryState::Waiting { not_before: at(120), because: Some(WaitReason::BreakerOpen) };
    assert_eq!((waiting.state, waiting.due_at), (state, Some(at(120) + SWEEP_GRACE)));
    assert_eq!((waiting.attempt, waiting.starts, waiting.failures), (1, 1, 1));
    assert_eq!(waiting.held, Duration::from_secs(59));
    assert_eq!(waiting.hold(1, at(130), at(119)), None, "it is held already");
    assert_eq!(waiting.hold(0, at(130), at(120)), None, "a hint that is stale");
    assert_eq!(waiting.start(1, at(119), OTHER, LEASE), Start::Early(at(120)));
    assert_eq!(started(&waiting, at(120), OTHER).attempt, 2);

    // Too long for a hint: the sweep finds it.
    let long = held(&waiting, at(3_720), at(120));
    assert_eq!(long.due_at, Some(at(3_720)));
    assert!(long.is_in_slow_lane());
}

#[test]
fn what_runs_is_not_held_and_what_its_worker_left_is() {
    let mine = started(&delivery(), at(0), ME);
    assert_eq!(mine.hold(1, at(999), at(46)), None);
    assert_eq!(held(&mine, at(999), at(47)).attempt, 1);
    let done = finished(&mine, AttemptVerdict::Accepted, at(1), ME);
    assert_eq!(done.hold(1, at(999), at(47)), None);
    assert_eq!(done.change_lane(1, at(47)), None);
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
            let is_leased = matches!(it.start(expected, at(second), OTHER), Start::Attempt(_));
            assert_eq!(it.is_ready(expected, at(second)), is_leased, "{expected} {second} {it:?}");
        }
    }
}

#[test]
fn nothing_is_held_for_more_than_six_hours_in_all() {
    let mut waiting = delivery();
    let mut now = at(0);
    while let Some(left) = waiting.patience() {
        assert_eq!(left, HELD_MAX.saturating_sub(waiting.held));
        waiting = held(&waiting, now + Duration::from_hours(1) + Duration::from_secs(7), now);
        let DeliveryState::Waiting { not_before, .. } = waiting.state else { panic!("it waits") };
        now = not_before;
    }
    assert_eq!((waiting.held, now), (HELD_MAX, at(0) + HELD_MAX));
    assert_eq!(started(&waiting, now, ME).attempt, 1);
}

#[test]
fn only_delays_that_grow_are_stretched_and_nobody_who_asks_for_it_now_waits() {
    for profile in Profile::ALL {
        let has_own_times = [Profile::NextKs, Profile::Notify, Profile::Ping].contains(&profile);
        assert_eq!(to(profile, &[5, 300]).patience().is_some(), !has_own_times, "{profile:?}");
        for own in [&[][..], &[60], &[60, 60, 60]] {
            assert_eq!(to(profile, own).patience(), None, "{profile:?} {own:?}");
        }
    }
    assert_eq!(Delivery { target: Target::Bus, ..delivery() }.patience(), None);

    let waiting = held(&delivery(), at(3_600), at(0));
    let wanted = waiting.redeliver(at(9), OTHER).expect("it is waiting");
    assert_eq!((wanted.held, wanted.patience()), (Duration::ZERO, None));
    let failed = finished(&started(&wanted, at(9), ME), RETRY, at(10), ME);
    assert_eq!(failed.patience(), Some(HELD_MAX));
}

#[test]
fn the_slow_lane_is_another_way_to_wait() {
    let first = delivery().begin_in_slow_lane(at(0));
    let state = DeliveryState::Waiting { not_before: at(0), because: Some(WaitReason::SlowLane) };
    assert_eq!((first.state, first.due_at), (state, Some(at(0) + SWEEP_GRACE)));
    assert_eq!(first.change_lane(0, at(1)), None, "it is there");
    let moved = delivery().change_lane(0, at(1)).expect("it was elsewhere");
    assert_eq!((moved.revision, moved.attempt), (1, 0));
    assert!(moved.is_in_slow_lane() && !delivery().is_in_slow_lane());

    let failed = finished(&started(&first, at(1), ME), RETRY, at(2), ME);
    assert!(!failed.is_in_slow_lane());
    assert!(failed.clone().retried_in_slow_lane(true).is_in_slow_lane());
    assert_eq!(failed.clone().retried_in_slow_lane(true).due_at, failed.due_at);
    let done = finished(&started(&first, at(1), ME), AttemptVerdict::Accepted, at(2), ME);
    assert_eq!(done.clone().retried_in_slow_lane(true), done);
    let held = delivery().begin_held(at(60), at(0));
    assert_eq!((held.held, held.revision), (Duration::from_mins(1), 0));
}
