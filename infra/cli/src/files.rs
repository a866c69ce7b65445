//! Files that flags name. `-` is standard input.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// The name of standard input among files.
pub(crate) const STDIN: &str = "-";

/// Permissions of a file that is written, and of its folder if that is new.
#[derive(Clone, Copy)]
pub(crate) struct Modes {
    pub(crate) file: u32,
    pub(crate) folder: u32,
}

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

/// The file that a path leads to. A link to it stays one.
pub(crate) fn resolve(path: &Path) -> anyhow::Result<PathBuf> {
    if path.is_symlink() {
        return fs::canonicalize(path).with_context(|| cannot_write(path));
    }
    Ok(path.to_owned())
}

/// Replaces the text of a file at once, so that no other program sees a part of it.
pub(crate) fn replace(path: &Path, text: &str, modes: Modes) -> anyhow::Result<()> {
    let context = || cannot_write(path);
    let folder = path.parent().with_context(context)?;
    DirBuilder::new().recursive(true).mode(modes.folder).create(folder).with_context(context)?;
    let name = path.file_name().with_context(context)?.to_string_lossy();
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(modes.file)
        .open(&new)
        .with_context(context)?;
    file.set_permissions(Permissions::from_mode(modes.file)).with_context(context)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(context)?;
    fs::rename(&new, path).with_context(context)
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
