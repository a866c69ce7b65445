//! Breakers: single steps, and random histories.

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

const UP: HealthSample = HealthSample { health: Health::Up, duration: Duration::ZERO };
const DOWN: HealthSample = HealthSample { health: Health::Down, duration: Duration::ZERO };
const TIMED_OUT: HealthSample =
    HealthSample { health: Health::TimedOut, duration: Duration::from_secs(1) };
const UNKNOWN: HealthSample =
    HealthSample { health: Health::Unknown, duration: Duration::from_secs(9) };

/// The time `seconds` after the start.
fn at(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn unknown() -> Breaker {
    let authority = Authority::of("https://hooks.example.com/hook").expect("a host");
    Breaker::unknown(AccountId::from_bits(1), authority)
}

#[track_caller]
fn after(breaker: &Breaker, sample: HealthSample, now: Timestamp, op: u64) -> Breaker {
    breaker.record(sample, now, OpId(op)).expect("it changes the breaker")
}

/// A breaker that opened at `now`, after failures of the operations 1 to 5.
fn opened(now: Timestamp) -> Breaker {
    (1..=5).fold(unknown(), |it, op| after(&it, DOWN, now, op))
}

#[track_caller]
fn tried(breaker: &Breaker, now: Timestamp, op: u64) -> Breaker {
    match breaker.route(now, OpId(op)) {
        Route::Trial(next) => *next,
        other => panic!("expected a trial, got {other:?}"),
    }
}

#[test]
fn authority_has_a_port_even_if_the_url_has_none() {
    let host = |url| Authority::of(url).map(|it| (it.to_string(), it.host().to_owned()));
    let both = |host: &str, name: &str| Some((host.to_owned(), name.to_owned()));
    assert_eq!(host("https://a.example/x?y"), both("a.example:443", "a.example"));
    assert_eq!(host("https://a.example:8443/"), both("a.example:8443", "a.example"));
    assert_eq!(host("http://127.0.0.1:80/"), both("127.0.0.1:80", "127.0.0.1"));
    assert_eq!(host("https://[2001:db8::1]/"), both("[2001:db8::1]:443", "[2001:db8::1]"));
    assert_eq!(host("https://"), None);
}

#[test]
fn healthy_fast_receiver_changes_nothing() {
    assert_eq!(unknown().record(UP, at(0), OpId(1)), None);
    assert_eq!(unknown().record(UNKNOWN, at(0), OpId(1)), None);
    assert_eq!(unknown().route(at(0), OpId(1)), Route::Clear);
    assert!(!unknown().needs_slow_lane());
}

#[test]
fn five_consecutive_failures_open_it_for_a_minute() {
    let four = (1..=4).fold(unknown(), |it, op| after(&it, DOWN, at(0), op));
    assert_eq!(four.route(at(0), OpId(9)), Route::Clear);
    assert!(!four.needs_slow_lane(), "fast failures delay no other delivery");
    // A success resets the count.
    let recovered = after(&four, UP, at(1), 9);
    assert_eq!(recovered.state, BreakerState::Closed { failed: Vec::new() });
    let five = after(&four, TIMED_OUT, at(2), 5);
    assert_eq!(five.state, BreakerState::Open { until: at(62), n_openings: 1 });
    assert_eq!(five.route(at(61), OpId(9)), Route::Wait(at(62)));
    assert!(five.needs_slow_lane());
    // An attempt that began earlier fails too, and changes nothing.
    assert_eq!(five.record(TIMED_OUT, at(3), OpId(6)), None);
}

#[test]
fn one_delivery_tries_after_the_wait_and_the_others_wait() {
    let open = opened(at(0));
    let trial = tried(&open, at(60), 7);
    assert_eq!(trial.state, BreakerState::Trial { by: OpId(7), until: at(90), n_openings: 1 });
    assert_eq!(trial.route(at(61), OpId(8)), Route::Wait(at(90)));
    assert_eq!(trial.route(at(61), OpId(7)), Route::Clear, "it recognizes its own write");
    assert_eq!(trial.record(DOWN, at(62), OpId(8)), None, "only the result of the trial counts");
    // The worker of the trial died.
    assert_eq!(tried(&trial, at(90), 8).revision, trial.revision + 1);

    let closed = after(&trial, UP, at(63), 7);
    assert_eq!(closed.route(at(63), OpId(8)), Route::Clear);
    assert_eq!(closed.record(DOWN, at(64), OpId(7)), None, "it recognizes its own write");
    let reopened = (11..=15).fold(closed, |it, op| after(&it, DOWN, at(70), op));
    assert_eq!(reopened.state, BreakerState::Open { until: at(130), n_openings: 1 });
}

#[test]
fn each_failed_trial_doubles_the_wait_up_to_an_hour() {
    let mut breaker = opened(at(0));
    let mut lengths = Vec::new();
    for op in 10..18 {
        let BreakerState::Open { until, .. } = breaker.state else { panic!("not open") };
        let sample = if op % 2 == 0 { DOWN } else { UNKNOWN };
        breaker = after(&tried(&breaker, until, op), sample, until, op);
        let BreakerState::Open { until: next, .. } = breaker.state else { panic!("not open") };
        lengths.push(next.duration_since(until).as_secs());
    }
    assert_eq!(lengths, [120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
}

#[test]
fn attempts_with_fixed_delays_count_too() {
    let open = opened(at(0));
    assert_eq!(open.record(DOWN, at(59), OpId(9)), None);
    let again = after(&open, DOWN, at(60), 9);
    assert_eq!(again.state, BreakerState::Open { until: at(180), n_openings: 2 });
    assert_eq!(after(&open, UP, at(30), 9).state, BreakerState::Closed { failed: Vec::new() });
}

#[test]
fn receiver_is_slow_if_its_latest_attempt_was() {
    let long = HealthSample { duration: SLOW_AFTER + Duration::from_millis(1), ..UP };
    let slow = after(&unknown(), long, at(0), 1);
    assert!(slow.needs_slow_lane());
    assert_eq!(slow.route(at(0), OpId(2)), Route::Clear);
    assert_eq!(slow.record(long, at(1), OpId(2)), None);
    assert_eq!(slow.mark_slow(at(1)), None);
    assert_eq!(slow.record(UNKNOWN, at(1), OpId(2)), None);
    assert!(!after(&slow, UP, at(1), 2).needs_slow_lane());

    let waiting = unknown().mark_slow(at(3)).expect("it changes the breaker");
    assert!(waiting.needs_slow_lane());
    assert!(!after(&waiting, UP, at(4), 1).is_slow, "the attempt itself was fast");
    assert!(after(&unknown(), TIMED_OUT, at(0), 1).is_slow);
}

proptest! {
    /// For any sequence of samples: a repeated step changes nothing, no wait is longer than an
    /// hour, only five consecutive failures open a breaker, and one delivery at a time tries.
    #[test]
    fn breakers_obey_their_laws_for_any_history(
        steps in prop::collection::vec((0_u8..6, 0_u64..100, 0_u64..4_000), 1..60),
    ) {
        let mut breaker = unknown();
        let mut now = START;
        let mut in_a_row = 0;
        for (number, (kind, took, wait)) in steps.into_iter().enumerate() {
            now += Duration::from_secs(wait * wait / 4_000);
            let op = OpId(u64::try_from(number).expect("few"));
            let before = breaker.clone();
            if kind == 5 {
                let Route::Trial(next) = breaker.route(now, op) else { continue };
                prop_assert_eq!(next.route(now, op), Route::Clear);
                prop_assert!(matches!(next.route(now, OpId(u64::MAX)), Route::Wait(_)));
                prop_assert!(in_a_row >= FAILURES_MAX);
                breaker = *next;
            } else {
                let health = [Health::Up, Health::Down, Health::Down, Health::TimedOut, Health::Unknown];
                let health = health[usize::from(kind)];
                let sample = HealthSample { health, duration: Duration::from_millis(took * 60) };
                if let Some(next) = breaker.record(sample, now, op) {
                    prop_assert_eq!(next.record(sample, now, op), None);
                    breaker = next;
                }
                in_a_row = match health {
                    Health::Up => 0,
                    Health::Down | Health::TimedOut => in_a_row + 1,
                    Health::Unknown => in_a_row,
                };
                let is_closed = matches!(breaker.state, BreakerState::Closed { .. });
                prop_assert_eq!(is_closed, in_a_row < FAILURES_MAX);
            }
            prop_assert_eq!(breaker.revision, before.revision + u64::from(breaker != before));
            if let Route::Wait(until) = breaker.route(now, OpId(u64::MAX)) {
                prop_assert!(now < until && until <= now + OPEN_DURATION_MAX);
            }
        }
    }
}
