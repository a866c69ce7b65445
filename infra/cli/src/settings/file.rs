//! The configuration file: profiles, each an address with its key.
//!
//! ```toml
//! default_profile = "work"
//!
//! [profiles.work]
//! url = "https://answerback.example.com"
//! api_key = "ab_live_…"
//! ```

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use answerback::platform::config::optional;
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::NOT_THE_OWNER;
use crate::files::{Modes, replace, resolve};

/// Name of the profile that is written without `--profile`.
pub(crate) const DEFAULT_PROFILE: &str = "default";

/// The content of the file.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    default_profile: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// An address and its key.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) url: String,
    pub(crate) api_key: String,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ConfigFile {
    /// Reads the file. A missing one has no profiles.
    pub(crate) fn read() -> anyhow::Result<Self> {
        match path()? {
            Some(path) => Self::read_from(&path),
            None => Ok(Self::default()),
        }
    }

    fn read_from(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let mode = match fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(err) => return Err(err).with_context(|| format!("cannot read `{shown}`")),
        };
        ensure!(
            mode & NOT_THE_OWNER == 0,
            "`{shown}` has API keys and others may read it; run `chmod 600 {shown}`"
        );
        let text = fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"))?;
        // The parser's own message may quote a key.
        toml::from_str(&text).map_err(|err| {
            let line = err.span().map_or(1, |it| 1 + text[..it.start].matches('\n').count());
            anyhow::anyhow!(
                "`{shown}` is malformed in line {line}; each `[profiles.NAME]` must have `url` and \
                 `api_key` as texts"
            )
        })
    }

    /// The profile `name`.
    pub(crate) fn profile(&self, name: &str) -> anyhow::Result<&Profile> {
        self.profiles.get(name).with_context(|| {
            let known: Vec<_> = self.profiles.keys().map(|it| format!("`{it}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("no profile `{name}`; profiles: {known}")
        })
    }

    /// The profile that is used without a name.
    pub(crate) fn default_profile(&self) -> anyhow::Result<Option<&Profile>> {
        self.default_profile.as_deref().map(|it| self.profile(it)).transpose()
    }

    /// True if the profile is used without a name.
    pub(crate) fn is_default(&self, name: &str) -> bool {
        self.default_profile.as_deref() == Some(name)
    }

    /// All profiles.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// Adds or replaces a profile. The first one becomes the default.
    pub(crate) fn set(&mut self, name: &str, profile: Profile) {
        self.default_profile.get_or_insert_with(|| name.to_owned());
        self.profiles.insert(name.to_owned(), profile);
    }

    /// Writes the file, which only its owner can read, and returns its path.
    pub(crate) fn write(&self) -> anyhow::Result<PathBuf> {
        let path = path()?.context("HOME must be set to write the configuration file")?;
        self.write_to(&path)?;
        Ok(path)
    }

    fn write_to(&self, path: &Path) -> anyhow::Result<()> {
        let text = toml::to_string_pretty(self)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        replace(&resolve(path)?, &text, Modes { file: 0o600, folder: 0o700 })
    }
}

/// The file's path. `None` without a home.
fn path() -> anyhow::Result<Option<PathBuf>> {
    let folder = match optional::<PathBuf>("XDG_CONFIG_HOME")? {
        Some(folder) => Some(folder),
        None => optional::<PathBuf>("HOME")?.map(|it| it.join(".config")),
    };
    Ok(folder.map(|it| it.join("answerback/config.toml")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn link_to_the_file_stays_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (link, target) = (folder.path().join("a/config.toml"), folder.path().join("b.toml"));
        fs::create_dir(folder.path().join("a")).expect("a folder");
        symlink("../b.toml", &link).expect("a link");
        let file = ConfigFile::default();
        assert!(file.write_to(&link).is_err(), "it leads nowhere");
        fs::write(&target, "").expect("a file");
        file.write_to(&link).expect("it leads to a file");
        assert!(link.is_symlink());
        let mode = fs::metadata(&target).expect("a file").permissions().mode();
        assert_eq!(mode & NOT_THE_OWNER, 0);
    }

    #[test]
    fn error_about_the_file_quotes_no_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        ConfigFile::default().write_to(&path).expect("the folder exists");
        for text in [
            "[profiles.work]\nurl = \"https://work.example.com\"\napi_key = \"ab_live_x",
            "[profiles.work]\nurl = 1\napi_key = \"ab_live_x\"",
            "[profiles.work]\napi_key = [\"ab_live_x\"]",
            "api_key = \"ab_live_x\"",
        ] {
            fs::write(&path, text).expect("the folder exists");
            let error = ConfigFile::read_from(&path).expect_err(text);
            let error = format!("{error:#}");
            assert!(error.contains("is malformed in line "), "{error}");
            assert!(!error.contains("ab_live_x"), "{error}");
        }
    }
}
