//! How much an account and its keys may do, where somebody has set a limit.
//!
//! | limit                | is                        | counts                                       |
//! |----------------------|---------------------------|----------------------------------------------|
//! | calls a minute       | its key's                 | one item for each minute that it was used in |
//! | requests that are pending | its account's, live and test | rows of an index, which come and go with the request |
//!
//! Without a limit nothing is counted, and nothing written. Limits keep a caller that has run wild
//! from everybody else; they are no lock: where the table does not say how much there is, a call
//! is let through.

use jiff::Timestamp;

use super::Accounts;
use crate::{
    api::{Code, Problem},
    domain::{ApiKey, Owner},
};

/// How long calls are counted together.
const WINDOW_SECONDS: i64 = 60;
/// How long somebody should wait for requests to end, in seconds.
const PENDING_RETRY_SECONDS: u32 = 60;

impl Accounts {
    /// Counts a call with `key`, and refuses it where this minute has had as many as it may.
    pub(super) async fn count(&self, key: &ApiKey) -> Result<(), Problem> {
        let Some(max) = key.rate_limit_per_minute else { return Ok(()) };
        let now = self.clock.now();
        let minute = now.as_second().div_euclid(WINDOW_SECONDS);
        let ends_at = Timestamp::from_second((minute + 1) * WINDOW_SECONDS).unwrap_or(now);
        // Who goes on and on writes no more, and does not wear out the one item that counts.
        let is_spent = self.spent.get(&key.id, now) == Some(ends_at);
        if is_spent {
            return Err(spent(max, ends_at, now));
        }
        match self.store.count_call(key.id, minute, max).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.spent.insert(key.id, ends_at, now);
                Err(spent(max, ends_at, now))
            }
            Err(err) => {
                not_known(&err);
                Ok(())
            }
        }
    }

    /// Whether another request is to be counted; refused where as many are pending as may be.
    ///
    /// Calls at the same moment do not see each other, so there may be some more than the cap.
    pub async fn room_for_a_request(&self, owner: Owner) -> Result<bool, Problem> {
        let account = self.account_of(owner).await?;
        let Some(max) = account.max_pending_requests else { return Ok(false) };
        match self.store.n_pending(account.id, max).await {
            Ok(n_pending) if n_pending < max => Ok(true),
            Ok(_) => {
                let detail =
                    format!("{max} requests are pending, and this account may have no more");
                Err(Problem::new(Code::TooManyPendingRequests, detail)
                    .retry_after(PENDING_RETRY_SECONDS))
            }
            Err(err) => {
                not_known(&err);
                Ok(true)
            }
        }
    }
}

fn spent(max: u32, ends_at: Timestamp, now: Timestamp) -> Problem {
    let detail = format!("this key may make {max} calls a minute, and has");
    let wait = u32::try_from(ends_at.as_second() - now.as_second()).unwrap_or(1);
    Problem::new(Code::RateLimited, detail).retry_after(wait.max(1))
}

fn not_known(err: &crate::store::Error) {
    let error = err as &(dyn std::error::Error + 'static);
    tracing::warn!(error, "a limit was not looked at: how much there is could not be counted");
}
