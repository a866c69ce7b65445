//! Random histories: all steps, in any order, by clocks that differ and run backward.
//!
//! The workers in [`workers`](super::workers) follow the protocol. Here any step may come at any
//! time.

use super::*;
use crate::domain::delivery::{attempting::LEASE_GUARD, waiting::BREAKER_WAIT_MAX};

/// A step.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A worker starts. Its hint is `stale` attempts old.
    Start { stale: u32, op: OpId },
    /// A worker finishes, with or without the lease.
    Finish { verdict: AttemptVerdict, chance: f64, op: OpId },
    /// The sender asks for it again.
    Redeliver,
    /// The sweep sent a hint.
    Hinted { seconds: u64 },
    /// Its receiver is down.
    WaitForBreaker { seconds: u64 },
    /// Its receiver is slow.
    MoveToSlowLane,
    /// The sender erases it.
    Erase { op: OpId },
}

fn steps() -> impl Strategy<Value = Vec<(u64, u64, Step)>> {
    let op = || (1_u64..4).prop_map(OpId);
    let retry_after = prop::option::of(any::<u64>().prop_map(Duration::from_secs));
    let verdict = prop_oneof![
        1 => Just(AttemptVerdict::Accepted),
        1 => Just(AttemptVerdict::Permanent(FailureReason::Gone)),
        6 => retry_after.prop_map(|retry_after| AttemptVerdict::Retry { retry_after }),
    ];
    let stale = prop_oneof![4 => Just(0), 1 => 1_u32..3];
    let step = prop_oneof![
        10 => (stale, op()).prop_map(|(stale, op)| Step::Start { stale, op }),
        8 => (verdict, 0.0..=1.0_f64, op())
            .prop_map(|(verdict, chance, op)| Step::Finish { verdict, chance, op }),
        1 => Just(Step::Redeliver),
        2 => (0_u64..400).prop_map(|seconds| Step::Hinted { seconds }),
        4 => (1_u64..4_000).prop_map(|seconds| Step::WaitForBreaker { seconds }),
        1 => Just(Step::MoveToSlowLane),
        1 => op().prop_map(|op| Step::Erase { op }),
    ];
    let wait =
        prop_oneof![2 => Just(0_u64), 2 => 0_u64..3_000, 3 => 0_u64..60_000, 1 => Just(8_000_000)];
    // Clocks differ by up to 2 s.
    prop::collection::vec((wait, 0_u64..2_000, step), 1..80)
}

/// The delivery after `step`, or `None` if nothing changes.
fn take(delivery: &Delivery, step: Step, now: Timestamp) -> Option<Delivery> {
    match step {
        Step::Start { stale, op } => {
            match delivery.start(delivery.attempt.saturating_sub(stale), now, op, LEASE) {
                StartDecision::Attempt(next) | StartDecision::GiveUp(next) => Some(*next),
                StartDecision::TooEarly(at) => {
                    assert!(now < at, "early, but not before {at}");
                    None
                }
                StartDecision::AlreadyMine | StartDecision::Skip => None,
            }
        }
        Step::Finish { verdict, chance, op } => delivery.finish(verdict, now, chance, op),
        Step::Redeliver => delivery.redeliver(now, OpId(0)),
        // The sweep sends hints for due items only.
        Step::Hinted { seconds } => (delivery.due_at.is_some_and(|it| it <= now))
            .then(|| delivery.hinted(now + Duration::from_secs(seconds))),
        Step::WaitForBreaker { seconds } => {
            delivery.breaker_wait_left()?;
            delivery.wait_for_breaker(delivery.attempt, now + Duration::from_secs(seconds), now)
        }
        Step::MoveToSlowLane => delivery.move_to_slow_lane(delivery.attempt, now),
        Step::Erase { op } => delivery.erase(now, op),
    }
}

/// `step`, repeated by the same operation, changes nothing more.
fn is_known(after: &Delivery, step: Step, now: Timestamp) -> bool {
    match step {
        Step::Start { op, .. } => {
            let again = after.start(after.attempt, now, op, LEASE);
            matches!(
                (after.state, again),
                (DeliveryState::Leased { .. }, StartDecision::AlreadyMine)
            ) || matches!(
                (after.state, after.start(0, now, op, LEASE)),
                (DeliveryState::Done { .. }, StartDecision::Skip)
            )
        }
        Step::Finish { op, .. } => after.finish(AttemptVerdict::Accepted, now, 0.0, op).is_none(),
        Step::Erase { op } => after.erase(now, op).is_none(),
        Step::WaitForBreaker { .. } | Step::MoveToSlowLane => take(after, step, now).is_none(),
        Step::Redeliver | Step::Hinted { .. } => true,
    }
}

/// The laws that hold for every step.
fn check(before: &Delivery, after: &Delivery, step: Step, now: Timestamp) {
    assert_eq!(after.revision, before.revision + 1);
    let identity = |it: &Delivery| (it.id, it.event(), it.event_type.clone(), it.created_at);
    assert_eq!(identity(after), identity(before), "it is about another event");
    assert!(after.body.is_none() || after.body == before.body, "the bytes changed");

    // The timer is set until the end, and never to a time before the next step.
    assert_eq!(after.due_at.is_none(), matches!(after.state, DeliveryState::Done { .. }));
    let not_before = match after.state {
        DeliveryState::Waiting { not_before, .. } => not_before,
        DeliveryState::Leased { until, .. } => until + LEASE_GUARD,
        DeliveryState::Done { .. } => Timestamp::MIN,
    };
    let is_hinted = matches!(step, Step::Hinted { .. });
    assert!(is_hinted || after.due_at.is_none_or(|it| not_before <= it), "due too early");

    // Only a redelivery reopens a delivery, and only an erasure takes it from its worker.
    match (before.state, after.state) {
        (DeliveryState::Done { .. }, DeliveryState::Waiting { .. }) => {
            assert!(matches!(step, Step::Redeliver));
            assert_eq!((after.starts, after.failures), (0, 0));
        }
        (DeliveryState::Done { .. }, is) => assert_eq!(is, before.state, "the end changed"),
        (DeliveryState::Leased { owner, until }, DeliveryState::Leased { owner: next, .. })
            if owner != next =>
        {
            assert!(until + LEASE_GUARD <= now, "taken from a worker that may be alive");
        }
        (DeliveryState::Leased { owner, until }, DeliveryState::Waiting { .. }) => {
            let is_over = until + LEASE_GUARD <= now;
            let is_postponed = matches!(step, Step::WaitForBreaker { .. } | Step::MoveToSlowLane);
            let is_finished = matches!(step, Step::Finish { op, .. } if op == owner);
            assert!(is_finished || is_postponed && is_over);
        }
        (DeliveryState::Waiting { not_before, .. }, DeliveryState::Leased { .. }) => {
            assert!(not_before <= now, "attempted too early");
        }
        _ => (),
    }

    if !matches!(step, Step::Redeliver) {
        let waited = after.breaker_wait.saturating_sub(before.breaker_wait);
        assert!(waited.is_zero() || matches!(step, Step::WaitForBreaker { .. }));
        let waits_until = |it| matches!(after.state, DeliveryState::Waiting { not_before, .. } if not_before == it);
        assert!(waited.is_zero() || waits_until(now + waited), "the wait is counted wrong");
        assert!(after.breaker_wait <= BREAKER_WAIT_MAX, "it waits for too long");
    }

    let n_retries = u32::try_from(DELAYS_SECONDS.len()).expect("small");
    let is_attempt =
        matches!(step, Step::Start { .. }) && !matches!(after.state, DeliveryState::Done { .. });
    assert_eq!(after.attempt, before.attempt + u32::from(is_attempt), "attempts are numbered");
    assert!(after.starts <= n_retries + 1 + CRASHES_MAX && after.starts <= after.attempt);
    assert!(after.failures <= n_retries + 1 && after.failures <= after.starts);

    if let Step::Finish { verdict: AttemptVerdict::Retry { .. }, .. } = step
        && let DeliveryState::Waiting { not_before, .. } = after.state
    {
        let index = usize::try_from(before.failures).expect("small");
        let delay = Duration::from_secs(DELAYS_SECONDS[index].into());
        assert!((now + delay..=now + delay * 2).contains(&not_before), "{not_before}");
    }
    if after.body.is_none() {
        assert!(matches!(after.state, DeliveryState::Done { .. }), "erased, but not over");
        assert_eq!(after.target, Target::Erased);
    }
}

proptest! {
    #[test]
    fn deliveries_obey_their_laws_for_any_history(steps in steps()) {
        let (mut delivery, mut clock) = (delivery(), CREATED);
        for (wait, skew, step) in steps {
            clock += Duration::from_millis(wait);
            let now = clock + Duration::from_millis(skew);
            if let Some(next) = take(&delivery, step, now) {
                check(&delivery, &next, step, now);
                prop_assert!(is_known(&next, step, now), "repeated: {:?}", step);
                delivery = next;
            }
        }
    }

    /// A delivery comes to an end if a worker starts it whenever it is due, and then either dies or
    /// fails.
    #[test]
    fn delivery_ends_if_its_timer_is_followed(
        steps in steps(),
        dies in prop::collection::vec(any::<bool>(), 20),
    ) {
        let (mut delivery, mut clock) = (delivery(), CREATED);
        for (wait, _, step) in steps {
            clock += Duration::from_millis(wait);
            delivery = take(&delivery, step, clock).unwrap_or(delivery);
        }
        for (op, dies) in (100..).zip(dies) {
            let Some(due_at) = delivery.due_at else { break };
            clock = clock.max(due_at);
            let op = OpId(op);
            delivery = match delivery.start(delivery.attempt, clock, op, LEASE) {
                StartDecision::Attempt(next) if dies => *next,
                StartDecision::Attempt(next) => next.finish(RETRY, clock, 0.5, op).expect("it has the lease"),
                StartDecision::GiveUp(next) => *next,
                // The step before set its timer too early. It becomes due again.
                StartDecision::TooEarly(at) => delivery.hinted(at),
                other => panic!("due, but there is nothing to do: {other:?}"),
            };
        }
        prop_assert!(end(&delivery).is_some(), "{:?}", delivery);
        prop_assert_eq!(delivery.due_at, None);
    }
}
