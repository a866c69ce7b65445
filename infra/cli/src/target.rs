//! The table that an operator's command is about.
//!
//! | where | when | how |
//! |-------|------|-----|
//! | a deployed table | `TABLE_NAME` is set, and no `--data-dir` | as the functions do, by the environment |
//! | a running local stack | the folder is in use | through its DynamoDB, whose address the folder holds |
//! | a folder of a stopped one | else | by opening it |

use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::Arc,
    time::Duration,
};

use answerback::{
    domain::{Account, AccountId},
    platform::{
        Clock, Config, Sdk, Vault,
        config::{DUE_SHARDS, RETENTION_DAYS, optional},
    },
    store::{DynamoDb, Layout, Store, keys},
};
use anyhow::Context as _;

use local::{
    TABLE,
    dev::{DATA_DIR, Ready},
};
use local_aws::{Aws, Data, KEY};

/// A table, and what else is needed to write into it.
pub(crate) struct Target {
    pub(crate) store: Store,
    /// What seals secrets, where that is known.
    pub(crate) vault: Option<Vault>,
    /// What serves the table, where that is this process.
    aws: Option<Aws>,
}

impl Target {
    /// The deployed table that the environment names, or that of the local stack in `data_dir`.
    pub(crate) async fn open(data_dir: Option<&Path>) -> anyhow::Result<Self> {
        let table: Option<String> = optional("TABLE_NAME")?;
        if data_dir.is_none() && table.is_some() {
            let config = Config::from_env()?;
            let sdk = Sdk::from_env().context(
                "cannot reach the deployed table (after `aws login` and the like, \
                 `eval \"$(aws configure export-credentials --format env)\"` sets the credentials)",
            )?;
            let layout = Layout { n_due_shards: config.n_due_shards, retention: config.retention };
            // An account that is there has its secret already.
            let vault = config.secrets_key_id.map(|it| Vault::kms(sdk.kms(), it));
            return Ok(Self { store: store(&sdk, &config.table, layout), vault, aws: None });
        }

        let folder = data_dir.unwrap_or(Path::new(DATA_DIR));
        let layout = Layout {
            n_due_shards: DUE_SHARDS,
            retention: Duration::from_hours(24 * u64::from(RETENTION_DAYS)),
        };
        let (sdk, aws) = if is_in_use(folder)? {
            let ready = Ready::read(folder)?.context("the local stack is still starting")?;
            (Sdk::local(&ready.aws_endpoint), None)
        } else {
            let aws = Aws::start(Data::Folder(folder.to_owned()), None, Clock::System).await?;
            (Sdk::local(aws.endpoint()), Some(aws))
        };
        let vault = Some(Vault::kms(sdk.kms(), KEY));
        Ok(Self { store: store(&sdk, TABLE, layout), vault, aws })
    }

    /// The account called `id`, which must be there.
    pub(crate) async fn account(&self, id: AccountId) -> anyhow::Result<Account> {
        let account: Option<Account> = self.store.get(keys::account(id)).await?;
        account.with_context(|| {
            format!("there is no account {id}; `keys create --account new` makes one")
        })
    }

    /// Leaves it, with all that was written in it.
    pub(crate) async fn close(self) {
        if let Some(aws) = self.aws {
            aws.stop().await;
        }
    }
}

fn store(sdk: &Sdk, table: &str, layout: Layout) -> Store {
    Store::new(Arc::new(DynamoDb::new(sdk.dynamodb(), table)), layout)
}

/// Whether a local stack runs on this folder.
fn is_in_use(folder: &Path) -> anyhow::Result<bool> {
    let lock = File::open(folder.join("lock")).with_context(|| {
        format!(
            "there is no local stack in `{}`: run `answerback dev` first, or set TABLE_NAME for a \
             deployed table",
            folder.display()
        )
    })?;
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(err)) => Err(err).context("cannot look at the folder's lock"),
    }
}
