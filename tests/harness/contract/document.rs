//! Looks up parts, references, paths and operations in the document.

use std::collections::HashMap;

use answerback::api::pointer;
use anyhow::Context as _;
use axum::http::Method;
use serde_json::Value;

/// The OpenAPI document.
#[derive(Debug)]
pub(super) struct Document(pub(super) Value);

/// A part of the document and its pointer, by which the schemas in it are named.
pub(super) struct Part<'a> {
    pub(super) pointer: String,
    pub(super) value: &'a Value,
}

impl Part<'_> {
    /// True if a header, a parameter or a body is required.
    pub(super) fn is_required(&self) -> bool {
        self.value["required"] == true
    }

    /// The pointer of the schema of a header, a parameter or a content.
    pub(super) fn schema(&self) -> String {
        pointer::member(&self.pointer, "schema")
    }
}

impl Document {
    /// The documented path that matches, and the values of its placeholders.
    pub(super) fn route(&self, path: &str) -> Option<(Part<'_>, HashMap<String, String>)> {
        let paths = self.at("/paths");
        let templates = paths.value.as_object()?;
        templates.keys().find_map(|template| {
            Some((self.part(&paths, template)?, placeholders(template, path)?))
        })
    }

    /// The operation of a method; an undocumented HEAD is a GET without a response body.
    pub(super) fn operation(&self, route: &Part<'_>, method: &Method) -> Option<Part<'_>> {
        let name = method.as_str().to_ascii_lowercase();
        let implied = || (*method == Method::HEAD).then(|| self.part(route, "get")).flatten();
        let has_head = |it: &Part<'_>| it.value["x-no-head"] != true;
        self.part(route, &name).or_else(|| implied().filter(has_head))
    }

    /// The methods of a path, as `Allow` lists them.
    pub(super) fn methods(&self, route: &Part<'_>) -> String {
        let all = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
        let has = |it: &&str| {
            let method = it.parse().expect("a method");
            self.operation(route, &method).is_some()
        };
        all.into_iter().filter(has).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn shared_response(&self, name: &str) -> anyhow::Result<Part<'_>> {
        let responses = self.at("/components/responses");
        self.part(&responses, name).with_context(|| format!("there is no shared `{name}`"))
    }

    fn at(&self, pointer: &str) -> Part<'_> {
        let value = self.0.pointer(pointer).unwrap_or(&Value::Null);
        Part { pointer: pointer.to_owned(), value }
    }

    /// The named member of a part, with a reference resolved.
    pub(super) fn part(&self, of: &Part<'_>, name: &str) -> Option<Part<'_>> {
        let mut pointer = pointer::member(&of.pointer, name);
        loop {
            let value = self.0.pointer(&pointer)?;
            let Some(target) = value.get("$ref").and_then(Value::as_str) else {
                return Some(Part { pointer, value });
            };
            target.strip_prefix('#')?.clone_into(&mut pointer);
        }
    }
}

/// The values of a template's placeholders in a path, if it matches.
fn placeholders(template: &str, path: &str) -> Option<HashMap<String, String>> {
    if template.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut found = HashMap::new();
    for (expected, actual) in template.split('/').zip(path.split('/')) {
        match expected.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
            Some(name) if !actual.is_empty() => found.insert(name.to_owned(), actual.to_owned()),
            None if expected == actual => continue,
            _ => return None,
        };
    }
    Some(found)
}
