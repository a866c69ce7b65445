//! Limits of accounts and keys, for those that have one.
//!
//! | limit            | of                         | is counted by                                |
//! |------------------|----------------------------|----------------------------------------------|
//! | calls per minute | a key and its descendants  | one item per key and minute                  |
//! | pending requests | an account, live and test  | rows of an index, which end with the request |
//!
//! Limits protect other accounts from a caller that has run wild. They are not locks: if the table
//! does not respond, calls are allowed. Without a limit nothing is counted and nothing is written.

use jiff::Timestamp;

use super::Accounts;
use crate::{
    api::{Code, Problem},
    domain::{ApiKey, Owner, account::CallLimit},
    store::Counted,
};

/// Length of the window in which calls are counted.
const WINDOW_SECONDS: i64 = 60;
/// `Retry-After` for a caller with too many pending requests.
const PENDING_RETRY_SECONDS: u32 = 60;

impl Accounts {
    /// Counts a call with `key`, and refuses it if the key, or one that it descends from, has used up
    /// this minute.
    pub(super) async fn count(&self, key: &ApiKey) -> Result<(), Problem> {
        for limit in &key.limits {
            self.count_in(*limit).await?;
        }
        Ok(())
    }

    async fn count_in(&self, CallLimit { key, per_minute: max }: CallLimit) -> Result<(), Problem> {
        let now = self.clock.now();
        let minute = now.as_second().div_euclid(WINDOW_SECONDS);
        let ends_at = Timestamp::from_second((minute + 1) * WINDOW_SECONDS).unwrap_or(now);
        // A caller that ignores 429 causes no more writes to the one item that counts.
        let is_limited = self.limited.get(&key, now) == Some(ends_at);
        if is_limited {
            return Err(rate_limited(max, ends_at, now));
        }
        match self.store.count_call(key, minute, max).await {
            Ok(Counted::Counted) => Ok(()),
            Ok(Counted::Full) => {
                self.limited.insert(key, ends_at, now);
                Err(rate_limited(max, ends_at, now))
            }
            Err(err) => {
                log_skipped_limit(&err);
                Ok(())
            }
        }
    }

    /// Refuses another pending request if the account has reached its limit. Returns whether the
    /// request has to be counted: it has to if the account has a limit.
    ///
    /// Calls at the same moment do not see each other, so the limit may be exceeded by a few.
    pub async fn check_pending_limit(&self, owner: Owner) -> Result<bool, Problem> {
        let account = self.account_of(owner).await?;
        let Some(max) = account.max_pending_requests else { return Ok(false) };
        match self.store.n_pending(account.id, max).await {
            Ok(n_pending) if n_pending < max => Ok(true),
            Ok(_) => {
                let detail = format!("limit of {max} pending requests reached");
                Err(Problem::new(Code::TooManyPendingRequests, detail)
                    .retry_after(PENDING_RETRY_SECONDS))
            }
            Err(err) => {
                log_skipped_limit(&err);
                Ok(true)
            }
        }
    }
}

fn rate_limited(max: u32, ends_at: Timestamp, now: Timestamp) -> Problem {
    let detail = format!("rate limit of {max} calls per minute exceeded");
    let wait = u32::try_from(ends_at.as_second() - now.as_second()).unwrap_or(1);
    Problem::new(Code::RateLimited, detail).retry_after(wait.max(1))
}

fn log_skipped_limit(err: &crate::store::Error) {
    let error = err as &(dyn std::error::Error + 'static);
    tracing::warn!(error, "could not count calls or requests; skipped the limit");
}
