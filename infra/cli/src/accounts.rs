//! `answerback accounts limit`: the operator's limits on pending requests and on messages.
//! `answerback accounts shards`: more write capacity for an account's list of deliveries.
//! `answerback accounts allow-from`: the addresses that an account may send mail from by Amazon SES.

use std::convert::Infallible;

use answerback::{
    domain::{
        Account, AccountId, EmailPattern,
        account::{LIST_SHARDS_MAX, PENDING_REQUESTS_MAX, TooManySenders},
    },
    store::{AdvanceError, advance},
};
use anyhow::{Context as _, anyhow, ensure};

use crate::{dev::LocalFlags, target::Target};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback accounts limit --account acct_01jd… --max-pending 1000
  answerback accounts limit --account acct_01jd… --max-pending none
  answerback accounts limit --account acct_01jd… --messages-per-hour 5000
  TABLE_NAME=answerback-Table-1ABC AWS_REGION=eu-central-1 \\
    answerback accounts limit --account acct_01jd… --max-pending 1000";

pub(crate) const SHARDS_EXAMPLES: &str = "\
Examples:
  answerback accounts shards --account acct_01jd… --shards 32
  TABLE_NAME=answerback-Table-1ABC AWS_REGION=eu-central-1 \\
    answerback accounts shards --account acct_01jd… --shards 32";

pub(crate) const SENDERS_EXAMPLES: &str = "\
Examples:
  answerback accounts allow-from acct_01jd… '*@acme.example'
  answerback accounts allow-from acct_01jd… ci@acme.example --remove
  TABLE_NAME=answerback-Table-1ABC AWS_REGION=eu-central-1 \\
    answerback accounts allow-from acct_01jd… '*@acme.example'";

/// The flags of `answerback accounts limit`.
#[derive(Debug, clap::Args)]
#[group(id = "limits", required = true, multiple = true, args = ["max_pending", "messages_per_hour"])]
pub(crate) struct Limit {
    /// Account to limit
    #[arg(long)]
    account: AccountId,
    /// Most pending requests, live and test together: 0 to 10,000, or `none`
    #[arg(long, value_name = "REQUESTS", value_parser = max_pending)]
    max_pending: Option<MaxPending>,
    /// Most messages to recipients that its calls may ask for in an hour, 600 at first
    #[arg(long, value_name = "MESSAGES")]
    messages_per_hour: Option<u32>,
    #[command(flatten)]
    local: LocalFlags,
}

/// The flags of `answerback accounts shards`.
#[derive(Debug, clap::Args)]
pub(crate) struct Shards {
    /// Account to spread
    #[arg(long)]
    account: AccountId,
    /// Number of shards: at most 32, and not fewer than the account has
    #[arg(long = "shards", value_parser = clap::value_parser!(u32).range(1..=i64::from(LIST_SHARDS_MAX)))]
    number: u32,
    #[command(flatten)]
    local: LocalFlags,
}

/// The arguments of `answerback accounts allow-from`.
#[derive(Debug, clap::Args)]
pub(crate) struct AllowFrom {
    /// Account that sends
    account: AccountId,
    /// Address, with `*` for any characters before the at sign, or for any labels at the start of the
    /// domain
    #[arg(required = true, value_name = "PATTERN", value_parser = pattern)]
    patterns: Vec<EmailPattern>,
    /// Remove the patterns
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    local: LocalFlags,
}

/// The limit. `None` means unlimited.
#[derive(Clone, Copy, Debug)]
struct MaxPending(Option<u32>);

/// Sets the limits. Functions that cache the account see it within seconds.
pub(crate) async fn limit(limit: Limit) -> anyhow::Result<()> {
    let target = Target::open(&limit.local).await?;
    let set = set_in(&target, &limit).await;
    target.close().await;
    set
}

async fn set_in(target: &Target, limit: &Limit) -> anyhow::Result<()> {
    let mut account = target.account(limit.account).await?;
    if let Some(MaxPending(max)) = limit.max_pending {
        let step = |it: &Account| Ok::<_, Infallible>(it.cap(max));
        account = advance(&target.store, account, step).await.map_err(failure)?;
        let max = max.map_or("unlimited".to_owned(), |it| format!("at most {it}"));
        eprintln!("Set the limit on pending requests of {}: {max}.", account.id);
    }
    if let Some(max) = limit.messages_per_hour {
        let step = |it: &Account| Ok::<_, Infallible>(it.limit_messages(max));
        account = advance(&target.store, account, step).await.map_err(failure)?;
        eprintln!("Set the limit on messages of {}: at most {max} an hour.", account.id);
    }
    Ok(())
}

/// Spreads an account's list of deliveries. Functions that cache the account see it within seconds.
pub(crate) async fn spread(shards: Shards) -> anyhow::Result<()> {
    let target = Target::open(&shards.local).await?;
    let spread = spread_in(&target, &shards).await;
    target.close().await;
    spread
}

async fn spread_in(target: &Target, shards: &Shards) -> anyhow::Result<()> {
    let account = target.account(shards.account).await?;
    let account = advance(&target.store, account, |it| it.spread(shards.number)).await;
    let account = account.map_err(failure)?;
    eprintln!("The list of deliveries of {} has {} shards.", account.id, account.n_list_shards);
    Ok(())
}

/// Allows or removes senders. Functions that cache the account see it within seconds.
pub(crate) async fn allow_from(allow: AllowFrom) -> anyhow::Result<()> {
    let target = Target::open(&allow.local).await?;
    let allowed = allow_in(&target, &allow).await;
    target.close().await;
    allowed
}

async fn allow_in(target: &Target, allow: &AllowFrom) -> anyhow::Result<()> {
    let AllowFrom { patterns, remove, .. } = allow;
    let account = target.account(allow.account).await?;
    let step = |it: &Account| -> Result<Option<Account>, TooManySenders> {
        if *remove { Ok(it.remove_senders(patterns)) } else { it.allow_senders(patterns) }
    };
    let account = advance(&target.store, account, step).await.map_err(failure)?;
    let senders: Vec<String> = account.allowed_senders.iter().map(ToString::to_string).collect();
    let senders = if senders.is_empty() { "no address".to_owned() } else { senders.join(", ") };
    eprintln!("{} may send from {senders}.", account.id);
    Ok(())
}

fn pattern(text: &str) -> anyhow::Result<EmailPattern> {
    EmailPattern::parse(text).context("must be an address or a pattern such as *@acme.example")
}

fn failure(err: AdvanceError<impl Into<anyhow::Error>>) -> anyhow::Error {
    match err {
        AdvanceError::Refused(err) => err.into(),
        AdvanceError::Store(err) => err.into(),
        AdvanceError::Gone | AdvanceError::Contended => {
            anyhow!("the account changed at the same time; try again")
        }
    }
}

fn max_pending(text: &str) -> anyhow::Result<MaxPending> {
    if text == "none" {
        return Ok(MaxPending(None));
    }
    let max: u32 = text.parse()?;
    ensure!(
        max <= PENDING_REQUESTS_MAX,
        "must be at most {PENDING_REQUESTS_MAX} (got {max}), or `none`"
    );
    Ok(MaxPending(Some(max)))
}
