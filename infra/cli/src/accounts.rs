//! `answerback accounts limit`: the operator's limit on pending requests.
//! `answerback accounts shards`: more write capacity for an account's list of deliveries.

use std::convert::Infallible;

use answerback::{
    domain::{
        AccountId,
        account::{FewerShards, LIST_SHARDS_MAX, PENDING_REQUESTS_MAX},
    },
    store::{AdvanceError, advance},
};
use anyhow::{anyhow, ensure};

use crate::{dev::LocalFlags, target::Target};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback accounts limit --account acct_01jd… --max-pending 1000
  answerback accounts limit --account acct_01jd… --max-pending none
  TABLE_NAME=answerback-Table-1ABC AWS_REGION=eu-central-1 \\
    answerback accounts limit --account acct_01jd… --max-pending 1000";

pub(crate) const SHARDS_EXAMPLES: &str = "\
Examples:
  answerback accounts shards --account acct_01jd… --shards 32
  TABLE_NAME=answerback-Table-1ABC AWS_REGION=eu-central-1 \\
    answerback accounts shards --account acct_01jd… --shards 32";

/// The flags of `answerback accounts limit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Limit {
    /// Account to limit
    #[arg(long)]
    account: AccountId,
    /// Most pending requests, live and test together: 0 to 10,000, or `none`
    #[arg(long, value_name = "REQUESTS", value_parser = max_pending)]
    max_pending: MaxPending,
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

/// The limit. `None` means unlimited.
#[derive(Clone, Copy, Debug)]
struct MaxPending(Option<u32>);

/// Sets the limit. Functions that cache the account see it within seconds.
pub(crate) async fn limit(limit: Limit) -> anyhow::Result<()> {
    let target = Target::open(&limit.local).await?;
    let set = set_in(&target, &limit).await;
    target.close().await;
    set
}

async fn set_in(target: &Target, limit: &Limit) -> anyhow::Result<()> {
    let MaxPending(max) = limit.max_pending;
    let account = target.account(limit.account).await?;
    match advance(&target.store, account, |it| Ok::<_, Infallible>(it.cap(max))).await {
        Ok(account) => {
            let max = max.map_or("unlimited".to_owned(), |it| format!("at most {it}"));
            eprintln!("Set the limit on pending requests of {}: {max}.", account.id);
            Ok(())
        }
        Err(err) => Err(failure(err.map_refused(|never| match never {}))),
    }
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

fn failure(err: AdvanceError<FewerShards>) -> anyhow::Error {
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
