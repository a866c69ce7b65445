//! Whose the local stack is: an account and a key that may do everything, kept over restarts.
//!
//! `dev.json` in the data folder holds what `--json` prints. It is written anew by every start,
//! for its addresses change; the account and the key are taken from the one that is there.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use answerback::{
    domain::{Account, AccountId, ApiKey, KeyId, Scope},
    service::{Entropy, config::LocalKey},
    store::keys,
};
use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::System;

/// The file in the data folder.
const FILE: &str = "dev.json";
/// The file with the key that secrets are sealed with.
const SECRETS_KEY: &str = "secrets.key";

/// Where a running stack is found, and what opens it.
#[derive(Deserialize, Serialize)]
pub(crate) struct Ready {
    /// Where the API is.
    pub(crate) base_url: String,
    /// A key that may do everything.
    pub(crate) api_key: String,
    /// Whose key it is.
    pub(crate) account_id: String,
    /// The built-in receiver.
    pub(crate) inbox_url: String,
    /// DynamoDB, SQS and EventBridge.
    pub(crate) aws_endpoint: String,
}

/// Makes the data folder, if it is missing, for nobody else to look into.
pub(super) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))
}

/// The key that the folder's secrets are sealed with, made at the first start; without a folder one
/// that is gone with the process.
pub(crate) fn secrets_key(folder: Option<&Path>) -> anyhow::Result<LocalKey> {
    let fresh = || LocalKey(Entropy::System.next_secret());
    let Some(folder) = folder else { return Ok(fresh()) };
    let path = folder.join(SECRETS_KEY);
    if path.exists() {
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
        return text.trim().parse().with_context(|| format!("`{}` is damaged", path.display()));
    }
    let key = fresh();
    write(folder, SECRETS_KEY, (key.to_hex() + "\n").as_bytes())?;
    Ok(key)
}

/// The account and key of last time, or new ones. What is found is written to the folder.
pub(super) async fn find_or_make(
    system: &System,
    folder: Option<&Path>,
    base_url: &str,
) -> anyhow::Result<(Ready, AccountId)> {
    let before = folder.map(Ready::read).transpose()?.flatten();
    let found = match &before {
        Some(before) => find(system, before).await?,
        None => None,
    };
    let (account, api_key) = match found {
        Some((account, Some(key))) => (account, key),
        Some((account, None)) => {
            let key = system.make_key(&account, true, vec![Scope::Admin]).await?;
            (account, key.text.expose_secret().to_owned())
        }
        None => {
            let (account, key) = system.make_account().await?;
            (account, key.text.expose_secret().to_owned())
        }
    };
    let ready = Ready {
        base_url: base_url.to_owned(),
        api_key,
        account_id: account.id.to_string(),
        inbox_url: format!("{base_url}/inbox"),
        aws_endpoint: system.aws.endpoint().to_owned(),
    };
    if let Some(folder) = folder {
        ready.write(folder)?;
    }
    Ok((ready, account.id))
}

/// The account of last time, if its data is still there, and its key, unless that was revoked.
async fn find(
    system: &System,
    before: &Ready,
) -> anyhow::Result<Option<(Account, Option<String>)>> {
    let Ok(id) = before.account_id.parse::<AccountId>() else { return Ok(None) };
    let Some(account) = system.store.get::<Account>(keys::account(id)).await? else {
        return Ok(None);
    };
    let key_id = before.api_key.split('_').nth(2).unwrap_or_default();
    let key = match format!("key_{key_id}").parse::<KeyId>() {
        Ok(id) => system.store.get::<ApiKey>(keys::api_key(id)).await?,
        Err(_) => None,
    };
    Ok(Some((account, key.map(|_| before.api_key.clone()))))
}

impl Ready {
    /// What the last start wrote to `folder`, if there was one.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let ready = serde_json::from_slice(&text);
        ready.with_context(|| format!("`{}` is damaged; remove it", path.display())).map(Some)
    }

    /// One line of JSON.
    pub(super) fn line(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write(folder, FILE, serde_json::to_string_pretty(self)?.as_bytes())
    }
}

/// Replaces a file as a whole, so that a crash leaves the old one or the new one.
pub(super) fn write(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
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
