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
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use answerback::platform::config::optional;
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::NOT_THE_OWNER;

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
        let context = || format!("cannot write `{}`", path.display());
        let folder = path.parent().expect("the file is in a folder");
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(context)?;
        let text = toml::to_string_pretty(self).with_context(context)?;
        let new = folder.join(format!(".config.toml.{}", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .with_context(context)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(context)?;
        fs::rename(&new, &path).with_context(context)?;
        Ok(path)
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
