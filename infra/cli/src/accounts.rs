//! `answerback accounts limit`: what an operator sets for somebody.

use std::{convert::Infallible, path::PathBuf};

use answerback::{
    domain::{AccountId, account::PENDING_REQUESTS_MAX},
    store::{AdvanceError, advance},
};
use anyhow::{bail, ensure};

use crate::target::Target;

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback accounts limit --account acct_01jd… --max-pending 1000
  answerback accounts limit --account acct_01jd… --max-pending none
  TABLE_NAME=answerback-Table-1ABC AWS_REGION=eu-central-1 \\
    answerback accounts limit --account acct_01jd… --max-pending 1000";

/// Which limit of whom, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Limit {
    /// Whose
    #[arg(long)]
    account: AccountId,
    /// How many requests may be pending at once, live and test together: 0 to 10,000, or `none`
    #[arg(long, value_name = "REQUESTS", value_parser = cap)]
    max_pending: Cap,
    /// Folder of the local stack [default: .answerback]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// At most so many, or as many as they like.
#[derive(Clone, Copy, Debug)]
struct Cap(Option<u32>);

/// Sets the limit. It counts within seconds, wherever the account is remembered.
pub(crate) async fn limit(limit: Limit) -> anyhow::Result<()> {
    let place = Target::open(limit.data_dir.as_deref()).await?;
    let set = set(&limit, &place).await;
    place.close().await;
    set
}

async fn set(limit: &Limit, place: &Target) -> anyhow::Result<()> {
    let Cap(max) = limit.max_pending;
    let account = place.account(limit.account).await?;
    match advance(&place.store, account, |it| Ok::<_, Infallible>(it.cap(max))).await {
        Ok(account) => {
            let max = max.map_or("as many as it likes".to_owned(), |it| format!("at most {it}"));
            eprintln!("Pending requests of {}: {max}.", account.id);
            Ok(())
        }
        Err(AdvanceError::Store(err)) => Err(err.into()),
        Err(AdvanceError::Gone | AdvanceError::Contended) => {
            bail!("others were changing the account; try again")
        }
    }
}

fn cap(text: &str) -> anyhow::Result<Cap> {
    if text == "none" {
        return Ok(Cap(None));
    }
    let max = text.parse()?;
    ensure!(max <= PENDING_REQUESTS_MAX, "at most {PENDING_REQUESTS_MAX}, or `none`");
    Ok(Cap(Some(max)))
}
