//! A local stack that was started in this folder or in one above.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Context as _;
use serde::Deserialize;

use super::Profile;

/// The file that `answerback dev` writes.
const FILE: &str = ".answerback/dev.json";
/// Permissions of the group and of others.
const NOT_THE_OWNER: u32 = 0o077;

/// The part of the file that clients need.
#[derive(Deserialize)]
struct Ready {
    base_url: String,
    api_key: String,
}

/// The address and key of the nearest local stack.
pub(super) fn find() -> anyhow::Result<Option<Profile>> {
    let Ok(folder) = env::current_dir() else { return Ok(None) };
    folder
        .ancestors()
        .map(|it| it.join(FILE))
        .find(|it| is_private(it))
        .map(|it| read(&it))
        .transpose()
}

/// True for a file that only its owner can read. A file of another user, or one from a version
/// control system, could lead questions and keys to a server of its author.
fn is_private(file: &Path) -> bool {
    let metadata = fs::symlink_metadata(file);
    metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & NOT_THE_OWNER == 0)
}

fn read(file: &Path) -> anyhow::Result<Profile> {
    let text = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let ready: Ready = serde_json::from_slice(&text)
        .with_context(|| format!("`{}` is malformed", file.display()))?;
    Ok(Profile { url: ready.base_url, api_key: ready.api_key })
}
