//! Writes the table of the paths of the API and their methods, from the OpenAPI document.

use std::{collections::BTreeMap, env, error::Error, fmt::Write as _, fs, path::PathBuf};

use serde_json::Value;

const DOCUMENT: &str = "openapi/openapi.json";
const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];
/// Marks a GET that has no HEAD, because reading has an effect.
const NO_HEAD: &str = "x-no-head";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={DOCUMENT}");
    println!("cargo:rerun-if-changed=build.rs");
    let document: Value = serde_json::from_slice(&fs::read(DOCUMENT)?)?;
    let paths = document["paths"].as_object().ok_or("the document has no paths")?;
    let mut table = String::from("&[\n");
    // In the order of the table, a name precedes a placeholder: `{` follows all letters.
    for (path, item) in paths.iter().collect::<BTreeMap<_, _>>() {
        let has = |method: &str| match method {
            "head" => !item["get"].is_null() && item["get"][NO_HEAD] != true,
            other => !item[other].is_null(),
        };
        let methods: Vec<String> =
            METHODS.into_iter().filter(|it| has(it)).map(str::to_uppercase).collect();
        writeln!(table, "    Path {{ template: {path:?}, methods: {:?} }},", methods.join(", "))?;
    }
    table.push_str("]\n");
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("OUT_DIR is not set")?;
    Ok(fs::write(folder.join("paths.rs"), table)?)
}
