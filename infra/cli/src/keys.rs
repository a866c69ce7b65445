//! `answerback keys create`: the way in, for there is no API before the first key.

use answerback::{
    domain::{AccountId, ApiKey, Mode, Scope, account::CALLS_PER_MINUTE_MAX},
    platform::{Clock, Entropy},
    service::{NewKey, new_account},
};
use std::{
    io::{self, Write as _},
    path::PathBuf,
    str::FromStr,
};

use anyhow::Context as _;
use clap::value_parser;
use secrecy::ExposeSecret as _;

use crate::target::Target;

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
    /// How many calls it may make in a minute [default: as many as it likes]
    #[arg(long, value_name = "CALLS", value_parser = value_parser!(u32).range(1..=CALLS_PER_MINUTE_MAX.into()))]
    rate_limit: Option<u32>,
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
    let place = Target::open(create.data_dir.as_deref()).await?;
    let made = make(&create, &place).await;
    place.close().await;
    made
}

async fn make(create: &Create, place: &Target) -> anyhow::Result<()> {
    let (now, entropy) = (Clock::System.now(), Entropy::System);
    let account = match create.account {
        Owner::New => {
            let vault = place.vault.as_ref().context(
                "`SECRETS_KEY_ID` must be set, to what seals the account's secret: the stack's output \
                 `NextCommand` has it",
            )?;
            let account = new_account(now, &entropy, vault).await?;
            // A fresh identifier is nobody else's, so whatever is found there is this.
            let _ = place.store.create(&account).await?;
            account.id
        }
        Owner::Existing(id) => place.account(id).await?.id,
    };
    let NewKey { key, text } = NewKey::make(
        answerback::domain::Owner { account, mode: Mode::of_livemode(!create.test) },
        create.scopes.clone(),
        now,
        &entropy,
    );
    let key = ApiKey { rate_limit_per_minute: create.rate_limit, ..key };
    let _ = place.store.create(&key).await?;

    let scopes: Vec<_> = create.scopes.iter().map(|it| it.as_str()).collect();
    eprintln!("Key {} of account {account}, for {}.", key.id, scopes.join(", "));
    eprintln!("It is shown this once: only a hash of it is kept.");
    writeln!(io::stdout(), "{}", text.expose_secret()).context("cannot print the key")
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
