//! Rules about the code that the compiler does not check: which way the arrows point.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The modules of the common crate that each of them may use, lowest floor first.
const MODULES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("page", &[]),
    ("signing", &["domain"]),
    ("store", &["domain"]),
    ("egress", &["domain"]),
    ("platform", &["domain", "signing", "store"]),
    ("api", &["domain", "signing", "store", "platform"]),
    ("fronts", &["domain", "signing", "store", "platform", "api"]),
    ("service", &["domain", "page", "signing", "store", "egress", "platform", "api", "fronts"]),
];

/// What the domain must not name: waiting, AWS, HTTP and the wire.
const NOT_IN_DOMAIN: &[&str] =
    &["async", "tokio", "axum", "http", "reqwest", "aws_", "lambda_", "serde", "Serialize"];

/// A second parser of URLs, which is what `http::Uri` is there; it is pure.
const EXCEPTION: (&str, &str) = ("callback_url.rs", "use http::Uri;");

/// Outside crates that only some of our packages may depend on.
const GUARDED: &[(&str, &[&str])] = &[
    ("aws-sdk-dynamodb", &["answerback", "local", "simulation", "system-tests"]),
    ("aws-sdk-sqs", &["answerback", "local", "simulation", "system-tests"]),
    ("aws-sdk-eventbridge", &["answerback", "system-tests"]),
    ("aws-sdk-kms", &["answerback", "system-tests"]),
    ("ring", &["answerback", "local-aws"]),
    ("reqwest", &["answerback"]),
    ("dynoxide-rs", &["local-aws"]),
    ("clap", &["cli", "local", "simulation"]),
];

/// The packages of ours that each of them may depend on.
const PACKAGES: &[(&str, &[&str])] = &[
    ("answerback", &[]),
    ("intake", &["answerback"]),
    ("poll", &["answerback"]),
    ("sweep", &["answerback"]),
    ("deliver", &["answerback"]),
    ("local-aws", &["answerback"]),
    ("local", &["answerback", "intake", "poll", "sweep", "deliver", "local-aws"]),
    ("cli", &["answerback", "local", "local-aws"]),
    ("simulation", &["answerback", "intake", "poll", "sweep", "deliver"]),
    (
        "system-tests",
        &["answerback", "intake", "poll", "sweep", "deliver", "local", "local-aws", "simulation"],
    ),
];

#[test]
fn modules_of_the_common_crate_point_one_way() {
    for (module, allowed) in MODULES {
        let files = sources(&root().join("shared/src").join(module));
        assert!(!files.is_empty(), "there is no `{module}`");
        for file in files {
            for used in crate_modules(&read(&file)) {
                let known = MODULES.iter().any(|(it, _)| *it == used);
                assert!(
                    !known || used == *module || allowed.contains(&used.as_str()),
                    "{} uses `{used}`, and `{module}` may not",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_domain_knows_neither_waiting_nor_aws_nor_http_nor_the_wire() {
    for file in sources(&root().join("shared/src/domain")) {
        let is_test = file.ends_with("tests.rs");
        let source = read(&file);
        let product = source.lines().take_while(|it| !is_test && it.trim() != "#[cfg(test)]");
        for (number, line) in product.enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let excepted = file.ends_with(EXCEPTION.0) && code.trim() == EXCEPTION.1;
            let imports = code.trim_start().starts_with("use ") || code.contains("async ");
            let named = NOT_IN_DOMAIN.iter().find(|it| code.contains(**it));
            if let (true, false, Some(named)) = (imports, excepted, named) {
                panic!("{}:{}: the domain names `{named}`", file.display(), number + 1);
            }
        }
    }
}

#[test]
fn packages_depend_on_what_they_may() {
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        let allowed = PACKAGES.iter().find(|(it, _)| *it == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("add `{name}` to PACKAGES"));
        let dependencies = package["dependencies"].as_array().expect("a list");
        for dependency in dependencies.iter().filter_map(|it| it["name"].as_str()) {
            let is_ours = PACKAGES.iter().any(|(it, _)| *it == dependency);
            assert!(
                !is_ours || allowed.contains(&dependency),
                "`{name}` must not use `{dependency}`"
            );
            let guarded = GUARDED.iter().find(|(it, _)| *it == dependency);
            assert!(
                guarded.is_none_or(|(_, by)| by.contains(&name)),
                "`{name}` must not use `{dependency}`"
            );
        }
    }
}

#[test]
fn the_scanner_sees_what_is_used() {
    let source = "use crate::{domain::{Id, store}, egress};\nuse crate::page;\nlet x = crate::signing::sha256(b);";
    let expected = ["domain", "egress", "page", "signing"].map(str::to_owned);
    assert_eq!(crate_modules(source), BTreeSet::from(expected));
}

/// The modules that `source` names behind `crate::`.
fn crate_modules(source: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>()
    };
    let mut modules = BTreeSet::new();
    for (at, _) in source.match_indices("crate::") {
        let rest = &source[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            modules.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                it if it.is_alphanumeric() && depth == 0 && begins => {
                    modules.insert(word(&group[at..]));
                    begins = false;
                }
                _ => (),
            }
        }
    }
    modules
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("a source file")
}

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}

fn packages() -> Vec<Value> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("a list").clone()
}
