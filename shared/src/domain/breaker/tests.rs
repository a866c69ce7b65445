//! The laws of breakers.

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

const UP: Heard = HealthSample { health: Health::Up, took: Duration::ZERO };
const DOWN: Heard = HealthSample { health: Health::Down, took: Duration::ZERO };
const TIMED_OUT: Heard = HealthSample { health: Health::TimedOut, took: Duration::from_secs(1) };
const UNKNOWN: Heard = HealthSample { health: Health::Unknown, took: Duration::from_secs(9) };

/// So many seconds after the start.
fn at(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn unknown() -> Breaker {
    let host = Authority::of("https://hooks.example.com/hook").expect("a host");
    Breaker::unknown(AccountId::from_bits(1), host)
}

#[track_caller]
fn after(breaker: &Breaker, heard: Heard, now: Timestamp, op: u64) -> Breaker {
    breaker.heard(heard, now, OpId(op)).expect("it is news")
}

/// One that opened at `now`, after failures of the operations 1 to 5.
fn opened(now: Timestamp) -> Breaker {
    (1..=5).fold(unknown(), |it, op| after(&it, DOWN, now, op))
}

#[track_caller]
fn tried(breaker: &Breaker, now: Timestamp, op: u64) -> Breaker {
    match breaker.way(now, OpId(op)) {
        Route::Trial(next) => *next,
        other => panic!("no trial, but {other:?}"),
    }
}

#[test]
fn a_host_has_a_port_whether_or_not_it_is_written() {
    let host = |url| Authority::of(url).map(|it| (it.to_string(), it.name().to_owned()));
    let both = |host: &str, name: &str| Some((host.to_owned(), name.to_owned()));
    assert_eq!(host("https://a.example/x?y"), both("a.example:443", "a.example"));
    assert_eq!(host("https://a.example:8443/"), both("a.example:8443", "a.example"));
    assert_eq!(host("http://127.0.0.1:80/"), both("127.0.0.1:80", "127.0.0.1"));
    assert_eq!(host("https://[2001:db8::1]/"), both("[2001:db8::1]:443", "[2001:db8::1]"));
    assert_eq!(host("https://"), None);
}

#[test]
fn what_is_well_and_quick_is_no_news() {
    assert_eq!(unknown().heard(UP, at(0), OpId(1)), None);
    assert_eq!(unknown().heard(UNKNOWN, at(0), OpId(1)), None);
    assert_eq!(unknown().way(at(0), OpId(1)), Route::Clear);
    assert!(!unknown().needs_slow_lane());
}

#[test]
fn five_failures_in_a_row_open_it_for_a_minute() {
    let four = (1..=4).fold(unknown(), |it, op| after(&it, DOWN, at(0), op));
    assert_eq!(four.way(at(0), OpId(9)), Route::Clear);
    assert!(!four.needs_slow_lane(), "who fails fast keeps nobody waiting");
    // Another that gets through begins the count anew.
    let recovered = after(&four, UP, at(1), 9);
    assert_eq!(recovered.state, BreakerState::Closed { failed: Vec::new() });
    let five = after(&four, TIMED_OUT, at(2), 5);
    assert_eq!(five.state, BreakerState::Open { until: at(62), n_times: 1 });
    assert_eq!(five.way(at(61), OpId(9)), Route::Wait(at(62)));
    assert!(five.needs_slow_lane());
    // What had begun before fails as well, and is no news.
    assert_eq!(five.heard(TIMED_OUT, at(3), OpId(6)), None);
}

#[test]
fn one_tries_when_its_time_is_over_and_the_others_wait_for_what_comes_of_it() {
    let open = opened(at(0));
    let trial = tried(&open, at(60), 7);
    assert_eq!(trial.state, BreakerState::Trial { by: OpId(7), until: at(90), n_times: 1 });
    assert_eq!(trial.way(at(61), OpId(8)), Route::Wait(at(90)));
    assert_eq!(trial.way(at(61), OpId(7)), Route::Clear, "its own write, come back");
    assert_eq!(trial.heard(DOWN, at(62), OpId(8)), None, "others' failures do not decide");
    // Whoever tried has died.
    assert_eq!(tried(&trial, at(90), 8).revision, trial.revision + 1);

    let closed = after(&trial, UP, at(63), 7);
    assert_eq!(closed.way(at(63), OpId(8)), Route::Clear);
    assert_eq!(closed.heard(DOWN, at(64), OpId(7)), None, "its own write, come back");
    let anew = (11..=15).fold(closed, |it, op| after(&it, DOWN, at(70), op));
    assert_eq!(anew.state, BreakerState::Open { until: at(130), n_times: 1 });
}

#[test]
fn each_trial_in_vain_doubles_the_time_up_to_an_hour() {
    let mut breaker = opened(at(0));
    let mut lengths = Vec::new();
    for op in 10..18 {
        let BreakerState::Open { until, .. } = breaker.state else { panic!("not open") };
        let heard = if op % 2 == 0 { DOWN } else { UNKNOWN };
        breaker = after(&tried(&breaker, until, op), heard, until, op);
        let BreakerState::Open { until: next, .. } = breaker.state else { panic!("not open") };
        lengths.push(next.duration_since(until).as_secs());
    }
    assert_eq!(lengths, [120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
}

#[test]
fn who_keeps_times_of_its_own_counts_as_well() {
    let open = opened(at(0));
    assert_eq!(open.heard(DOWN, at(59), OpId(9)), None);
    let again = after(&open, DOWN, at(60), 9);
    assert_eq!(again.state, BreakerState::Open { until: at(180), n_times: 2 });
    assert_eq!(after(&open, UP, at(30), 9).state, BreakerState::Closed { failed: Vec::new() });
}

#[test]
fn slow_is_whoever_took_long_last() {
    let long = HealthSample { took: SLOW + Duration::from_millis(1), ..UP };
    let slow = after(&unknown(), long, at(0), 1);
    assert!(slow.needs_slow_lane());
    assert_eq!(slow.way(at(0), OpId(2)), Route::Clear);
    assert_eq!(slow.heard(long, at(1), OpId(2)), None);
    assert_eq!(slow.mark_slow(at(1)), None);
    assert_eq!(slow.heard(UNKNOWN, at(1), OpId(2)), None);
    assert!(!after(&slow, UP, at(1), 2).needs_slow_lane());

    let waiting = unknown().mark_slow(at(3)).expect("it is news");
    assert!(waiting.needs_slow_lane());
    assert!(!after(&waiting, UP, at(4), 1).is_slow, "with others it went faster");
    assert!(after(&unknown(), TIMED_OUT, at(0), 1).is_slow);
}

proptest! {
    /// Whatever is heard in whatever order: a step that comes back changes nothing, nobody is
    /// barred for longer than an hour, only five in a row bar anybody, and one at a time tries.
    #[test]
    fn whatever_is_heard_the_laws_hold(
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
                let Route::Trial(next) = breaker.way(now, op) else { continue };
                prop_assert_eq!(next.way(now, op), Route::Clear);
                prop_assert!(matches!(next.way(now, OpId(u64::MAX)), Route::Wait(_)));
                prop_assert!(in_a_row >= FAILURES_MAX);
                breaker = *next;
            } else {
                let health = [Health::Up, Health::Down, Health::Down, Health::TimedOut, Health::Unknown];
                let health = health[usize::from(kind)];
                let heard = HealthSample { health, took: Duration::from_millis(took * 60) };
                if let Some(next) = breaker.heard(heard, now, op) {
                    prop_assert_eq!(next.heard(heard, now, op), None);
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
            if let Route::Wait(until) = breaker.way(now, OpId(u64::MAX)) {
                prop_assert!(now < until && until <= now + OPEN_MAX);
            }
        }
    }
}
