//! A scanner of `use` lines that finds import circles between the modules of a package.
//!
//! A path is followed through re-exports to the module that defines the name. Imports between a
//! module and the modules around it are no arrows: they are one unit.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// A module: the segments of its path, without `crate`.
type Name = Vec<String>;

/// The modules of a package and their imports.
pub(super) struct Modules {
    /// The source of each module, without comments and unit tests.
    sources: BTreeMap<Name, String>,
    /// The paths that modules re-export, by module and name.
    exports: BTreeMap<(Name, String), Name>,
}

impl Modules {
    /// Reads the modules below `src`.
    pub(super) fn read(src: &Path) -> Self {
        let files = super::sources(src).into_iter().map(|file| {
            let name = module_of(file.strip_prefix(src).expect("it is below"));
            (name, super::read(&file))
        });
        Self::new(files.filter(|(name, _)| !name.iter().any(|it| it == "tests")))
    }

    fn new(files: impl Iterator<Item = (Name, String)>) -> Self {
        let sources: BTreeMap<Name, String> =
            files.map(|(name, source)| (name, product_code(&source))).collect();
        let mut exports = BTreeMap::new();
        for (name, source) in &sources {
            for path in exported_paths(source) {
                let target = absolute(name, &path);
                if let Some(last) = target.last().cloned() {
                    exports.insert((name.clone(), last), target);
                }
            }
        }
        Self { sources, exports }
    }

    /// A line for each circle: the modules in it.
    pub(super) fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let mut circles = BTreeSet::new();
        for start in arrows.keys() {
            let reached = reachable(&arrows, start);
            if reached.contains(start) {
                let circle = reached.iter().filter(|it| reachable(&arrows, it).contains(start));
                let names: Vec<String> = circle.map(|it| it.join("::")).collect();
                circles.insert(names.join(", "));
            }
        }
        circles.into_iter().collect()
    }

    /// The arrows between sibling modules.
    fn arrows(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        let mut arrows: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
        for (from, source) in &self.sources {
            for path in used_paths(source) {
                let to = self.module_of_path(absolute(from, &path));
                let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
                if shared < from.len() && shared < to.len() {
                    let to = to[..=shared].to_vec();
                    arrows.entry(from[..=shared].to_vec()).or_default().insert(to);
                }
            }
        }
        arrows
    }

    /// The module that defines the last name of `path`.
    fn module_of_path(&self, mut path: Name) -> Name {
        // Re-exports of re-exports are rare; a name that exports itself must not loop.
        for _ in 0..5 {
            let n_module = (0..=path.len()).rev().find(|n| self.sources.contains_key(&path[..*n]));
            let module = path[..n_module.unwrap_or_default()].to_vec();
            let exported = path.get(module.len()).cloned();
            match exported.and_then(|it| self.exports.get(&(module.clone(), it))) {
                Some(target) => path.clone_from(target),
                None => return module,
            }
        }
        path
    }
}

fn reachable(arrows: &BTreeMap<Name, BTreeSet<Name>>, start: &Name) -> BTreeSet<Name> {
    let mut reached = BTreeSet::new();
    let mut next = vec![start];
    while let Some(module) = next.pop() {
        for to in arrows.get(module).into_iter().flatten() {
            if reached.insert(to.clone()) {
                next.push(to);
            }
        }
    }
    reached
}

fn module_of(file: &Path) -> Name {
    let file = file.with_extension("");
    let mut name: Name = file.iter().map(|it| it.to_str().expect("UTF-8").to_owned()).collect();
    if name.last().is_some_and(|it| ["mod", "lib", "main"].contains(&it.as_str())) {
        name.pop();
    }
    name
}

/// The source without comments, up to its unit tests.
fn product_code(source: &str) -> String {
    let lines = source.lines().map(|it| it.split("//").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n");
    let end = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
    code[..end].to_owned()
}

/// The path from the root of the package.
fn absolute(module: &[String], path: &[String]) -> Name {
    let mut absolute =
        if path.first().is_some_and(|it| it == "crate") { Vec::new() } else { module.to_vec() };
    for segment in path {
        match segment.as_str() {
            "crate" | "self" => (),
            "super" => drop(absolute.pop()),
            _ => absolute.push(segment.clone()),
        }
    }
    absolute
}

/// The paths in `pub use` lines.
fn exported_paths(source: &str) -> Vec<Name> {
    let mut paths = Vec::new();
    for line in source.split(';') {
        let Some(at) = line.find("use ") else { continue };
        let before = line[..at].rsplit('\n').next().unwrap_or_default().trim();
        if before == "pub" || before.starts_with("pub(") {
            parse_tree(&line[at + "use ".len()..], &[], &mut paths);
        }
    }
    paths
}

/// The paths that begin with `crate`, `super` or `self`, in `use` lines and in code.
fn used_paths(source: &str) -> Vec<Name> {
    let mut paths = Vec::new();
    for (at, separator) in source.match_indices("::") {
        let before = &source[..at];
        let word = before.rsplit(|it: char| !is_word(it)).next().unwrap_or_default();
        let is_first = !before[..before.len() - word.len()].ends_with("::");
        if is_first && ["crate", "super", "self"].contains(&word) {
            let rest = &source[at + separator.len()..];
            parse_tree(rest, &[word.to_owned()], &mut paths);
        }
    }
    paths
}

/// Adds the paths of a `use` tree. Returns the text behind the tree.
fn parse_tree<'a>(text: &'a str, prefix: &[String], paths: &mut Vec<Name>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            if let Some(rest) = rest.strip_prefix('}') {
                return rest;
            }
            rest = parse_tree(rest, prefix, paths).trim_start();
            if let Some(alias) = rest.strip_prefix("as ") {
                rest = alias.trim_start().trim_start_matches(is_word).trim_start();
            }
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None if rest.starts_with('}') => (),
                None => return rest,
            }
        }
    }
    let rest = text.trim_start_matches(is_word);
    let word = &text[..text.len() - rest.len()];
    let mut path = prefix.to_vec();
    if !word.is_empty() {
        path.push(word.to_owned());
    }
    match rest.strip_prefix("::") {
        Some(rest) if !word.is_empty() => parse_tree(rest, &path, paths),
        _ => {
            paths.push(path);
            rest
        }
    }
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

#[test]
fn import_circles_are_found_through_re_exports() {
    let files = |b: &str| {
        let files = [
            ("", "mod a;\nmod b;\npub use b::{B as Other, B};"),
            ("a", "use crate::B;\nuse super::b::{c::C, self};\n// use crate::a::x;"),
            ("b", b),
            ("b::c", "use super::B;\npub struct C;"),
        ];
        let files = files.map(|(name, source)| {
            let name = name.split("::").filter(|it| !it.is_empty());
            (name.map(str::to_owned).collect(), source.to_owned())
        });
        Modules::new(files.into_iter()).circles()
    };
    assert_eq!(files("mod c;\npub struct B;"), [""; 0]);
    assert_eq!(files("mod c;\nfn f() { crate::a::g(); }"), ["a, b"]);
    assert_eq!(files("use super::a;\n#[cfg(test)]\nmod tests {}"), ["a, b"]);
    assert_eq!(files("#[cfg(test)]\nmod tests { use crate::a; }"), [""; 0]);
}
