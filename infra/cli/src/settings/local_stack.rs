//! A local stack that was started in this folder or in one above.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, anyhow, ensure};
use rustix::process::geteuid;
use serde::Deserialize;

use super::{NOT_THE_OWNER, Profile, is_loopback, parse_url};

/// The file that `answerback dev` writes.
const FILE: &str = ".answerback/dev.json";

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

/// True for a file that this user owns and no other can read. Another user's file could lead
/// questions to a server of that user.
fn is_private(file: &Path) -> bool {
    let metadata = fs::symlink_metadata(file);
    metadata.is_ok_and(|it| {
        let is_private = it.permissions().mode() & NOT_THE_OWNER == 0;
        it.is_file() && is_private && it.uid() == geteuid().as_raw()
    })
}

/// Reads the file. A checkout may contain one, so it may name a server on this machine only.
fn read(file: &Path) -> anyhow::Result<Profile> {
    let shown = file.display();
    let text = fs::read(file).with_context(|| format!("cannot read `{shown}`"))?;
    // The parser's own message may quote the key.
    let ready: Ready = serde_json::from_slice(&text)
        .map_err(|err| anyhow!("`{shown}` is malformed in line {}", err.line()))?;
    let url = parse_url(&ready.base_url).with_context(|| format!("`{shown}`: base_url"))?;
    ensure!(
        url.scheme() == "http" && is_loopback(&url),
        "`{shown}` names {url}, which is no local stack"
    );
    Ok(Profile { url: ready.base_url, api_key: ready.api_key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("dev.json");
        fs::write(&file, text).expect("the folder exists");
        let shown = format!("`{}`", file.display());
        let profile = read(&file).map_err(|err| format!("{err:#}").replace(&shown, "FILE"))?;
        Ok(profile.url)
    }

    #[test]
    fn file_names_a_server_on_this_machine_only() {
        let text = |url: &str| format!(r#"{{"base_url": "{url}", "api_key": "ab_live_x"}}"#);
        let local = "http://127.0.0.1:8787";
        assert_eq!(read_text(&text(local)), Ok(local.to_owned()));
        for url in ["https://example.com", "https://127.0.0.1"] {
            let error = read_text(&text(url)).expect_err(url);
            assert_eq!(error, format!("FILE names {url}/, which is no local stack"));
        }
        assert!(read_text(&text("http://example.com")).is_err());
    }

    #[test]
    fn error_about_the_file_quotes_no_key() {
        let error = read_text("{\n\"base_url\": 1, \"api_key\": \"ab_live_x\"}");
        assert_eq!(error, Err("FILE is malformed in line 2".to_owned()));
        let error = read_text("[\"ab_live_x\"]").expect_err("a list");
        assert!(!error.contains("ab_live_x"), "{error}");
    }
}
