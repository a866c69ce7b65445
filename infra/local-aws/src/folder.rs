//! The data folder: its files are for one user alone, in whatever folder they are.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, bail};

use crate::database::Database;

/// Permissions of the files: their owner may read and write them.
const PRIVATE: u32 = 0o600;
/// Permissions of all other users.
const OTHERS: u32 = 0o077;
/// Their permissions to write.
const OTHERS_WRITE: u32 = 0o022;

/// Opens a file, or creates it. Other users may not read it, whatever they could before.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    let file =
        options.read(true).write(true).create(true).truncate(false).mode(PRIVATE).open(path)?;
    if file.metadata()?.permissions().mode() & OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    Ok(file)
}

/// Opens the database at `path`, or creates it. `SQLite` gives its other files the permissions of
/// this one.
pub(super) fn open_database(path: &Path) -> anyhow::Result<Database> {
    private_file(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    let name = path.to_str().context("the folder's name is not UTF-8")?;
    match Database::open(name) {
        Ok(database) => Ok(database),
        // The library advises to decrypt it, and ours is never encrypted.
        Err(err) if is_damaged(&err.to_string()) => bail!(
            "`{name}` is damaged, or not a database of the local stack; restore a copy of its folder, \
             or move the folder away to start without data"
        ),
        Err(err) => Err(err).with_context(|| format!("opening `{name}`")),
    }
}

fn is_damaged(error: &str) -> bool {
    ["not a valid SQLite database", "malformed", "not a database"]
        .iter()
        .any(|it| error.contains(it))
}

/// Warns if other users can replace the files in the folder. `ours` is one that we opened.
pub(super) fn warn_about_others(folder: &Path, ours: &File) -> io::Result<()> {
    let (of_folder, of_file) = (fs::metadata(folder)?, ours.metadata()?);
    let is_writable = of_folder.permissions().mode() & OTHERS_WRITE != 0;
    if is_writable || of_folder.uid() != of_file.uid() {
        tracing::warn!(
            folder = %folder.display(),
            "other users can replace the files in the data folder; use a folder of your own"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    #[test]
    fn database_is_private_in_a_folder_that_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is ours");
        let path = folder.path().join("aws.sqlite");
        fs::write(&path, "").expect("the folder is ours");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("it is ours");
        let database = open_database(&path).expect("a new database");
        assert_ne!(database.n_changes(), 0, "a new database has a schema");
        let files = fs::read_dir(folder.path()).expect("a folder");
        let files: Vec<_> = files.map(|it| it.expect("a file").path()).collect();
        assert!(!files.is_empty());
        for file in files {
            assert_eq!(mode(&file), PRIVATE, "{}", file.display());
        }
    }

    #[test]
    fn damaged_database_is_named_with_advice() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("aws.sqlite");
        fs::write(&path, "not a database at all, but long enough to be one. ".repeat(100))
            .expect("the folder is ours");
        let refused = open_database(&path).map(|_| ()).expect_err("it is damaged");
        let text = format!("{refused:#}");
        assert!(text.contains("is damaged") && text.contains("move the folder away"), "{text}");
        assert!(!text.contains("encrypt"), "{text}");
    }
}
