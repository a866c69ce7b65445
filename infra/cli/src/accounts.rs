//! `answerback accounts limit`: the operator's limit on pending requests.

use std::convert::Infallible;

use answerback::{
    domain::{AccountId, account::PENDING_REQUESTS_MAX},
    store::{AdvanceError, advance},
};
use anyhow::{bail, ensure};

use crate::{dev::LocalFlags, target::Target};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback accounts limit --account acct_01jd… --max-pending 1000
  answerback accounts limit --account acct_01jd… --max-pending none
  TABLE_NAME=answerback-Table-1ABC AWS_REGION=eu-central-1 \\
    answerback accounts limit --account acct_01jd… --max-pending 1000";

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
        Err(AdvanceError::Store(err)) => Err(err.into()),
        Err(AdvanceError::Gone | AdvanceError::Contended) => {
            bail!("the account changed at the same time; try again")
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
