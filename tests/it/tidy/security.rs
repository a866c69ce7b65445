//! SECURITY.md names a test for each rule. A test that was renamed or removed leaves a rule without
//! proof.

use std::path::{Path, PathBuf};

use super::{read, root};

/// The roots of the names in SECURITY.md.
const ROOTS: &[(&str, &str)] = &[
    ("it", "tests/it"),
    ("local_stack", "infra/cli/tests/local_stack"),
    ("cli", "infra/cli/src"),
    ("answerback", "shared/src"),
    ("local", "infra/local/src"),
];
/// The rules of the template, in Python.
const TEMPLATE: &str = "tests/template/check.py";

/// True if `name` is a test, or a module of tests.
fn exists(name: &str) -> bool {
    let mut segments: Vec<&str> = name.split("::").collect();
    let first = segments.remove(0);
    if first == "template" {
        return read(&root().join(TEMPLATE)).contains(&format!("def {}(", segments.join("::")));
    }
    let Some((_, folder)) = ROOTS.iter().find(|(it, _)| *it == first) else { return false };
    let folder = root().join(folder);
    if module(&folder, &segments).is_some() {
        return true;
    }
    let Some((function, modules)) = segments.split_last() else { return false };
    // Unit tests are at the end of the module, or in a file.
    let inner = modules.strip_suffix(&["tests"]).and_then(|it| module(&folder, it));
    let file = module(&folder, modules).or(inner);
    file.is_some_and(|it| read(&it).contains(&format!("fn {function}(")))
}

/// The file of a module. A `tests` module may be in the file of its parent.
fn module(folder: &Path, segments: &[&str]) -> Option<PathBuf> {
    let path = segments.iter().fold(folder.to_owned(), |path, it| path.join(it));
    let files = [path.with_extension("rs"), path.join("mod.rs")];
    let found = files.into_iter().find(|it| it.is_file());
    found.or_else(|| {
        let parent = module(folder, segments.strip_suffix(&["tests"])?)?;
        read(&parent).contains("mod tests").then_some(parent)
    })
}

#[test]
fn every_rule_of_security_names_a_test() {
    let text = read(&root().join("SECURITY.md"));
    let model = text.split_once("## Threat model").expect("a threat model").1;
    let mut n_names = 0;
    for row in model.lines().filter(|it| it.starts_with("| ") && it.matches(" | ").count() == 1) {
        let (rule, tests) = row.trim_matches('|').split_once(" | ").expect("two cells");
        if ["rule", "---"].contains(&rule.trim()) {
            continue;
        }
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {rule}");
        for name in names.into_iter().filter(|it| *it != ".ci/run lint") {
            assert!(exists(name), "SECURITY.md names `{name}`, which is not there");
            n_names += 1;
        }
    }
    assert!(n_names > 40, "only {n_names} names");
    assert!(!exists("it::access::no_such_test") && !exists("it::no_such_module"));
}
