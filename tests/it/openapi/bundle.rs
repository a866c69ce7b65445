//! Bundles the YAML files of `shared/openapi` into `openapi.json`, which is served and committed.
//!
//! A reference names a file and one of its top-level keys, and has no other keywords:
//!
//! ```text
//! paths/….yaml#/name         replaced by what it refers to
//! schemas/….yaml#/Name       #/components/schemas/Name, as for problems.yaml
//! parameters.yaml#/Name      #/components/parameters/Name, and likewise headers and responses
//! #/Name                     the same file
//! ```
//!
//! Members keep their order. Components are sorted by name. After a change of a YAML file:
//!
//! ```text
//! UPDATE_OPENAPI=1 cargo test -p system-tests bundle
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};

/// The file that names all paths.
const ROOT: &str = "openapi.yaml";
/// Width up to which the JSON has an object on one line.
const COLUMNS_MAX: usize = 100;

/// A JSON value whose members keep their order.
#[derive(Clone, Debug)]
enum Node {
    /// Text, a number, a boolean or null, as JSON.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// The YAML files by path within the folder.
type Files = BTreeMap<String, Node>;

/// A bundle in the making.
struct Bundler<'a> {
    files: &'a Files,
    /// Definitions that a reference names, by file and key.
    used: BTreeSet<(String, String)>,
    /// Components by section and name, each with the file that defines it.
    components: BTreeMap<String, BTreeMap<String, (String, Node)>>,
}

#[test]
fn the_served_document_is_the_bundle_of_the_yaml_files() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/openapi");
    let mut files = Files::new();
    read_folder(&folder, "", &mut files)?;
    let bundled = bundle(&files)?;
    let path = folder.join("openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, bundled)?;
        return Ok(());
    }
    let same = fs::read_to_string(&path)? == bundled;
    assert!(same, "openapi.json is stale: UPDATE_OPENAPI=1 cargo test -p system-tests bundle");
    Ok(())
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Files) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|it| it.to_str()).context("a name is not UTF-8")?;
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            read_folder(&path, &format!("{name}/"), files)?;
        } else if path.extension().is_some_and(|it| it == "yaml") {
            let node = parse(&fs::read_to_string(&path)?).with_context(|| name.clone())?;
            files.insert(name, node);
        }
    }
    Ok(())
}

fn parse(text: &str) -> anyhow::Result<Node> {
    let documents = Yaml::load_from_str(text)?;
    let [document] = documents.as_slice() else { bail!("not one document") };
    node_of(document)
}

fn node_of(yaml: &Yaml<'_>) -> anyhow::Result<Node> {
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Node::Scalar("null".to_owned()),
        Yaml::Value(Scalar::Boolean(it)) => Node::Scalar(it.to_string()),
        Yaml::Value(Scalar::Integer(it)) => Node::Scalar(it.to_string()),
        Yaml::Value(Scalar::FloatingPoint(it)) => Node::Scalar(it.to_string()),
        Yaml::Value(Scalar::String(it)) => Node::Scalar(serde_json::to_string(it)?),
        Yaml::Sequence(items) => Node::List(items.iter().map(node_of).collect::<Result<_, _>>()?),
        Yaml::Mapping(members) => {
            let member = |(name, value): (&Yaml<'_>, _)| {
                let name = name.as_str().with_context(|| format!("{name:?} is not text"))?;
                Ok((name.to_owned(), node_of(value).with_context(|| format!("in `{name}`"))?))
            };
            Node::Map(members.iter().map(member).collect::<anyhow::Result<_>>()?)
        }
        other => bail!("not a JSON value: {other:?}"),
    })
}

/// The whole document as JSON text.
fn bundle(files: &Files) -> anyhow::Result<String> {
    let root = files.get(ROOT).context("the root is missing")?;
    let mut bundler = Bundler { files, used: BTreeSet::new(), components: BTreeMap::new() };
    let mut document = bundler.resolve(root, ROOT)?;
    let components = bundler.components.into_iter().map(|(section, parts)| {
        (section, Node::Map(parts.into_iter().map(|(name, (_, node))| (name, node)).collect()))
    });
    document.member_mut("components")?.extend(components);
    for (file, node) in files.iter().filter(|(file, _)| *file != ROOT) {
        for (name, _) in node.members()? {
            let is_used = bundler.used.contains(&(file.clone(), name.clone()));
            ensure!(is_used, "`{name}` of {file} is not used");
        }
    }
    let mut text = String::new();
    document.write(0, &mut text);
    Ok(text + "\n")
}

impl Bundler<'_> {
    /// `node` of `file` with references as the bundle has them.
    fn resolve(&mut self, node: &Node, file: &str) -> anyhow::Result<Node> {
        match node {
            Node::Scalar(_) => Ok(node.clone()),
            Node::List(items) => {
                let items = items.iter().map(|it| self.resolve(it, file));
                Ok(Node::List(items.collect::<anyhow::Result<_>>()?))
            }
            Node::Map(members) => match members.as_slice() {
                [(name, Node::Scalar(target))] if name == "$ref" => {
                    let target: String = serde_json::from_str(target)?;
                    self.refer(&target, file).with_context(|| format!("{target} in {file}"))
                }
                members => {
                    let has_reference = members.iter().any(|(name, _)| name == "$ref");
                    ensure!(!has_reference, "{file} has keywords next to a $ref: {node:?}");
                    let member =
                        |(name, it): &(String, _)| Ok((name.clone(), self.resolve(it, file)?));
                    Ok(Node::Map(members.iter().map(member).collect::<anyhow::Result<_>>()?))
                }
            },
        }
    }

    fn refer(&mut self, target: &str, from: &str) -> anyhow::Result<Node> {
        let (path, name) = target.split_once("#/").context("has no `#/`")?;
        let file = if path.is_empty() { from.to_owned() } else { join(from, path) };
        let definitions = self.files.get(&file).context("the file is missing")?.members()?;
        let definition = definitions.iter().find(|(it, _)| it == name);
        let (_, definition) = definition.context("the definition is missing")?;
        self.used.insert((file.clone(), name.to_owned()));
        let section = match file.split(['/', '.']).next().unwrap_or_default() {
            "paths" => return self.resolve(definition, &file),
            "problems" => "schemas",
            section => section,
        };
        let parts = self.components.entry(section.to_owned()).or_default();
        if let Some((other, _)) = parts.get(name) {
            ensure!(*other == file, "{other} has a `{name}` too");
        } else {
            // First, since a definition may refer to itself.
            parts.insert(name.to_owned(), (file.clone(), Node::Map(Vec::new())));
            let node = self.resolve(definition, &file)?;
            let parts = self.components.entry(section.to_owned()).or_default();
            parts.insert(name.to_owned(), (file.clone(), node));
        }
        let target = serde_json::to_string(&format!("#/components/{section}/{name}"))?;
        Ok(Node::Map(vec![("$ref".to_owned(), Node::Scalar(target))]))
    }
}

/// `path` as seen from the file `from`.
fn join(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        if part == ".." { _ = parts.pop() } else { parts.push(part) }
    }
    parts.join("/")
}

impl Node {
    fn members(&self) -> anyhow::Result<&[(String, Node)]> {
        let Self::Map(members) = self else { bail!("not a map: {self:?}") };
        Ok(members)
    }

    /// The members of the map that is the member `name` of this map.
    fn member_mut(&mut self, name: &str) -> anyhow::Result<&mut Vec<(String, Node)>> {
        let Self::Map(members) = self else { bail!("not a map: {self:?}") };
        let member = members.iter_mut().find(|(it, _)| it == name);
        match member {
            Some((_, Self::Map(members))) => Ok(members),
            _ => bail!("no map `{name}`"),
        }
    }

    /// Writes JSON. An object or array is on one line where it fits.
    fn write(&self, indent: usize, text: &mut String) {
        let line = self.line();
        let column = text.len() - text.rfind('\n').map_or(0, |it| it + 1);
        let (open, close, items): (_, _, Vec<(String, &Self)>) = match self {
            Self::Scalar(_) => return text.push_str(&line),
            Self::List(items) => ('[', ']', items.iter().map(|it| (String::new(), it)).collect()),
            Self::Map(members) => ('{', '}', members.iter().map(|(k, it)| (key(k), it)).collect()),
        };
        if column + line.len() < COLUMNS_MAX || items.is_empty() {
            return text.push_str(&line);
        }
        text.push(open);
        for (index, (key, item)) in items.iter().enumerate() {
            text.push_str(if index == 0 { "\n" } else { ",\n" });
            text.push_str(&" ".repeat(indent + 2));
            text.push_str(key);
            item.write(indent + 2, text);
        }
        text.push('\n');
        text.push_str(&" ".repeat(indent));
        text.push(close);
    }

    fn line(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::line).collect::<Vec<_>>().join(", "))
            }
            Self::Map(members) if members.is_empty() => "{}".to_owned(),
            Self::Map(members) => {
                let members = members.iter().map(|(name, it)| key(name) + &it.line());
                format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn key(name: &str) -> String {
    format!("{}: ", serde_json::Value::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled(files: &[(&str, &str)]) -> anyhow::Result<String> {
        let files = files.iter().map(|(name, text)| Ok(((*name).to_owned(), parse(text)?)));
        bundle(&files.collect::<anyhow::Result<_>>()?)
    }

    const ROOT_TEXT: &str = "
        paths: {/a: {$ref: 'paths/a.yaml#/a'}}
        components: {}
    ";

    #[test]
    fn references_become_components() {
        let text = bundled(&[
            ("openapi.yaml", ROOT_TEXT),
            ("paths/a.yaml", "a: {get: {schema: {$ref: '../schemas/b.yaml#/Tree'}}}"),
            (
                "schemas/b.yaml",
                "Tree: {items: [{$ref: '#/Tree'}, {$ref: '../problems.yaml#/Problem'}]}",
            ),
            ("problems.yaml", "Problem: {type: [object, 'null'], minimum: 0.5, default: null}"),
        ]);
        let expected = r##"{
  "paths": { "/a": { "get": { "schema": { "$ref": "#/components/schemas/Tree" } } } },
  "components": {
    "schemas": {
      "Problem": { "type": ["object", "null"], "minimum": 0.5, "default": null },
      "Tree": {
        "items": [
          { "$ref": "#/components/schemas/Tree" },
          { "$ref": "#/components/schemas/Problem" }
        ]
      }
    }
  }
}
"##;
        assert_eq!(text.expect("a bundle"), expected);
    }

    #[test]
    fn mistakes_in_references_are_errors() {
        let a = ("paths/a.yaml", "a: {get: {$ref: '../schemas/b.yaml#/B'}}");
        let cases: [(&str, &[(&str, &str)]); 6] = [
            ("the file is missing", &[a]),
            ("the definition is missing", &[a, ("schemas/b.yaml", "C: {}")]),
            ("`C` of schemas/b.yaml is not used", &[a, ("schemas/b.yaml", "B: {}\nC: {}")]),
            ("next to a $ref", &[("paths/a.yaml", "a: {$ref: 'b.yaml#/b', description: b}")]),
            ("has no `#/`", &[("paths/a.yaml", "a: {$ref: 'b.yaml'}")]),
            (
                "schemas/b.yaml has a `B` too",
                &[a, ("schemas/b.yaml", "B: {$ref: 'c.yaml#/B'}"), ("schemas/c.yaml", "B: {}")],
            ),
        ];
        for (reason, files) in cases {
            let files = [&[("openapi.yaml", ROOT_TEXT)], files].concat();
            let error = format!("{:#}", bundled(&files).expect_err(reason));
            assert!(error.contains(reason), "expected {reason}, found {error}");
        }
    }
}
