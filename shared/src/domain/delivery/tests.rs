//! Deliveries: single steps here, random interleavings of workers in [`workers`], and random
//! histories of all steps in [`histories`].

mod bounces;
mod histories;
mod waiting;
mod workers;

use crate::domain::{AccountId, Mode, Profile, RequestEvent, retry::CRASHES_MAX};
use proptest::prelude::*;

use super::*;

const CREATED: Timestamp = Timestamp::constant(1_800_000_000, 0);
const ME: OpId = OpId(1);
const OTHER: OpId = OpId(2);
/// Delays of the deliveries here: the first gets a hint, and the second waits for the sweep.
const DELAYS_SECONDS: [u32; 2] = [60, 3600];

/// The time `seconds` after the creation of the delivery.
fn at(seconds: u64) -> Timestamp {
    CREATED + Duration::from_secs(seconds)
}

fn delivery() -> Delivery {
    let request = RequestId::from_bits(1 << 100);
    let event = request.event(1);
    Delivery {
        id: Delivery::id_of(event, OpId(1), CALLBACK),
        owner: Owner { account: AccountId::from_bits(2 << 100), mode: Mode::Live },
        channel: None,
        event_type: RequestEvent::RequestFinished.into(),
        happened_at: at(0),
        trace: None,
        target: Target::Https(Receiver {
            retry: RetryPolicy { delays_seconds: DELAYS_SECONDS.to_vec(), jitter: 0.2 },
            ..Receiver::of("https://example.com/hook", Profile::Standard)
        }),
        webhook: None,
        way: 0,
        has_report: false,
        copy: None,
        body: Some(b"{}".to_vec()),
        created_at: CREATED,
        state: DeliveryState::Waiting { not_before: CREATED, reason: None },
        attempt: 0,
        starts: 0,
        failures: 0,
        breaker_wait: Duration::ZERO,
        expedited_by: None,
        redeliveries: None,
        first_attempt: None,
        is_private: false,
        due_at: Some(CREATED),
        revision: 0,
    }
}

#[track_caller]
fn started(delivery: &Delivery, now: Timestamp, op: OpId) -> Delivery {
    match delivery.start(delivery.attempt, now, op, LEASE) {
        StartDecision::Attempt(next) => *next,
        other => panic!("expected a start, got {other:?}"),
    }
}

const RETRY: AttemptVerdict = AttemptVerdict::Retry { retry_after: None };

#[track_caller]
fn finished(delivery: &Delivery, verdict: AttemptVerdict, now: Timestamp, op: OpId) -> Delivery {
    delivery.finish(verdict, now, 0.0, op).expect("it has the lease")
}

fn end(delivery: &Delivery) -> Option<DeliveryEnd> {
    let DeliveryState::Done { end, .. } = delivery.state else { return None };
    Some(end)
}

#[test]
fn identifier_is_stable_and_differs_by_event_and_target() {
    let request = RequestId::from_bits(1 << 100);
    let id = Delivery::id_of(request.event(1), OpId(1), CALLBACK);
    // Receivers deduplicate by it, so it is the same in every version.
    assert_eq!(id.to_string(), "dlv_00000100000000000000000001fa1ceab4182ddc92");
    assert_ne!(Delivery::id_of(request.event(1), OpId(1), BUS), id);
    assert_ne!(Delivery::id_of(request.event(2), OpId(1), CALLBACK), id);
    assert_ne!(Delivery::id_of(request.event(1), OpId(2), CALLBACK), id);
}

#[test]
fn started_delivery_is_exclusive_until_lease_and_guard_end() {
    let mine = started(&delivery(), at(0), ME);
    let lease = DeliveryState::Leased { owner: ME, until: at(45) };
    assert_eq!((mine.state, mine.due_at), (lease, Some(at(47))));
    assert_eq!((mine.attempt, mine.starts, mine.failures, mine.revision), (1, 1, 0, 1));

    assert_eq!(mine.start(0, at(47) - Duration::from_millis(1), OTHER, LEASE), StartDecision::Skip);
    // The hint of a sweep with a fast clock.
    assert_eq!(
        mine.start(1, at(47) - Duration::from_millis(1), OTHER, LEASE),
        StartDecision::TooEarly(at(47))
    );
    let theirs = started(&mine, at(47), OTHER);
    assert_eq!((theirs.attempt, theirs.starts, theirs.failures), (2, 2, 0));
}

#[test]
fn new_delivery_can_be_leased_to_its_creator() {
    let made = delivery().begin_leased(at(0), ME, LEASE);
    assert_eq!(made, Delivery { revision: 0, ..started(&delivery(), at(0), ME) });
}

#[test]
fn operation_recognizes_its_own_start() {
    let mine = started(&delivery(), at(0), ME);
    assert_eq!(mine.start(0, at(1), ME, LEASE), StartDecision::AlreadyMine);
}

#[test]
fn stale_early_and_late_hints_start_nothing() {
    let waiting = finished(&started(&delivery(), at(0), ME), RETRY, at(1), ME);
    assert_eq!(waiting.start(0, at(100), OTHER, LEASE), StartDecision::Skip);
    assert_eq!(waiting.start(2, at(100), OTHER, LEASE), StartDecision::Skip);
    assert_eq!(waiting.start(1, at(60), OTHER, LEASE), StartDecision::TooEarly(at(61)));
    let mine = started(&waiting, at(61), ME);
    assert_eq!(mine.start(1, at(999), OTHER, LEASE), StartDecision::Skip);
    let done = finished(&mine, AttemptVerdict::Accepted, at(62), ME);
    assert_eq!(done.start(2, at(999), OTHER, LEASE), StartDecision::Skip);
}

#[test]
fn only_the_holder_of_the_lease_can_finish() {
    let mine = started(&delivery(), at(0), ME);
    assert_eq!(delivery().finish(AttemptVerdict::Accepted, at(1), 0.0, ME), None);
    assert_eq!(mine.finish(AttemptVerdict::Accepted, at(1), 0.0, OTHER), None);
    let theirs = started(&mine, at(47), OTHER);
    assert_eq!(theirs.finish(AttemptVerdict::Accepted, at(48), 0.0, ME), None);
    // Late, but no other worker took over.
    let done = finished(&mine, AttemptVerdict::Accepted, at(50), ME);
    assert_eq!(done.state, DeliveryState::Done { end: DeliveryEnd::Delivered, at: at(50), op: ME });
    assert_eq!(done.due_at, None);
    assert_eq!(done.finish(AttemptVerdict::Accepted, at(51), 0.0, ME), None);
}

#[test]
fn permanent_failure_is_not_retried() {
    let mine = started(&delivery(), at(0), ME);
    let failed = finished(&mine, AttemptVerdict::Permanent(FailureReason::Gone), at(1), ME);
    assert_eq!(
        (end(&failed), failed.failures),
        (Some(DeliveryEnd::Failed(FailureReason::Gone)), 1)
    );
    assert_eq!(failed.due_at, None);
}

#[test]
fn retries_follow_the_delays_and_end() {
    let first = finished(&started(&delivery(), at(0), ME), RETRY, at(1), ME);
    // The first gets a hint, so the sweep follows later. The second is too late for a hint.
    assert_eq!((first.state, first.due_at), {
        (DeliveryState::Waiting { not_before: at(61), reason: None }, Some(at(61) + SWEEP_GRACE))
    });
    assert_eq!(first.hint_delay(at(1)), Some(Duration::from_mins(1)));
    let second = finished(&started(&first, at(61), ME), RETRY, at(62), ME);
    assert_eq!((second.state, second.due_at), {
        (DeliveryState::Waiting { not_before: at(3662), reason: None }, Some(at(3662)))
    });
    assert_eq!(second.hint_delay(at(62)), None);
    let third = finished(&started(&second, at(3662), ME), RETRY, at(3663), ME);
    assert_eq!(end(&third), Some(DeliveryEnd::DeadLettered(FailureReason::RetriesSpent)));
    assert_eq!((third.attempt, third.failures, third.due_at), (3, 3, None));
}

/// The delivery after `n_starts` workers started it and died.
fn crashed(mut delivery: Delivery, n_starts: u32) -> Delivery {
    for number in 0..n_starts {
        let now = delivery.due_at.expect("it is not over");
        delivery = started(&delivery, now, OpId(u64::from(number)));
    }
    delivery
}

#[test]
fn delivery_that_kills_its_workers_is_dead_lettered() {
    let n_starts = u32::try_from(DELAYS_SECONDS.len()).expect("small") + 1 + CRASHES_MAX;
    let delivery = crashed(delivery(), n_starts);
    assert_eq!((delivery.attempt, delivery.failures), (n_starts, 0));
    let now = delivery.due_at.expect("it is not over");
    let StartDecision::GiveUp(over) = delivery.start(n_starts, now, ME, LEASE) else {
        panic!("it was started again");
    };
    assert_eq!(end(&over), Some(DeliveryEnd::DeadLettered(FailureReason::CrashLoop)));
    assert_eq!((over.attempt, over.due_at), (n_starts, None));

    // The starts are counted from zero again. The numbers of attempts continue.
    let again = crashed(over.redeliver(now, ME).expect("it is over"), n_starts);
    assert_eq!((again.attempt, again.starts), (2 * n_starts, n_starts));
    let now = again.due_at.expect("it is not over");
    assert!(matches!(again.start(again.attempt, now, ME, LEASE), StartDecision::GiveUp(_)));
}

#[test]
fn crash_neither_uses_up_nor_adds_a_retry() {
    let crashed = crashed(delivery(), 3);
    let owner = OpId(2);
    let first = finished(&crashed, RETRY, at(200), owner);
    assert_eq!(first.state, DeliveryState::Waiting { not_before: at(260), reason: None });
    let second = finished(&started(&first, at(260), ME), RETRY, at(261), ME);
    let third = finished(&started(&second, at(3861), ME), RETRY, at(3862), ME);
    assert_eq!(end(&third), Some(DeliveryEnd::DeadLettered(FailureReason::RetriesSpent)));
}

#[test]
fn redelivery_resets_the_counters_and_keeps_the_identifier() {
    let mine = started(&delivery(), at(0), ME);
    assert_eq!(mine.redeliver(at(1), ME), None);
    let done = finished(&mine, AttemptVerdict::Permanent(FailureReason::Gone), at(1), ME);
    let expected = Delivery {
        state: DeliveryState::Waiting { not_before: at(2), reason: None },
        starts: 0,
        failures: 0,
        breaker_wait: Duration::ZERO,
        expedited_by: Some(ME),
        redeliveries: Some(Redeliveries { since: at(2), count: 1 }),
        due_at: Some(at(2)),
        revision: done.revision + 1,
        ..done.clone()
    };
    assert_eq!(done.redeliver(at(2), ME), Some(expected));
}

#[test]
fn erased_delivery_is_cancelled_and_never_attempted() {
    let waiting = delivery();
    let mine = started(&waiting, at(0), ME);
    let cancelled = DeliveryState::Done { end: DeliveryEnd::Cancelled, at: at(9), op: OTHER };
    for open in [&waiting, &mine] {
        let erased = open.erase(at(9), OTHER).expect("news");
        let expected = Delivery {
            state: cancelled,
            body: None,
            target: Target::Erased,
            due_at: None,
            revision: open.revision + 1,
            ..open.clone()
        };
        assert_eq!(erased, expected);
        assert_eq!(erased.erase(at(10), OTHER), None);
        assert_eq!(erased.redeliver(at(10), ME), None);
        assert_eq!(erased.start(erased.attempt, at(999), OTHER, LEASE), StartDecision::Skip);
        assert_eq!(erased.finish(AttemptVerdict::Accepted, at(10), 0.0, ME), None);
    }
    // A delivery that is over keeps its end.
    let done = finished(&mine, AttemptVerdict::Accepted, at(1), ME);
    let erased = done.erase(at(9), OTHER).expect("news");
    assert_eq!((erased.state, erased.due_at, erased.body), (done.state, None, None));
}

#[test]
fn hinted_delivery_is_due_again_later() {
    let hinted = delivery().hinted(at(300));
    let expected = Delivery { due_at: Some(at(300)), revision: 1, ..delivery() };
    assert_eq!(hinted, expected);
    // The hint itself can start it at once.
    assert!(matches!(hinted.start(0, at(1), ME, LEASE), StartDecision::Attempt(_)));
}

proptest! {
    #[test]
    fn retry_time_is_within_its_bounds(
        delay_seconds in 1_u32..=48 * 3600,
        jitter in 0.0..=1.0_f64,
        chance in 0.0..=1.0_f64,
        asked_seconds in prop::option::of(0_u64..400_000),
    ) {
        let mut delivery = delivery();
        let Target::Https(receiver) = &mut delivery.target else { unreachable!() };
        receiver.retry = RetryPolicy { delays_seconds: vec![delay_seconds], jitter };
        let verdict = AttemptVerdict::Retry { retry_after: asked_seconds.map(Duration::from_secs) };
        let failed = started(&delivery, at(0), ME).finish(verdict, at(7), chance, ME);
        let failed = failed.expect("it has the lease");

        let DeliveryState::Waiting { not_before, .. } = failed.state else { panic!("over") };
        let seconds = not_before.duration_since(at(7)).as_secs_f64();
        let (least, asked) = (f64::from(delay_seconds), asked_seconds.unwrap_or(0));
        #[expect(clippy::cast_precision_loss, reason = "days in seconds are exact")]
        let asked = (asked as f64).min(2.0 * least);
        // Times are rounded up to whole milliseconds.
        let most = (least * (1.0 + jitter) + 0.001).max(asked);
        prop_assert!(least.max(asked) <= seconds && seconds <= most, "{seconds}");
        prop_assert_eq!(not_before.as_nanosecond() % 1_000_000, 0);

        let grace = failed.due_at.expect("it is not over").duration_since(not_before);
        let is_hinted = failed.hint_delay(at(7)).is_some();
        prop_assert_eq!(is_hinted, seconds <= 900.0);
        prop_assert_eq!(grace.as_secs(), if is_hinted { 10 } else { 0 });
    }
}
