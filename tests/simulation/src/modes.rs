//! The three ways to search for a history that breaks a promise.
//!
//! | mode | histories |
//! |------|-----------|
//! | random | one for each seed: scenario, weather and faults are random |
//! | single | every scenario of the catalogue, with every fault at every call |
//! | pairs | scenarios of the catalogue, with two random faults |

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use crate::{
    Outcome, Scenario, Violation, catalogue, check::Invariant, fault::Fault, found::Found,
};

/// Every one of the histories with single faults.
pub const ALL: NonZeroUsize = NonZeroUsize::MIN;

/// Maximum delay of a callback by a fault that is not a crash, in milliseconds.
const FAULT_COST_MAX: i64 = 5_000;

/// Totals of a search.
#[derive(Debug, Default)]
pub struct Report {
    /// Number of histories.
    pub n_histories: u64,
    /// Number of calls to the outside.
    pub n_calls: u64,
    /// Number of faults.
    pub n_faults: u64,
    /// Longest delay of a callback by a fault that is not a crash, in milliseconds.
    pub slowest: i64,
    /// The first histories that broke a promise.
    pub found: Vec<Found>,
}

/// Random histories that run first in the search for a certain breach.
const BREACH_HISTORIES: u64 = 20_000;
/// Number of findings after which a search ends. They mostly have one cause.
const FOUND_MAX: usize = 8;

/// Runs one history. A panic counts as a violation.
pub fn run(scenario: &Scenario) -> Outcome {
    caught(|| scenario.run())
}

pub(crate) fn caught(run: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let what = format!("a panic: {}", text.unwrap_or_default());
        Outcome {
            violations: vec![Violation { invariant: Invariant::NoPanic, what }],
            injected: Vec::new(),
            calls: Vec::new(),
            slowest: 0,
            story: Vec::new(),
        }
    })
}

/// Runs one history for each seed, on `n_threads` threads.
pub fn random(
    seeds: std::ops::Range<u64>,
    n_threads: usize,
    progress: &(impl Fn(u64) + Sync),
) -> Report {
    random_for(None, seeds, n_threads, progress)
}

/// Searches for a history that breaks this promise: first the one that broke it `before`, then
/// random ones, single faults, and more random ones.
pub fn breach(invariant: Invariant, before: Option<&str>, n_threads: usize) -> Option<Found> {
    let at_random = |seeds| random_for(Some(invariant), seeds, n_threads, &|_| ());
    let first = |report: Report| report.found.into_iter().next();
    let seed = before.and_then(|it| it.strip_prefix("seed ")).and_then(|it| it.parse().ok());
    let mut scenarios = catalogue::scenarios();
    scenarios.retain(|it| before.is_some_and(|before| before.starts_with(&it.0)));
    None.or_else(|| first(at_random(seed?..seed? + 1)))
        .or_else(|| first(single_for(Some(invariant), &scenarios, ALL, n_threads, &|_| ())))
        .or_else(|| first(at_random(0..BREACH_HISTORIES)))
        .or_else(|| {
            first(single_for(Some(invariant), &catalogue::scenarios(), ALL, n_threads, &|_| ()))
        })
        .or_else(|| first(at_random(BREACH_HISTORIES..10 * BREACH_HISTORIES)))
}

fn random_for(
    wanted: Option<Invariant>,
    seeds: std::ops::Range<u64>,
    n_threads: usize,
    progress: &(impl Fn(u64) + Sync),
) -> Report {
    let next = AtomicU64::new(seeds.start);
    search(wanted, n_threads, &|| {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end {
            return None;
        }
        progress(1);
        let scenario = Scenario::random(seed);
        let outcome = run(&scenario);
        Some((format!("seed {seed}"), scenario, outcome))
    })
}

/// Injects every fault at every call of every scenario, or one of `one_of` such faults.
pub fn single(
    scenarios: &[(String, Scenario)],
    one_of: NonZeroUsize,
    n_threads: usize,
    progress: &(impl Fn(u64) + Sync),
) -> Report {
    single_for(None, scenarios, one_of, n_threads, progress)
}

fn single_for(
    wanted: Option<Invariant>,
    scenarios: &[(String, Scenario)],
    one_of: NonZeroUsize,
    n_threads: usize,
    progress: &(impl Fn(u64) + Sync),
) -> Report {
    let cases = Mutex::new(scenarios.iter().rev().collect::<Vec<_>>());
    let total = Mutex::new(Report::default());
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                while let Some((name, scenario)) = take(&cases) {
                    let mut report = faults_of(name, scenario, one_of, progress);
                    let mut total = total.lock().expect("no holder panics");
                    if let Some(wanted) = wanted {
                        report
                            .found
                            .retain(|it| it.violations.iter().any(|it| it.invariant == wanted));
                    }
                    total.add(report);
                    let n_enough = if wanted.is_some() { 1 } else { FOUND_MAX };
                    if total.found.len() >= n_enough {
                        break;
                    }
                }
            });
        }
    });
    total.into_inner().expect("no holder panics")
}

fn take<T>(from: &Mutex<Vec<T>>) -> Option<T> {
    from.lock().expect("no holder panics").pop()
}

/// Injects every fault at every call of one scenario, or one of `one_of`.
fn faults_of(
    name: &str,
    scenario: &Scenario,
    one_of: NonZeroUsize,
    progress: &impl Fn(u64),
) -> Report {
    let mut report = Report::default();
    let calm = run(scenario);
    let (calls, usual) = (calm.calls.clone(), calm.slowest);
    report.count(name.to_owned(), scenario.clone(), calm);
    // Scenarios begin alike, so each leaves out others.
    let mut number = name.len();
    for (call, kind) in (0..).zip(calls) {
        for &fault in kind.faults() {
            number += 1;
            if !number.is_multiple_of(one_of.get()) {
                continue;
            }
            let history = scenario.with_faults(&[(call, fault)]);
            let mut outcome = run(&history);
            progress(1);
            if !fault.is_crash() && !fault.is_outage() {
                let cost = outcome.slowest - usual;
                report.slowest = report.slowest.max(cost);
                if cost >= FAULT_COST_MAX {
                    let what = format!("a callback came {cost} ms later");
                    outcome.violations.push(Violation { invariant: Invariant::InTime, what });
                }
            }
            report.count(format!("{name}; call {call} {fault}"), history, outcome);
        }
    }
    report
}

/// Runs this many histories with two faults each, in random scenarios from `seed` on.
pub fn pairs(
    scenarios: &[(String, Scenario)],
    seeds: std::ops::Range<u64>,
    n_threads: usize,
    progress: &(impl Fn(u64) + Sync),
) -> Report {
    let lengths: Vec<u32> = scenarios.iter().map(|(_, it)| run(it).n_calls()).collect();
    let next = AtomicU64::new(seeds.start);
    search(None, n_threads, &|| {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end {
            return None;
        }
        progress(1);
        let mut chance = Pcg64Mcg::seed_from_u64(seed);
        let place = chance.random_range(0..scenarios.len());
        let (name, scenario) = &scenarios[place];
        let mut fault = || {
            // A fault causes more calls, so the second may happen beyond the usual last call.
            let call = chance.random_range(0..lengths[place] + 10);
            (call, Fault::ALL[chance.random_range(0..Fault::ALL.len())])
        };
        let history = scenario.with_faults(&[fault(), fault()]);
        let outcome = run(&history);
        Some((format!("{name}; {:?}", history.schedule), history, outcome))
    })
}

/// Runs histories until none is left, or enough findings exist: any breach, or only the wanted
/// one.
fn search(
    wanted: Option<Invariant>,
    n_threads: usize,
    next: &(impl Fn() -> Option<(String, Scenario, Outcome)> + Sync),
) -> Report {
    let is_enough = AtomicBool::new(false);
    let total = Mutex::new(Report::default());
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                let mut report = Report::default();
                while !is_enough.load(Ordering::Relaxed)
                    && let Some((name, scenario, mut outcome)) = next()
                {
                    outcome.violations.retain(|it| wanted.is_none_or(|of| it.invariant == of));
                    report.count(name, scenario, outcome);
                    let n_enough = if wanted.is_some() { 1 } else { FOUND_MAX };
                    if report.found.len() >= n_enough {
                        is_enough.store(true, Ordering::Relaxed);
                    }
                }
                total.lock().expect("no holder panics").add(report);
            });
        }
    });
    total.into_inner().expect("no holder panics")
}

impl Report {
    fn count(&mut self, name: String, scenario: Scenario, outcome: Outcome) {
        self.n_histories += 1;
        self.n_calls += u64::from(outcome.n_calls());
        self.n_faults += outcome.injected.len() as u64;
        if !outcome.violations.is_empty() {
            self.found.push(Found { name, scenario, violations: outcome.violations });
        }
    }

    fn add(&mut self, other: Self) {
        self.n_histories += other.n_histories;
        self.n_calls += other.n_calls;
        self.n_faults += other.n_faults;
        self.slowest = self.slowest.max(other.slowest);
        self.found.extend(other.found);
    }
}
