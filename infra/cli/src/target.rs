//! The table that an operator's command works on.
//!
//! | target | condition |
//! |--------|-----------|
//! | the deployed table `TABLE_NAME` | the variable is set, and `--data-dir` is not given |
//! | the data of a local stack | otherwise |

use std::sync::Arc;

use answerback::{
    domain::{Account, AccountId, account::LIST_SHARDS},
    platform::{Config, Sdk, Vault, config::optional},
    store::{DynamoDb, Layout, Store, keys},
};
use anyhow::Context as _;

use crate::dev::{LocalFlags, LocalTable};

/// A table and the vault of its secrets.
pub(crate) struct Target {
    pub(crate) store: Store,
    /// `None` if `SECRETS_KEY_ID` is not set.
    pub(crate) vault: Option<Vault>,
    local: Option<LocalTable>,
}

impl Target {
    /// Opens the target that the flags and the environment choose.
    pub(crate) async fn open(flags: &LocalFlags) -> anyhow::Result<Self> {
        let table: Option<String> = optional("TABLE_NAME")?;
        if table.is_some() && !flags.are_given() {
            return Self::deployed();
        }
        let local = flags.open().await?;
        Ok(Self { store: local.store(), vault: Some(local.vault()), local: Some(local) })
    }

    fn deployed() -> anyhow::Result<Self> {
        let config = Config::from_env()?;
        let sdk = Sdk::from_env().context(
            "cannot connect to the deployed table (after `aws login` or `aws sso login`, \
             `eval \"$(aws configure export-credentials --format env)\"` sets the credentials)",
        )?;
        let layout = Layout {
            n_due_shards: config.n_due_shards,
            n_list_shards: LIST_SHARDS,
            retention: config.retention,
        };
        let table = DynamoDb::new(sdk.dynamodb(), &config.table);
        // Only a new account needs the vault, so the key is optional.
        let vault = config.secrets_key_id.map(|it| Vault::kms(sdk.kms(), it));
        Ok(Self { store: Store::new(Arc::new(table), layout), vault, local: None })
    }

    /// Loads the account `id`.
    pub(crate) async fn account(&self, id: AccountId) -> anyhow::Result<Account> {
        let account: Option<Account> = self.store.get(keys::account(id)).await?;
        account.with_context(|| {
            format!(
                "account {id} not found; create one with `answerback keys create --account new`"
            )
        })
    }

    /// Closes the target. Everything that was written is on disk.
    pub(crate) async fn close(self) {
        if let Some(local) = self.local {
            local.close().await;
        }
    }
}
