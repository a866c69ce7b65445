//! `answerback keys create`: the only way to the first key, which the API needs.

use answerback::{
    domain::{
        AccountId, ApiKey, EmailPattern, Mode, Scope,
        account::{ASKS_PER_HOUR_MAX, CALLS_PER_MINUTE_MAX},
    },
    platform::{Clock, Entropy},
    service::{NewKey, new_account},
};
use std::{
    io::{self, Write as _},
    str::FromStr,
};

use anyhow::Context as _;
use clap::value_parser;
use secrecy::ExposeSecret as _;

use crate::{dev::LocalFlags, target::Target};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback keys create --account new --scopes requests:read,requests:write,webhooks:read,webhooks:write,secrets:read
  answerback keys create --account acct_01jd… --scopes admin --test
  answerback keys create --account acct_01jd… --agent --recipients '*@corp.example' ada@example.com
  TABLE_NAME=answerback-Table-1ABC SECRETS_KEY_ID=1234abcd-… AWS_REGION=eu-central-1 \\
    answerback keys create --account new --scopes admin

A new deployment has no account. Create one with `--account new`.";

/// Requests per hour of an agent, by default. An agent in a loop must not flood people.
const AGENT_ASKS_PER_HOUR: u32 = 60;

/// The flags of `answerback keys create`.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Account of the key: `acct_…`, or `new` to create one
    #[arg(long)]
    account: AccountChoice,
    /// Scopes, separated by commas: requests:read, requests:ask, links:read, answers:write,
    /// requests:write for these three, events:write, webhooks:read, webhooks:write, notifiers:read,
    /// notifiers:write, secrets:read, keys:write, or admin for all
    #[arg(long, required_unless_present = "agent", value_delimiter = ',', value_parser = scope)]
    scopes: Vec<Scope>,
    /// Create a key for an agent or a CI job: requests:read and requests:ask. It sees no answer link,
    /// never answers, and sees only requests that it made
    #[arg(long, conflicts_with = "scopes")]
    agent: bool,
    /// Recipients that an agent may ask: addresses, or patterns such as `*@corp.example` [default: all]
    #[arg(long, requires = "agent", conflicts_with = "scopes", value_name = "PATTERN",
        num_args = 1.., value_delimiter = ',', value_parser = pattern)]
    recipients: Vec<EmailPattern>,
    /// Most requests that an agent may create in an hour [default: 60]
    #[arg(long, requires = "agent", conflicts_with = "scopes", value_name = "REQUESTS",
        value_parser = value_parser!(u32).range(1..=ASKS_PER_HOUR_MAX.into()))]
    asks_per_hour: Option<u32>,
    /// Create a test key (`ab_test_…`): everything created with it has `livemode: false`
    #[arg(long)]
    test: bool,
    /// Rate limit in calls per minute [default: unlimited]
    #[arg(long, value_name = "CALLS", value_parser = value_parser!(u32).range(1..=CALLS_PER_MINUTE_MAX.into()))]
    rate_limit: Option<u32>,
    #[command(flatten)]
    local: LocalFlags,
}

/// The account of a new key.
#[derive(Clone, Copy, Debug)]
enum AccountChoice {
    New,
    Existing(AccountId),
}

/// Creates a key. Prints the key alone on stdout, and notes on stderr.
pub(crate) async fn create(create: Create) -> anyhow::Result<()> {
    let target = Target::open(&create.local).await?;
    let created = create_in(&target, &create).await;
    target.close().await;
    created
}

async fn create_in(target: &Target, create: &Create) -> anyhow::Result<()> {
    Scope::check(&create.scopes()).context("--scopes")?;
    let (now, entropy) = (Clock::System.now(), Entropy::System);
    let account = match create.account {
        AccountChoice::New => {
            let vault = target.vault.as_ref().context(
                "`SECRETS_KEY_ID` must be set to create an account; the stack's output `NextCommand` \
                 contains it",
            )?;
            let account = new_account(now, &entropy, vault).await?;
            // The id is new, so an existing item is this one, written by a retry.
            let _ = target.store.create(&account).await?;
            account.id
        }
        AccountChoice::Existing(id) => target.account(id).await?.id,
    };
    let NewKey { key, text } = NewKey::make(
        answerback::domain::Owner { account, mode: Mode::of_livemode(!create.test) },
        create.scopes(),
        now,
        &entropy,
    );
    let key = create.restrict(key);
    let _ = target.store.create(&key).await?;

    let scopes: Vec<_> = key.scopes.iter().map(|it| it.as_str()).collect();
    eprintln!("Created key {} for account {account} with {}.", key.id, scopes.join(", "));
    eprintln!("Store it now: it cannot be shown again.");
    writeln!(io::stdout(), "{}", text.expose_secret()).context("cannot print the key")
}

impl Create {
    fn scopes(&self) -> Vec<Scope> {
        if self.agent { Scope::AGENT.to_vec() } else { self.scopes.clone() }
    }

    /// The key with the limits of the flags.
    fn restrict(&self, key: ApiKey) -> ApiKey {
        let key = key.limited(self.rate_limit);
        if !self.agent {
            return key;
        }
        let recipients = Some(self.recipients.clone()).filter(|it| !it.is_empty());
        ApiKey { recipients_allowed: recipients, ..key }
            .limited_in_asks(Some(self.asks_per_hour.unwrap_or(AGENT_ASKS_PER_HOUR)))
    }
}

impl FromStr for AccountChoice {
    type Err = answerback::domain::id::ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "new" { Ok(Self::New) } else { text.parse().map(Self::Existing) }
    }
}

fn pattern(text: &str) -> Result<EmailPattern, String> {
    EmailPattern::parse(text)
        .ok_or_else(|| "must be an address or a pattern such as `*@corp.example`".to_owned())
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| {
        let all: Vec<_> = Scope::ALL.iter().map(|it| it.as_str()).collect();
        format!("must be one of {}", all.join(", "))
    })
}
