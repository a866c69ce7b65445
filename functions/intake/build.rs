//! Writes the list of MCP tools without the spaces that make it readable here.

use std::{env, error::Error, fs, path::PathBuf};

use serde_json::Value;

const TOOLS: &str = "src/mcp/tools.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={TOOLS}");
    println!("cargo:rerun-if-changed=build.rs");
    let tools: Value = serde_json::from_slice(&fs::read(TOOLS)?)?;
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("OUT_DIR is not set")?;
    Ok(fs::write(folder.join("tools.json"), tools.to_string())?)
}
