//! Files that flags name. `-` is standard input.

use std::{
    fs,
    io::{self, Read as _},
};

use anyhow::Context as _;

/// The name of standard input among files.
pub(crate) const STDIN: &str = "-";

/// The text in a file.
pub(crate) fn read_file(path: &str) -> anyhow::Result<String> {
    if path == STDIN {
        return read_stdin();
    }
    fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))
}

/// The text on standard input.
pub(crate) fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}
