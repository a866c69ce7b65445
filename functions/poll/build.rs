//! Prepares the OpenAPI document for serving: compact JSON, its gzip copy, and an `ETag` for each.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

const DOCUMENT: &str = "../../shared/openapi/openapi.json";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed={DOCUMENT}");
    println!("cargo:rerun-if-changed=build.rs");
    let folder = env::var_os("OUT_DIR").map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    let compact = without_whitespace(&fs::read_to_string(DOCUMENT)?);
    // The header has no time and no file name, so equal documents have equal copies.
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(compact.as_bytes())?;
    let gzip = encoder.finish()?;
    write(&folder, "openapi.json", compact.as_bytes())?;
    write(&folder, "openapi.json.gz", &gzip)
}

/// Writes a file, and next to it one with its `ETag`.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::write(folder.join(name), bytes)?;
    let digest = Sha256::digest(bytes);
    let mut hex = String::new();
    for byte in digest {
        write!(hex, "{byte:02x}").expect("a string takes all");
    }
    fs::write(folder.join(format!("{name}.etag")), format!("\"{hex}\""))
}

/// `json` without whitespace between its tokens.
fn without_whitespace(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let keep = |it: &char| {
        if is_text {
            is_text = is_escaped || *it != '"';
            is_escaped = !is_escaped && *it == '\\';
            return true;
        }
        is_text = *it == '"';
        !it.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}
