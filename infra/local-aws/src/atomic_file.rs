//! Files that are there as a whole or not at all.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::Context as _;

/// Writes a file for nobody else to read, so that a crash leaves the old one or the new one.
pub fn replace(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let (path, fresh) = (folder.join(name), folder.join(format!("{name}.new")));
    let write = || {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}
