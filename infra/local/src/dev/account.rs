//! Whose the local stack is: an account and a key that may do everything, kept over restarts.
//!
//! `dev.json` in the data folder holds what `--json` prints. It is written anew by every start,
//! for its addresses change; the account and the key are taken from the one that is there.

use answerback::{
    domain::{Account, AccountId, ApiKey, KeyId, Owner, Scope},
    store::keys,
};
use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::System;
use local_aws::atomic_file;

/// The file in the data folder.
const FILE: &str = "dev.json";

/// Where a running stack is found, and what opens it.
#[derive(Deserialize, Serialize)]
pub struct Ready {
    /// Where the API is.
    pub base_url: String,
    /// A key that may do everything.
    pub api_key: String,
    /// Whose key it is.
    pub account_id: String,
    /// The built-in receiver.
    pub inbox_url: String,
    /// DynamoDB, SQS, EventBridge and KMS.
    pub aws_endpoint: String,
}

/// Makes the data folder, if it is missing, for nobody else to look into.
pub(super) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))
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
            let key = system.make_key(Owner::live(account.id), vec![Scope::Admin]).await?;
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
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
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
        atomic_file::replace(folder, FILE, serde_json::to_string_pretty(self)?.as_bytes())
    }
}
