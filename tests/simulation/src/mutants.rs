//! Deliberate faults. The simulation must find each of them.
//!
//! The product has no switches for them. The workspace is copied, and the code at the place of each
//! mutant in [`list::MUTANTS`] is replaced by code that has both variants. The copy is built once.
//! An environment variable selects the fault.
//!
//! The copy is built like the workspace: same profile, same target folder and, because all packages
//! are selected, same features. So Cargo compiles only our own packages again.

pub mod list;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context as _, ensure};

use list::{MUTANTS, Mutant};

/// The environment variable with the number of the active fault.
const SWITCH: &str = "ANSWERBACK_MUTANT";
/// The table of faults and the histories that found them.
const TABLE: &str = "tests/simulation/MUTANTS.md";
/// The workspace, except for `Cargo.toml`. All members are copied: without some of them, Cargo would
/// select other features of their dependencies.
const SOURCES: &[&str] = &["Cargo.lock", "shared", "functions", "infra", "tests"];
/// The switch, as a module of the copied common crate.
const MODULE: &str = r#"//! The active deliberate fault.

use std::sync::LazyLock;

static ON: LazyLock<Option<usize>> =
    LazyLock::new(|| std::env::var("ANSWERBACK_MUTANT").ok()?.parse().ok());

/// Returns true if the fault with this number is active.
pub fn is_on(number: usize) -> bool {
    *ON == Some(number)
}
"#;

/// The result of the search for one deliberate fault.
#[derive(Debug)]
pub struct Hunted {
    /// The fault.
    pub mutant: &'static Mutant,
    /// The history that found the fault, or `None` if it survived.
    pub killed_by: Option<String>,
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads the file of `mutant`. Fails unless the replaced code occurs exactly once.
pub fn source(mutant: &Mutant) -> anyhow::Result<String> {
    let source = fs::read_to_string(root().join(mutant.file)).context(mutant.file)?;
    let n_places = source.matches(mutant.before).count();
    ensure!(n_places == 1, "{}: {n_places} places have this code:\n{}", mutant.file, mutant.before);
    Ok(source)
}

/// Copies the workspace to `folder`, adds every deliberate fault, and builds it into
/// `target`. Returns the path of the program.
pub fn build(folder: &Path, target: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for path in SOURCES {
        copy(&root().join(path), &folder.join(path)).with_context(|| format!("copying {path}"))?;
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml"))?;
    let mut lines: Vec<&str> = workspace.lines().collect();
    for line in &mut lines {
        // With the same version, Cargo would mistake the copy's libraries for the originals.
        if line.starts_with("version = ") {
            *line = r#"version = "0.0.0""#;
        }
    }
    fs::write(folder.join("Cargo.toml"), lines.join("\n"))?;
    append(&folder.join("tests/simulation/Cargo.toml"), BINARY)?;
    append(&folder.join("shared/src/lib.rs"), "\npub mod mutant;\n")?;
    fs::write(folder.join("shared/src/mutant.rs"), MODULE)?;
    for (number, mutant) in MUTANTS.iter().enumerate() {
        source(mutant)?;
        let file = folder.join(mutant.file);
        let home = if mutant.file.starts_with("shared/") { "crate" } else { "answerback" };
        let after = mutant.after.replace("MUTANT", &format!("{home}::mutant::is_on({number})"));
        let source = fs::read_to_string(&file)?;
        fs::write(file, source.replacen(mutant.before, &after, 1))?;
    }
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--offline", "--workspace", "--bin", "mutants"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .context("cargo does not start")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the mutants do not build:\n{errors}");
    Ok(target.join("debug/mutants"))
}

/// Renames the copy's program, because it shares a target folder with the original.
const BINARY: &str = r#"
[[bin]]
name = "mutants"
path = "src/main.rs"
"#;

/// Searches for a history that breaks each mutant's promise, for `n_threads` mutants at a time. Tries the
/// table's history first. Calls `progress` in the order of the list.
pub fn hunt(
    program: &Path,
    n_threads: usize,
    progress: impl Fn(&Hunted) + Sync,
) -> anyhow::Result<Vec<Hunted>> {
    let table = fs::read_to_string(root().join(TABLE)).context(TABLE)?;
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Results::default()));
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mutant) = MUTANTS.get(number) else { return };
                    let hunted = hunt_one(program, number, found_before(&table, mutant));
                    results.lock().expect("no holder panics").add(number, hunted, &progress);
                }
            });
        }
    });
    results.into_inner().expect("no holder panics").in_order.into_iter().collect()
}

/// The results of the searches so far.
#[derive(Default)]
struct Results {
    in_order: Vec<anyhow::Result<Hunted>>,
    /// Those with an earlier one that is not over.
    later: BTreeMap<usize, anyhow::Result<Hunted>>,
}

impl Results {
    fn add(&mut self, number: usize, hunted: anyhow::Result<Hunted>, progress: impl Fn(&Hunted)) {
        self.later.insert(number, hunted);
        while let Some(hunted) = self.later.remove(&self.in_order.len()) {
            if let Ok(hunted) = &hunted {
                progress(hunted);
            }
            self.in_order.push(hunted);
        }
    }
}

fn hunt_one(program: &Path, number: usize, before: Option<&str>) -> anyhow::Result<Hunted> {
    let mutant = &MUTANTS[number];
    let output = Command::new(program)
        .args(["break", mutant.breaks.as_str()])
        .args(before)
        .env(SWITCH, number.to_string())
        .output()
        .context("the mutants do not start")?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Hunted { mutant, killed_by: output.status.success().then_some(said) })
}

/// The history in the table that found `mutant`.
fn found_before<'a>(table: &'a str, mutant: &Mutant) -> Option<&'a str> {
    let row = table.lines().find(|it| it.starts_with(&format!("| {} |", mutant.name)))?;
    row.trim_end_matches(" |").rsplit(" | ").next()
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
    } else {
        fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        fs::copy(from, to)?;
    }
    Ok(())
}

fn append(file: &Path, text: &str) -> anyhow::Result<()> {
    let before = fs::read_to_string(file)?;
    fs::write(file, before + text)?;
    Ok(())
}
