//! Rules about the code that the compiler does not check: the directions of dependencies.

mod modules;
mod security;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use modules::Modules;

/// The modules of the common crate that each of them may use, lowest layer first.
const MODULES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("page", &[]),
    ("signing", &["domain"]),
    ("store", &["domain"]),
    ("notify", &["domain", "page"]),
    ("egress", &["domain"]),
    ("platform", &["domain", "signing", "store", "egress"]),
    ("api", &["domain", "page", "signing", "store", "platform"]),
    ("fronts", &["domain", "signing", "store", "platform", "api"]),
    (
        "service",
        &["domain", "page", "signing", "store", "notify", "egress", "platform", "api", "fronts"],
    ),
];

/// Names that the domain must not use: async code, AWS, HTTP and wire formats.
const NOT_IN_DOMAIN: &[&str] =
    &["async", "tokio", "axum", "http", "reqwest", "aws_", "lambda_", "serde", "Serialize"];

/// A second URL parser, `http::Uri`; it is pure.
const EXCEPTION: (&str, &str) = ("callback_url.rs", "use http::Uri;");

/// Outside crates that only some of our packages may depend on.
const GUARDED: &[(&str, &[&str])] = &[
    ("aws-sdk-dynamodb", &["answerback", "local", "simulation", "system-tests"]),
    ("aws-sdk-sqs", &["answerback", "local", "simulation", "system-tests"]),
    ("aws-sdk-eventbridge", &["answerback", "system-tests"]),
    ("aws-sdk-kms", &["answerback", "system-tests"]),
    ("ring", &["answerback", "local-aws"]),
    ("reqwest", &["answerback", "cli"]),
    ("dynoxide-rs", &["local-aws"]),
    ("clap", &["cli", "simulation"]),
    ("aws-runtime", &["answerback"]),
    ("aws-smithy-runtime", &["answerback"]),
    ("tokio-rustls", &["answerback"]),
    ("miniz_oxide", &["answerback"]),
    ("flate2", &["poll", "system-tests"]),
];

/// The packages of ours that each of them may depend on.
const PACKAGES: &[(&str, &[&str])] = &[
    ("answerback", &[]),
    ("intake", &["answerback"]),
    ("poll", &["answerback"]),
    ("sweep", &["answerback"]),
    ("deliver", &["answerback"]),
    ("local-aws", &[]),
    ("local", &["answerback", "intake", "poll", "sweep", "deliver", "local-aws"]),
    ("cli", &["answerback", "local"]),
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
fn domain_has_no_async_code_aws_http_or_wire_formats() {
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

/// Packages that a command line for deployed tables must not link.
const NOT_IN_CLI: &[&str] = &[
    "intake",
    "poll",
    "sweep",
    "deliver",
    "local",
    "local-aws",
    "dynoxide-rs",
    "rusqlite",
    "libsqlite3-sys",
];

#[test]
fn cli_without_dev_links_no_local_stack() {
    let linked = linked_packages(&["--no-default-features"]);
    assert!(linked.contains("answerback"), "{linked:?}");
    for package in NOT_IN_CLI {
        assert!(!linked.contains(*package), "`cli` without `dev` links `{package}`");
    }
    let linked = linked_packages(&[]);
    for package in NOT_IN_CLI {
        assert!(linked.contains(*package), "`cli` with `dev` does not link `{package}`");
    }
}

#[test]
fn cli_without_dev_has_no_http_server() {
    for (package, feature) in [("axum", "tokio"), ("hyper", "server"), ("axum", "http1")] {
        let all = cargo_tree(&["--no-default-features", "--format", "{p} {f}"]);
        let lines = all.lines().filter(|it| it.starts_with(&format!("{package} v")));
        let features: BTreeSet<&str> =
            lines.filter_map(|it| it.split(' ').nth(2)).flat_map(|it| it.split(',')).collect();
        assert!(!features.contains(feature), "`{package}` has the feature `{feature}`");
    }
}

/// The names of the packages that `cli` links.
fn linked_packages(arguments: &[&str]) -> BTreeSet<String> {
    let tree = cargo_tree(arguments);
    tree.lines().filter_map(|it| it.split(' ').next()).map(str::to_owned).collect()
}

fn cargo_tree(arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package=cli", "--edges=normal", "--prefix=none"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn no_package_has_an_import_circle() {
    let mut n_packages = 0;
    for folder in ["shared", "functions/intake", "functions/poll", "functions/sweep"]
        .into_iter()
        .chain(["functions/deliver", "infra/local-aws", "infra/local", "infra/cli"])
    {
        let modules = Modules::read(&root().join(folder).join("src"));
        assert_eq!(modules.circles(), [""; 0], "in `{folder}`");
        n_packages += 1;
    }
    let product = packages().into_iter().filter(|it| {
        let manifest = it["manifest_path"].as_str().expect("a path").to_owned();
        !manifest.starts_with(root().join("tests").to_str().expect("UTF-8"))
    });
    assert_eq!(n_packages, product.count(), "add the new package to this test");
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
