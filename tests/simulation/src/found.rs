//! A history that breaks a promise, and its shortest version.

use crate::{
    Scenario, Violation,
    fault::Schedule,
    modes::{caught, run},
};

/// A history that breaks a promise.
#[derive(Debug)]
pub struct Found {
    /// Name of the history: its seed, or the scenario's name and its faults.
    pub name: String,
    /// Scenario of the history.
    pub scenario: Scenario,
    /// Promises that it broke.
    pub violations: Vec<Violation>,
}

impl Found {
    /// The shortest prefix of the history that still breaks a promise: its first actions and its
    /// first faults, without those faults that it does not need.
    #[must_use]
    pub fn shrunk(&self) -> Scenario {
        let invariant = self.violations[0].invariant;
        let fails = |scenario: &Scenario| {
            run(scenario).violations.iter().any(|it| it.invariant == invariant)
        };
        let mut best = self.scenario.clone();
        let explicit = best.with_faults(&run(&best).injected);
        if fails(&explicit) {
            best = explicit;
        }
        for n in 0..best.n_actions() {
            let shorter = best.shortened(n);
            if fails(&shorter) {
                best = shorter;
                break;
            }
        }
        let Schedule::At(mut faults) = best.schedule.clone() else { return best };
        for n in 0..faults.len() {
            if fails(&best.with_faults(&faults[..n])) {
                faults.truncate(n);
                break;
            }
        }
        for place in (0..faults.len()).rev() {
            let mut fewer = faults.clone();
            fewer.remove(place);
            if fails(&best.with_faults(&fewer)) {
                faults = fewer;
            }
        }
        best.with_faults(&faults)
    }

    /// Report of the history and of its shortest version.
    pub fn tell(&self) -> String {
        let short = self.shrunk();
        let outcome = caught(|| short.run_telling());
        let mut lines = vec![self.name.clone()];
        lines.extend(caught(|| self.scenario.run_telling()).story);
        lines.extend(self.violations.iter().map(ToString::to_string));
        lines.push(format!("\nShortest prefix:\n{short:#?}"));
        lines.extend(outcome.story);
        lines.extend(outcome.violations.iter().map(ToString::to_string));
        lines.join("\n")
    }
}
