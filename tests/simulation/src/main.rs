//! Searches for a history that breaks a promise.

use std::{num::NonZeroUsize, process::ExitCode, thread, time::Instant};

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use simulation::{
    Found, Invariant, Scenario, catalogue,
    modes::{self, Report},
    mutants::{
        self,
        list::{MUTANTS, Mutant},
    },
};

/// A third of a history's time was the allocation of memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs Answerback's functions under injected faults and checks their promises.
#[derive(Debug, Parser)]
#[command(name = "simulation", version)]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
    /// Number of concurrent histories. Defaults to the number of processors.
    #[arg(long, global = true)]
    threads: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Run one random history per seed.
    Random {
        /// First seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Number of histories.
        #[arg(long, default_value_t = 100_000)]
        histories: u64,
    },
    /// Inject every fault at every call of every scenario in the catalogue.
    Single {
        /// Run one of this many histories. The same ones each time.
        #[arg(long, default_value_t = modes::ALL)]
        one_of: NonZeroUsize,
    },
    /// Inject two random faults into scenarios of the catalogue.
    Pairs {
        /// First seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Number of histories.
        #[arg(long, default_value_t = 100_000)]
        histories: u64,
    },
    /// Print the history of one seed.
    Tell {
        /// Seed of the history.
        seed: u64,
    },
    /// Build the functions with deliberate faults and find each of them.
    Mutants,
    /// Search for a history that breaks one promise, with the active deliberate fault.
    #[command(hide = true)]
    Break {
        /// Name of the promise.
        invariant: String,
        /// History that broke it before, to be tried first.
        before: Option<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A function's panic is a finding, and is reported with its history.
    std::panic::set_hook(Box::new(|_| ()));
    let usual = thread::available_parallelism().map_or(1, usize::from);
    let n_threads = arguments.threads.unwrap_or(usual).max(1);
    let began_at = Instant::now();
    let report = match arguments.mode {
        Mode::Random { from, histories } => {
            let bar = bar(histories);
            let seeds = from..from + histories;
            let report = modes::random(seeds, n_threads, &|n| bar.inc(n));
            bar.finish_and_clear();
            report
        }
        Mode::Single { one_of } => {
            let bar = ProgressBar::no_length().with_style(style());
            let scenarios = catalogue::scenarios();
            let report = modes::single(&scenarios, one_of, n_threads, &|n| bar.inc(n));
            bar.finish_and_clear();
            report
        }
        Mode::Pairs { from, histories } => {
            let bar = bar(histories);
            let scenarios = catalogue::scenarios();
            let report =
                modes::pairs(&scenarios, from..from + histories, n_threads, &|n| bar.inc(n));
            bar.finish_and_clear();
            report
        }
        Mode::Tell { seed } => return tell(seed),
        Mode::Mutants => return hunt(n_threads),
        Mode::Break { invariant, before } => {
            return break_promise(&invariant, before.as_deref(), n_threads);
        }
    };
    show(&report, began_at)
}

#[expect(clippy::print_stdout, reason = "this is the output of the program")]
fn hunt(n_threads: usize) -> ExitCode {
    let target = std::env::current_exe().expect("it runs");
    let target = target.ancestors().nth(2).expect("it is in target/debug").to_owned();
    println!("building the functions with {} deliberate faults", MUTANTS.len());
    let hunted = mutants::build(&target.join("mutants"), &target).and_then(|program| {
        println!("| deliberate fault | breaks | found in |\n|---|---|---|");
        mutants::hunt(&program, n_threads, |hunted| {
            let Mutant { name, breaks, .. } = hunted.mutant;
            let killed_by = hunted.killed_by.as_deref().unwrap_or("SURVIVES");
            println!("| {name} | {} | {killed_by} |", breaks.as_str());
        })
    });
    let hunted = match hunted {
        Ok(hunted) => hunted,
        Err(err) => {
            println!("{err:#}");
            return ExitCode::FAILURE;
        }
    };
    let idle = Invariant::ALL.into_iter().filter(|invariant| {
        !hunted.iter().any(|it| it.killed_by.is_some() && it.mutant.breaks == *invariant)
    });
    let idle: Vec<&str> = idle.map(Invariant::as_str).collect();
    let n_alive = hunted.iter().filter(|it| it.killed_by.is_none()).count();
    println!("{} of {} found", hunted.len() - n_alive, hunted.len());
    if !idle.is_empty() {
        println!("no fault breaks: {}", idle.join(", "));
    }
    if n_alive == 0 && idle.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "this is the output of the program")]
fn break_promise(invariant: &str, before: Option<&str>, n_threads: usize) -> ExitCode {
    let wanted = Invariant::ALL.into_iter().find(|it| it.as_str() == invariant);
    let wanted = wanted.expect("the name of an invariant");
    match modes::breach(wanted, before, n_threads) {
        Some(found) => {
            println!("{}", found.name);
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

#[expect(clippy::print_stdout, reason = "this is the output of the program")]
fn show(report: &Report, began_at: Instant) -> ExitCode {
    let seconds = began_at.elapsed().as_secs_f64();
    if let Some(found) = report.found.first() {
        println!("{}", found.tell());
    }
    for Found { name, violations, .. } in &report.found {
        for violation in violations {
            println!("{name}: {violation}");
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = report.n_histories as f64 / seconds;
    println!(
        "{} histories with {} calls and {} faults in {seconds:.0} s, {rate:.0} per second: {}",
        report.n_histories,
        report.n_calls,
        report.n_faults,
        match report.found.len() {
            0 => "all promises were kept".to_owned(),
            n => format!("promises were broken in {n}"),
        }
    );
    if report.slowest > 0 {
        println!("faults other than crashes delayed a callback by at most {} ms", report.slowest);
    }
    if report.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "this is the output of the program")]
fn tell(seed: u64) -> ExitCode {
    let scenario = Scenario::random(seed);
    println!("{scenario:#?}");
    let outcome = scenario.run_telling();
    for line in &outcome.story {
        println!("{line}");
    }
    for violation in &outcome.violations {
        println!("{violation}");
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Shown on a terminal only. Otherwise it is silent.
fn bar(length: u64) -> ProgressBar {
    ProgressBar::new(length).with_style(style())
}

fn style() -> ProgressStyle {
    let template = "{bar:40} {human_pos} of {human_len}, {per_sec}, {eta} left";
    ProgressStyle::with_template(template).expect("a valid template")
}
