//! Breakers: single steps, and random histories.

use proptest::prelude::*;

use super::{circuit::OPEN_DURATION_MAX, *};
use crate::domain::{WebhookId, WebhookRef};

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

const UP: HealthSample = HealthSample { health: Health::Up, duration: Duration::ZERO };
const FAILING: HealthSample = HealthSample { health: Health::Failing, duration: Duration::ZERO };
const UNREACHABLE: HealthSample =
    HealthSample { health: Health::Unreachable, duration: Duration::ZERO };
const TIMED_OUT: HealthSample =
    HealthSample { health: Health::TimedOut, duration: Duration::from_secs(1) };
const UNKNOWN: HealthSample =
    HealthSample { health: Health::Unknown, duration: Duration::from_secs(9) };
const SLOW: HealthSample =
    HealthSample { health: Health::Up, duration: Duration::from_millis(3_001) };

/// The time `seconds` after the start.
fn at(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn unknown() -> Breaker {
    let authority = Authority::of("https://hooks.example.com/hook").expect("a host");
    Breaker::unknown(AccountId::from_bits(1), authority)
}

/// The endpoint of callbacks to this path.
fn path(path: &str) -> Endpoint {
    Endpoint::of_callback(&format!("https://hooks.example.com{path}")).expect("a URL")
}

fn webhook(id: &str) -> Endpoint {
    let id = WebhookId::parse(id).expect("a name");
    Endpoint::Webhook(WebhookRef { id, created_by: OpId(3) })
}

fn recorded(
    breaker: &Breaker,
    endpoint: &Endpoint,
    sample: HealthSample,
    now: Timestamp,
    op: u64,
) -> Option<Breaker> {
    breaker.after([&Observation::Ended { endpoint: endpoint.clone(), sample, op: OpId(op) }], now)
}

#[track_caller]
fn after(
    breaker: &Breaker,
    endpoint: &Endpoint,
    sample: HealthSample,
    now: Timestamp,
    op: u64,
) -> Breaker {
    recorded(breaker, endpoint, sample, now, op).expect("it changes the breaker")
}

/// A breaker whose circuit opened at `now`, after failures of the operations 1 to 5.
fn opened(sample: HealthSample, now: Timestamp) -> Breaker {
    (1..=5).fold(unknown(), |it, op| after(&it, &path("/a"), sample, now, op))
}

#[track_caller]
fn tried(breaker: &Breaker, now: Timestamp, op: u64) -> Breaker {
    match breaker.route(&path("/a"), now, OpId(op)) {
        Route::Trial(next) => *next,
        other => panic!("expected a trial, got {other:?}"),
    }
}

fn circuit<'a>(breaker: &'a Breaker, endpoint: &Endpoint) -> Option<&'a Circuit> {
    breaker.endpoints.get(endpoint).map(|it| &it.circuit)
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
fn callback_url_is_an_endpoint_without_its_query() {
    assert_eq!(path("/hook?job=1"), path("/hook?job=2"));
    assert_ne!(path("/hook/s3cret"), path("/hook/other"));
    for endpoint in [path("/hook/s3cret?a=b"), webhook("h1")] {
        let text = endpoint.to_string();
        assert!(!text.contains("s3cret") && text.len() < 100, "{text}");
        assert_eq!(Endpoint::parse(&text), Some(endpoint));
    }
    for malformed in ["", "h1", "callback:1", "callback:G123456789abcdef", "webhook:h1"] {
        assert_eq!(Endpoint::parse(malformed), None, "{malformed}");
    }
}

#[test]
fn healthy_fast_receiver_changes_nothing() {
    for endpoint in [path("/a"), webhook("h1")] {
        assert_eq!(recorded(&unknown(), &endpoint, UP, at(0), 1), None);
        assert_eq!(recorded(&unknown(), &endpoint, UNKNOWN, at(0), 1), None);
        assert_eq!(unknown().route(&endpoint, at(0), OpId(1)), Route::Clear);
        assert!(!unknown().needs_slow_lane(&endpoint));
    }
}

#[test]
fn five_consecutive_failures_open_it_for_a_minute() {
    for sample in [FAILING, UNREACHABLE] {
        let four = (1..=4).fold(unknown(), |it, op| after(&it, &path("/a"), sample, at(0), op));
        assert_eq!(four.route(&path("/a"), at(0), OpId(9)), Route::Clear);
        assert!(!four.needs_slow_lane(&path("/a")), "fast failures delay no other delivery");
        // A success resets the count.
        let recovered = after(&four, &path("/a"), UP, at(1), 9);
        assert!(recovered.is_closed_for(&path("/a")) && recovered.endpoints.is_empty());
        let five = after(&four, &path("/a"), sample, at(2), 5);
        assert_eq!(five.n_just_opened(), 1);
        assert_eq!(five.route(&path("/a"), at(61), OpId(9)), Route::Wait(at(62)));
        assert!(five.needs_slow_lane(&path("/a")));
        // An attempt that began earlier fails too, and changes nothing.
        assert_eq!(recorded(&five, &path("/a"), sample, at(3), 6), None);
    }
}

#[test]
fn failing_path_holds_no_other_path_of_its_host() {
    let open = opened(FAILING, at(0));
    assert_eq!(open.route(&path("/a?job=9"), at(1), OpId(9)), Route::Wait(at(60)));
    for other in [path("/b"), webhook("h1")] {
        assert_eq!(open.route(&other, at(1), OpId(9)), Route::Clear);
        assert!(!open.needs_slow_lane(&other));
    }
    assert_eq!(open.connection, Circuit::HEALTHY, "it answers");
}

#[test]
fn unreachable_host_holds_all_of_its_paths() {
    let mut open = unknown();
    for op in 1..=5 {
        let endpoint = if op == 3 { webhook("h1") } else { path(&format!("/{op}")) };
        open = after(&open, &endpoint, UNREACHABLE, at(0), op);
    }
    for endpoint in [path("/b"), webhook("h2")] {
        assert_eq!(open.route(&endpoint, at(1), OpId(9)), Route::Wait(at(60)));
    }
    // Any response shows that the host is back.
    let back = after(&open, &path("/b"), FAILING, at(2), 9);
    assert_eq!(back.route(&webhook("h2"), at(2), OpId(10)), Route::Clear);
}

#[test]
fn time_outs_choose_the_lane_and_hold_nothing() {
    let slow = (1..=20).fold(unknown(), |it, op| {
        let endpoint = if op % 2 == 0 { path("/a") } else { webhook("h1") };
        recorded(&it, &endpoint, TIMED_OUT, at(0), op).unwrap_or(it)
    });
    for endpoint in [path("/a"), path("/b"), webhook("h1")] {
        assert_eq!(slow.route(&endpoint, at(1), OpId(99)), Route::Clear);
        assert!(slow.needs_slow_lane(&endpoint));
    }
    // A time-out ends a trial, and does not hold others again.
    for sample in [FAILING, UNREACHABLE] {
        let trial = tried(&opened(sample, at(0)), at(60), 7);
        let ended = after(&trial, &path("/a"), TIMED_OUT, at(70), 7);
        assert_eq!(ended.route(&path("/a"), at(70), OpId(8)), Route::Clear);
        assert!(ended.needs_slow_lane(&path("/a")));
    }
}

#[test]
fn one_delivery_tries_after_the_wait_and_the_others_wait() {
    for sample in [FAILING, UNREACHABLE] {
        let open = opened(sample, at(0));
        let trial = tried(&open, at(60), 7);
        assert_eq!(trial.route(&path("/a"), at(61), OpId(8)), Route::Wait(at(90)));
        let own = trial.route(&path("/a"), at(61), OpId(7));
        assert_eq!(own, Route::Clear, "it recognizes its own write");
        let other = recorded(&trial, &path("/a"), sample, at(62), 8);
        assert_eq!(other, None, "only the result of the trial counts");
        // The worker of the trial died.
        assert_eq!(tried(&trial, at(90), 8).revision, trial.revision + 1);

        let closed = after(&trial, &path("/a"), UP, at(63), 7);
        assert_eq!(closed.route(&path("/a"), at(63), OpId(8)), Route::Clear);
        let ops = 11..=15;
        let reopened = ops.fold(closed, |it, op| after(&it, &path("/a"), sample, at(70), op));
        assert_eq!(reopened.route(&path("/a"), at(70), OpId(8)), Route::Wait(at(130)));
    }
}

#[test]
fn one_trial_serves_the_host_and_the_endpoint() {
    let mut open = opened(FAILING, at(0));
    open = (21..=25).fold(open, |it, op| after(&it, &path("/b"), UNREACHABLE, at(9), op));
    assert_eq!(open.route(&path("/a"), at(61), OpId(7)), Route::Wait(at(69)), "the later end");
    let trial = tried(&open, at(69), 7);
    assert_eq!(trial.revision, open.revision + 1);
    let both = [Some(&trial.connection), circuit(&trial, &path("/a"))];
    assert!(both.iter().all(|it| matches!(it, Some(Circuit::Trial { by: OpId(7), .. }))));
    let back = after(&trial, &path("/a"), FAILING, at(70), 7);
    assert_eq!(back.connection, Circuit::HEALTHY);
    let until = at(70 + 120);
    let reopened = Circuit::Open { until, n_openings: 2 };
    assert_eq!(circuit(&back, &path("/a")), Some(&reopened));
}

#[test]
fn each_failed_trial_doubles_the_wait_up_to_an_hour() {
    for failure in [FAILING, UNREACHABLE] {
        let mut breaker = opened(failure, at(0));
        let mut lengths = Vec::new();
        let end = |it: &Breaker, now| match it.route(&path("/a"), now, OpId(99)) {
            Route::Wait(until) => until,
            other => panic!("not open: {other:?}"),
        };
        let mut until = end(&breaker, at(0));
        for op in 10..18 {
            let sample = if op % 2 == 0 { failure } else { UNKNOWN };
            breaker = after(&tried(&breaker, until, op), &path("/a"), sample, until, op);
            let next = end(&breaker, until);
            lengths.push(next.duration_since(until).as_secs());
            until = next;
        }
        assert_eq!(lengths, [120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
    }
}

#[test]
fn attempts_with_fixed_delays_count_too() {
    let open = opened(FAILING, at(0));
    assert_eq!(recorded(&open, &path("/a"), FAILING, at(59), 9), None);
    let again = after(&open, &path("/a"), FAILING, at(60), 9);
    let reopened = Circuit::Open { until: at(180), n_openings: 2 };
    assert_eq!(circuit(&again, &path("/a")), Some(&reopened));
    assert_eq!(circuit(&after(&open, &path("/a"), UP, at(30), 9), &path("/a")), None);
}

#[test]
fn callbacks_to_a_host_are_slow_if_the_latest_was() {
    let slow = after(&unknown(), &path("/a"), SLOW, at(0), 1);
    assert!(slow.needs_slow_lane(&path("/b")));
    assert_eq!(slow.route(&path("/b"), at(0), OpId(2)), Route::Clear);
    assert_eq!(recorded(&slow, &path("/b"), SLOW, at(1), 2), None);
    assert_eq!(recorded(&slow, &path("/b"), UNKNOWN, at(1), 2), None);
    assert!(!after(&slow, &path("/b"), UP, at(1), 2).needs_slow_lane(&path("/a")));

    let waiting = Observation::StillWaiting { endpoint: path("/a") };
    assert_eq!(slow.after([&waiting], at(1)), None);
    let marked = unknown().after([&waiting], at(3)).expect("it changes the breaker");
    assert!(marked.needs_slow_lane(&path("/b")));
    assert!(!after(&marked, &path("/a"), UP, at(4), 1).is_slow, "the attempt itself was fast");
}

#[test]
fn webhook_is_slow_if_its_own_latest_answer_was() {
    let (fast, slow) = (webhook("fast"), webhook("slow"));
    for sample in [SLOW, TIMED_OUT] {
        let marked = after(&unknown(), &slow, sample, at(0), 1);
        assert!(marked.needs_slow_lane(&slow) && marked.needs_slow_lane(&path("/a")));
        assert!(!marked.needs_slow_lane(&fast), "it stays in the fast lane");
        let after_fast = recorded(&marked, &fast, UP, at(1), 2);
        assert_eq!(after_fast, None, "a fast webhook says nothing about others");
        let recovered = after(&marked, &slow, UP, at(1), 2);
        assert!(!recovered.is_slow && recovered.endpoints.is_empty());
    }
    let waiting = Observation::StillWaiting { endpoint: slow.clone() };
    let marked = unknown().after([&waiting], at(3)).expect("it changes the breaker");
    assert!(marked.needs_slow_lane(&slow) && !marked.needs_slow_lane(&fast));
}

#[test]
fn breaker_keeps_the_endpoints_that_changed_last() {
    let most = u64::try_from(ENDPOINTS_MAX).expect("few");
    let n_paths = most + 10;
    let breaker = (0..n_paths)
        .fold(unknown(), |it, op| after(&it, &path(&format!("/{op}")), FAILING, at(op), op));
    assert_eq!(breaker.endpoints.len(), ENDPOINTS_MAX);
    assert!(!breaker.endpoints.contains_key(&path("/9")));
    assert!(breaker.endpoints.contains_key(&path("/10")));
    // Those that did not change for a day are forgotten.
    let later = at(n_paths + 24 * 3_600);
    assert_eq!(after(&breaker, &path("/x"), FAILING, later, 99).endpoints.len(), 1);
}

proptest! {
    /// For any sequence of samples at two paths: a repeated step changes nothing, no wait is longer
    /// than an hour, only five consecutive failures open a circuit, and one delivery at a time tries.
    #[test]
    fn breakers_obey_their_laws_for_any_history(
        steps in prop::collection::vec((0_u8..7, 0_usize..2, 0_u64..100, 0_u64..4_000), 1..60),
    ) {
        let paths = [path("/a"), path("/b")];
        let mut breaker = unknown();
        let mut now = START;
        // Failures in a row of each path, and of the host.
        let mut failing = [0, 0];
        let mut unreachable = 0;
        for (number, (kind, index, took, wait)) in steps.into_iter().enumerate() {
            now += Duration::from_secs(wait * wait / 4_000);
            let op = OpId(u64::try_from(number).expect("few"));
            let before = breaker.clone();
            let endpoint = &paths[index];
            if kind == 6 {
                let Route::Trial(next) = breaker.route(endpoint, now, op) else { continue };
                prop_assert_eq!(next.route(endpoint, now, op), Route::Clear);
                let other = next.route(endpoint, now, OpId(u64::MAX));
                prop_assert!(matches!(other, Route::Wait(_)));
                prop_assert!(failing[index] >= FAILURES_MAX || unreachable >= FAILURES_MAX);
                breaker = *next;
            } else {
                let health = [
                    Health::Up, Health::Failing, Health::Failing, Health::Unreachable,
                    Health::TimedOut, Health::Unknown,
                ][usize::from(kind)];
                let sample = HealthSample { health, duration: Duration::from_millis(took * 60) };
                let ended = Observation::Ended { endpoint: endpoint.clone(), sample, op };
                if let Some(next) = breaker.after([&ended], now) {
                    prop_assert_eq!(next.after([&ended], now), None);
                    breaker = next;
                }
                match health {
                    Health::Up => (failing[index], unreachable) = (0, 0),
                    Health::Failing => {
                        failing[index] += 1;
                        unreachable = 0;
                    }
                    Health::Unreachable => unreachable += 1,
                    Health::TimedOut | Health::Unknown => (),
                }
                let of_path = circuit(&breaker, endpoint).is_none_or(Circuit::is_closed);
                prop_assert!(of_path || failing[index] >= FAILURES_MAX);
                prop_assert!(breaker.connection.is_closed() || unreachable >= FAILURES_MAX);
                if failing[index] == 0 {
                    prop_assert!(of_path);
                }
            }
            prop_assert_eq!(breaker.revision, before.revision + u64::from(breaker != before));
            if let Route::Wait(until) = breaker.route(endpoint, now, OpId(u64::MAX)) {
                prop_assert!(now < until && until <= now + OPEN_DURATION_MAX);
            }
        }
    }
}
