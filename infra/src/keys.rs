//! `answerback keys create`: the way in, for there is no API before the first key.
//!
//! | where | when | how |
//! |-------|------|-----|
//! | a deployed table | `TABLE_NAME` is set, and no `--data-dir` | as the functions do, by the environment |
//! | a running local stack | the folder is in use | through its DynamoDB, whose address the folder holds |
//! | a folder of a stopped one | else | by opening it |

use std::{
    fs::{File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use answerback::{
    domain::{Account, AccountId, Scope},
    service::{
        Clock, Config, Entropy, NewKey, Sdk, Vault,
        config::{DUE_SHARDS, RETENTION_DAYS, optional},
        new_account,
    },
    store::{DynamoDb, Layout, Store, keys},
};
use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use crate::{
    aws::{Aws, Data, KEY},
    dev::{DATA_DIR, Ready},
    table,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback keys create --account new --scopes requests:read,requests:write,webhooks:read,webhooks:write,secrets:read
  answerback keys create --account acct_01jd… --scopes admin --test
  TABLE_NAME=answerback-Table-1ABC SECRETS_KEY_ID=1234abcd-… AWS_REGION=eu-central-1 \\
    answerback keys create --account new --scopes admin

A fresh deployment has no account: make one with `--account new`.";

/// Which key to make, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Whose key it is: `acct_…`, or `new` for an account of its own
    #[arg(long)]
    account: Owner,
    /// What it opens, separated by commas: requests:read, requests:write, events:write,
    /// webhooks:read, webhooks:write, secrets:read, keys:write, or admin for all
    #[arg(long, required = true, value_delimiter = ',', value_parser = scope)]
    scopes: Vec<Scope>,
    /// A key for tests (`ab_test_…`): what is made with it is marked `livemode: false`
    #[arg(long)]
    test: bool,
    /// Folder of the local stack [default: .answerback]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Whose a key is to be.
#[derive(Clone, Copy, Debug)]
enum Owner {
    New,
    Existing(AccountId),
}

/// Makes a key and prints it: the key alone on stdout, what to know of it on stderr.
pub(crate) async fn create(create: Create) -> anyhow::Result<()> {
    let table: Option<String> = optional("TABLE_NAME")?;
    if create.data_dir.is_none() && table.is_some() {
        let config = Config::from_env()?;
        let sdk = Sdk::from_env().context(
            "cannot reach the deployed table (after `aws login` and the like, \
             `eval \"$(aws configure export-credentials --format env)\"` sets the credentials)",
        )?;
        let layout = Layout { n_due_shards: config.n_due_shards, retention: config.retention };
        // An account that is there has its secret already.
        let vault = config.secrets_key_id.map(|it| Vault::kms(sdk.kms(), it));
        return make(&create, &store(&sdk, &config.table, layout), vault).await;
    }

    let folder = create.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR));
    let layout = Layout {
        n_due_shards: DUE_SHARDS,
        retention: Duration::from_hours(24 * u64::from(RETENTION_DAYS)),
    };
    if is_in_use(folder)? {
        let ready = Ready::read(folder)?.context("the local stack is still starting")?;
        let sdk = Sdk::local(&ready.aws_endpoint);
        let vault = Vault::kms(sdk.kms(), KEY);
        return make(&create, &store(&sdk, table::NAME, layout), Some(vault)).await;
    }
    let aws = Aws::start(Data::Folder(folder.to_owned()), None, Clock::System).await?;
    let sdk = Sdk::local(aws.endpoint());
    let vault = Vault::kms(sdk.kms(), KEY);
    let made = make(&create, &store(&sdk, table::NAME, layout), Some(vault)).await;
    aws.stop().await;
    made
}

fn store(sdk: &Sdk, table: &str, layout: Layout) -> Store {
    Store::new(Arc::new(DynamoDb::new(sdk.dynamodb(), table)), layout)
}

async fn make(create: &Create, store: &Store, vault: Option<Vault>) -> anyhow::Result<()> {
    let (now, entropy) = (Clock::System.now(), Entropy::System);
    let account = match create.account {
        Owner::New => {
            let vault = vault.context(
                "`SECRETS_KEY_ID` must be set, to what seals the account's secret: the stack's output \
                 `NextCommand` has it",
            )?;
            let account = new_account(now, &entropy, &vault).await?;
            // A fresh identifier is nobody else's, so whatever is found there is this.
            let _ = store.create(&account).await?;
            account.id
        }
        Owner::Existing(id) => {
            let account: Option<Account> = store.get(keys::account(id)).await?;
            account
                .with_context(|| format!("there is no account {id}; `--account new` makes one"))?
                .id
        }
    };
    let new = NewKey::make(account, !create.test, create.scopes.clone(), now, &entropy);
    let _ = store.create(&new.key).await?;

    let scopes: Vec<_> = create.scopes.iter().map(|it| it.as_str()).collect();
    eprintln!("Key {} of account {account}, for {}.", new.key.id, scopes.join(", "));
    eprintln!("It is shown this once: only a hash of it is kept.");
    writeln!(io::stdout(), "{}", new.text.expose_secret()).context("cannot print the key")
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

impl FromStr for Owner {
    type Err = answerback::domain::id::ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "new" { Ok(Self::New) } else { text.parse().map(Self::Existing) }
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| {
        let all: Vec<_> = Scope::ALL.iter().map(|it| it.as_str()).collect();
        format!("a scope is one of {}", all.join(", "))
    })
}
