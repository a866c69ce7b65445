//! Random interleavings of two workers, with duplicated, late and stale hints, and with crashes.

use super::*;

/// Longest run of a function, in milliseconds.
const FUNCTION_MILLIS: u64 = 30_000;

/// The next move of a worker, in any phase.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// It takes a hint that is this number of attempts old.
    Hint(u32),
    /// It continues: it writes the start, then makes the attempt, then writes the result.
    Go(AttemptVerdict),
    /// It dies.
    Crash,
}

/// The phase of a worker.
#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// It has decided to start or to give up, and is about to write that.
    Starting { next: Box<Delivery>, gives_up: bool },
    /// It is sending.
    Attempting,
    /// It has the result, and is about to write it.
    Finishing { next: Box<Delivery> },
}

#[derive(Debug, Default)]
struct Worker {
    phase: Phase,
    op: u64,
    /// The time at which Lambda stops it, by the true clock.
    ends_at: Timestamp,
}

/// The result of a history.
#[derive(Debug, Default)]
struct Outcome {
    n_attempts: u32,
    n_retries: u32,
    n_delivered: u32,
    is_done: bool,
}

struct World {
    stored: Delivery,
    clock: Timestamp,
    workers: [Worker; 2],
    n_ops: u64,
    seen: Outcome,
}

impl World {
    fn new() -> Self {
        let workers = <_>::default();
        Self { stored: delivery(), clock: CREATED, workers, n_ops: 0, seen: <_>::default() }
    }

    /// A conditional write, like the store's.
    fn save(&mut self, next: &Delivery) -> bool {
        if self.stored.revision + 1 != next.revision {
            return false;
        }
        assert!(!self.seen.is_done, "it changed after its end: {next:?}");
        self.stored = next.clone();
        if let DeliveryState::Done { end, .. } = next.state {
            self.seen.is_done = true;
            self.seen.n_delivered += u32::from(end == DeliveryEnd::Delivered);
        }
        assert_eq!(next.due_at.is_none(), self.seen.is_done);
        true
    }

    fn n_attempting(&self) -> usize {
        let is_attempting =
            |it: &&Worker| matches!(it.phase, Phase::Attempting | Phase::Finishing { .. });
        self.workers.iter().filter(is_attempting).count()
    }

    /// One move of one worker, whose clock is fast by `skew`.
    fn step(&mut self, who: usize, what: Move, skew: Duration) {
        let now = self.clock + skew;
        let phase = std::mem::take(&mut self.workers[who].phase);
        let op = OpId(self.workers[who].op);
        self.workers[who].phase = match (phase, what) {
            (_, Move::Crash) | (Phase::Idle, Move::Go(_)) => Phase::Idle,
            (Phase::Idle, Move::Hint(stale)) => {
                self.n_ops += 1;
                let ends_at = self.clock + Duration::from_millis(FUNCTION_MILLIS);
                self.workers[who] = Worker { op: self.n_ops, ends_at, ..<_>::default() };
                let expected = self.stored.attempt.saturating_sub(stale);
                match self.stored.start(expected, now, OpId(self.n_ops), LEASE) {
                    StartDecision::Attempt(next) => Phase::Starting { next, gives_up: false },
                    StartDecision::GiveUp(next) => Phase::Starting { next, gives_up: true },
                    StartDecision::TooEarly(_) | StartDecision::Skip => Phase::Idle,
                    StartDecision::AlreadyMine => unreachable!("a new operation"),
                }
            }
            (Phase::Starting { next, gives_up }, Move::Go(_)) => {
                if self.save(&next) && !gives_up {
                    assert_eq!(self.n_attempting(), 0, "two workers attempt it at once");
                    assert_eq!(self.stored.start(0, now, op, LEASE), StartDecision::AlreadyMine);
                    self.seen.n_attempts += 1;
                    assert_eq!(self.stored.attempt, self.seen.n_attempts);
                    Phase::Attempting
                } else {
                    Phase::Idle
                }
            }
            (Phase::Attempting, Move::Go(verdict)) => {
                match self.stored.finish(verdict, now, 0.5, op) {
                    Some(next) => Phase::Finishing { next: Box::new(next) },
                    None => Phase::Idle,
                }
            }
            (Phase::Finishing { next }, Move::Go(_)) => {
                if self.save(&next) {
                    self.seen.n_retries += u32::from(!self.seen.is_done);
                }
                assert_eq!(self.stored.finish(AttemptVerdict::Accepted, now, 0.5, op), None);
                Phase::Idle
            }
            (busy, Move::Hint(_)) => busy,
        };
    }

    /// Lets time pass. Lambda stops workers that run for too long.
    fn wait(&mut self, wait: Duration) {
        self.clock += wait;
        for worker in &mut self.workers {
            if worker.ends_at <= self.clock {
                worker.phase = Phase::Idle;
            }
        }
    }
}

fn moves(crashes: u32) -> impl Strategy<Value = Vec<(usize, Move, u64, u64)>> {
    let verdict = prop_oneof![
        1 => Just(AttemptVerdict::Accepted),
        6 => Just(RETRY),
        1 => Just(AttemptVerdict::Permanent(FailureReason::Gone)),
    ];
    let what = prop_oneof![
        12 => prop_oneof![4 => Just(0), 1 => 0_u32..3].prop_map(Move::Hint),
        18 => verdict.prop_map(Move::Go),
        crashes => Just(Move::Crash),
    ];
    let wait =
        prop_oneof![4 => Just(0), 3 => 0_u64..10_000, 2 => 0_u64..70_000, 1 => Just(4_000_000)];
    // Clocks differ by up to 2 s.
    prop::collection::vec((0_usize..2, what, wait, 0_u64..2_000), 1..120)
}

proptest! {
    #[test]
    fn two_workers_never_attempt_at_once_and_agree_on_one_end(moves in moves(4)) {
        let mut world = World::new();
        for (who, what, wait, skew) in moves {
            world.wait(Duration::from_millis(wait));
            world.step(who, what, Duration::from_millis(skew));
        }
        prop_assert!(world.seen.n_delivered <= 1);
        prop_assert!(world.seen.n_attempts <= delivery().retry().starts_max());
        prop_assert!(world.seen.n_retries as usize <= DELAYS_SECONDS.len());
    }

    /// Workers that do not crash finish within their time.
    #[test]
    fn without_crashes_there_are_only_the_planned_attempts(moves in moves(0)) {
        let mut world = World::new();
        for (who, what, wait, skew) in moves {
            let is_busy = |it: &Worker| !matches!(it.phase, Phase::Idle);
            let room = world.workers.iter().filter(|it| is_busy(it));
            let room = room.map(|it| it.ends_at.duration_since(world.clock)).min();
            let room = room.and_then(|it| Duration::try_from(it).ok()).unwrap_or(Duration::MAX);
            let wait = Duration::from_millis(wait);
            // A worker that would be stopped finishes first.
            if room <= wait {
                for who in 0..2 {
                    for _ in 0..3 {
                        world.step(who, Move::Go(RETRY), Duration::ZERO);
                    }
                }
            }
            world.wait(wait);
            world.step(who, what, Duration::from_millis(skew));
        }
        prop_assert!(world.seen.n_attempts as usize <= 1 + DELAYS_SECONDS.len());
        prop_assert!(world.stored.failures <= world.stored.attempt);
    }
}
