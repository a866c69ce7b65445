//! The account of the local stack and its key, which survive restarts.
//!
//! `dev.json` in the data folder has the same content as the output of `--json`. Every start rewrites
//! it, because addresses change. The account and the key come from the existing file.

use answerback::{
    domain::{Account, AccountId, ApiKey, KeyId, Owner, Scope},
    platform::Sdk,
    store::keys,
};
use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use local_aws::atomic_file;

use super::{SmtpCatcher, notifier};
use crate::{System, system::NewAccount};

/// The file in the data folder.
const FILE: &str = "dev.json";

/// The addresses and the API key of a running stack.
#[derive(Deserialize, Serialize)]
pub struct Ready {
    /// The base URL of the API.
    pub base_url: String,
    /// An API key with the scope `admin`.
    pub api_key: String,
    /// The account of the key.
    pub account_id: String,
    /// The URL of the built-in receiver.
    pub inbox_url: String,
    /// The URL of the mails that were sent.
    pub outbox_url: String,
    /// The endpoint of the emulated DynamoDB, SQS, EventBridge, KMS and SES.
    pub aws_endpoint: String,
    /// The access key id that the emulated AWS accepts until the stack stops.
    pub aws_access_key_id: String,
    /// Its secret.
    pub aws_secret_access_key: String,
}

/// The account that a local stack runs with.
pub(super) struct LocalAccount {
    pub(super) id: AccountId,
    pub(super) ready: Ready,
}

/// The account of the last start.
struct Found {
    account: Account,
    /// Its key, unless that was revoked.
    key: Option<String>,
}

/// Creates the data folder, if it is missing. Only its owner may read it.
pub(super) fn create_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot create the folder `{}`", folder.display()))
}

/// Finds the account and key of the last start, or creates new ones, and writes them to the folder.
pub(super) async fn find_or_create(
    system: &System,
    folder: Option<&Path>,
    base_url: &str,
    catcher: Option<&SmtpCatcher>,
) -> anyhow::Result<LocalAccount> {
    let last = folder.map(Ready::read).transpose()?.flatten();
    let found = match &last {
        Some(last) => find(system, last).await?,
        None => None,
    };
    let (account, api_key) = match found {
        Some(Found { account, key: Some(key) }) => (account, key),
        Some(Found { account, key: None }) => {
            let key = system.make_key(Owner::live(account.id), vec![Scope::Admin]).await?;
            (account, key.text.expose_secret().to_owned())
        }
        None => {
            let NewAccount { account, key } = system.make_account().await?;
            (account, key.text.expose_secret().to_owned())
        }
    };
    notifier::find_or_create(system, &account, catcher).await?;
    let credentials = system.aws.credentials();
    let ready = Ready {
        base_url: base_url.to_owned(),
        api_key,
        account_id: account.id.to_string(),
        inbox_url: format!("{base_url}/inbox"),
        outbox_url: format!("{base_url}/outbox"),
        aws_endpoint: system.aws.endpoint().to_owned(),
        aws_access_key_id: credentials.access_key_id.clone(),
        aws_secret_access_key: credentials.secret_access_key.clone(),
    };
    if let Some(folder) = folder {
        ready.write(folder)?;
    }
    Ok(LocalAccount { id: account.id, ready })
}

/// Finds the account of the last start, if its data still exists.
async fn find(system: &System, last: &Ready) -> anyhow::Result<Option<Found>> {
    let Ok(id) = last.account_id.parse::<AccountId>() else { return Ok(None) };
    let Some(account) = system.store.get::<Account>(keys::account(id)).await? else {
        return Ok(None);
    };
    let key_id = last.api_key.split('_').nth(2).unwrap_or_default();
    let key = match format!("key_{key_id}").parse::<KeyId>() {
        Ok(id) => system.store.get::<ApiKey>(keys::api_key(id)).await?,
        Err(_) => None,
    };
    Ok(Some(Found { account, key: key.map(|_| last.api_key.clone()) }))
}

impl Ready {
    /// Clients of the emulated AWS of the running stack.
    pub fn sdk(&self) -> Sdk {
        Sdk::local(&self.aws_endpoint, &self.aws_access_key_id, &self.aws_secret_access_key)
    }

    /// Reads what the last start wrote to `folder`, if anything.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let ready = serde_json::from_slice(&text);
        ready.with_context(|| format!("`{}` is malformed; remove it", path.display())).map(Some)
    }

    /// One line of JSON.
    pub(super) fn to_line(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        atomic_file::replace(folder, FILE, serde_json::to_string_pretty(self)?.as_bytes())
    }
}
