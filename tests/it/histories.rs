//! A few seconds of the simulation, which runs the functions under every kind of fault.
//!
//! The program `simulation` runs the rest: 100,000 random histories in each CI run and more at
//! night, every fault at every call of every scenario, and the search for mutants.

use std::{fs, thread::available_parallelism};

use simulation::{
    Found, Scenario, catalogue,
    modes::{self, Report},
    mutants::{self, list::MUTANTS},
};

/// Number of random histories: a few seconds. CI runs 100,000 with the program `simulation`.
const HISTORIES: u64 = 4_000;
/// Runs one in this many scenarios of the catalogue with every fault at every call.
const ONE_IN: usize = 34;
/// Histories that violate an invariant if a past bug is put back, as listed in `MUTANTS.md`.
const FOUND_ONCE: &[(u64, &str)] = &[
    (5_689, "an answer was told twice: its write was lost, and another overtook the repetition"),
    (67_161, "a panic: a request was erased while the recipient's call settled it"),
    (29_433, "the page of a request that was erased meanwhile read a row that is gone"),
];

#[track_caller]
fn check(report: &Report) {
    let found: Vec<String> = report.found.iter().map(Found::tell).collect();
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

fn n_threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[test]
fn random_histories_keep_every_invariant() {
    let report = modes::random(0..HISTORIES, n_threads(), &|_| ());
    check(&report);
    assert!(report.n_faults > 0, "{} histories without a fault", report.n_histories);
}

#[test]
fn any_fault_at_any_call_keeps_every_invariant() {
    let scenarios = catalogue::scenarios();
    assert!(scenarios.len() >= 100, "only {} scenarios", scenarios.len());
    let some: Vec<(String, Scenario)> = scenarios.into_iter().step_by(ONE_IN).collect();
    check(&modes::single(&some, modes::ALL, n_threads(), &|_| ()));
}

/// Scenarios with failing receivers open a breaker and end with a retry.
#[test]
fn breaker_pauses_and_retries_a_failing_receiver() {
    let is_down = |it: &(String, Scenario)| it.0.contains("is down; all events");
    let scenarios: Vec<_> = catalogue::scenarios().into_iter().filter(is_down).collect();
    assert_eq!(scenarios.len(), 2);
    for (name, scenario) in scenarios {
        let outcome = scenario.run_telling();
        assert_eq!(outcome.violations, [], "{name}");
        let n_writes = outcome.story.iter().filter(|it| it.contains("writes brk#")).count();
        // The first failure creates it; then four more, a trial, the trial's result ...
        assert!(n_writes >= 6, "{name}: {n_writes} writes");
    }
}

#[test]
fn seed_reproduces_a_history() {
    for seed in 0..30 {
        let (one, other) =
            (Scenario::random(seed).run_telling(), Scenario::random(seed).run_telling());
        assert_eq!(one.story, other.story, "seed {seed}");
        assert!(!one.story.is_empty());
    }
}

/// A history is printed with explicit faults, which reproduce it.
#[test]
fn explicit_faults_reproduce_a_history() {
    let seed = (0..1_000).find(|it| Scenario::random(*it).run().injected.len() > 5);
    let scenario = Scenario::random(seed.expect("many have"));
    let drawn = scenario.run_telling();
    let written = scenario.with_faults(&drawn.injected).run_telling();
    assert_eq!(drawn.story, written.story);
}

#[test]
fn past_violations_do_not_return() {
    for (seed, what) in FOUND_ONCE {
        let outcome = modes::run(&Scenario::random(*seed));
        assert_eq!(outcome.violations, [], "seed {seed}: {what}");
    }
}

#[test]
fn every_mutant_is_in_the_code_and_in_the_table() {
    let table = fs::read_to_string(mutants::root().join("tests/simulation/MUTANTS.md"));
    let table = table.expect("the table");
    for mutant in MUTANTS {
        mutants::source(mutant).expect("its place");
        let row = format!("| {} | {} |", mutant.name, mutant.breaks.as_str());
        assert!(table.contains(&row), "the table lacks: {row}");
    }
    let n_rows = table.lines().filter(|it| it.starts_with("| ")).count();
    assert_eq!(n_rows, MUTANTS.len() + 1, "the table has rows of other faults");
}
