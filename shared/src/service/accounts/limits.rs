//! Limits of accounts and keys, for those that have one.
//!
//! | limit            | of                         | is counted by                                |
//! |------------------|----------------------------|----------------------------------------------|
//! | calls per minute | a key and its descendants  | one item per key and minute                  |
//! | requests per hour | a key and its descendants | one item per key and hour                    |
//! | messages per hour | an account                | one item per account and hour                |
//! | pending requests | an account, live and test  | rows of an index, which end with the request |
//! | held calls       | each key                   | one item per key and 25 seconds              |
//!
//! Counting pending requests costs a read unit for sixty of them. Far below its cap, an account's are
//! counted once for many calls.
//!
//! Limits protect other accounts from a caller that has run wild. They are not locks: if the table
//! does not respond, calls are allowed. Messages and held calls are limited for
//! everyone. Without one of the others nothing is counted and nothing is written.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

use super::Accounts;
use crate::{
    api::{Code, Problem},
    domain::{
        ApiKey, KeyId, Owner,
        account::CallLimit,
        limits::{HELD_CALLS_MAX, WAIT_SECONDS_MAX},
    },
    store::Counted,
};

/// Length of the window in which calls are counted.
const WINDOW_SECONDS: i64 = 60;
/// Length of the window in which held calls are counted: the longest time for which one is held.
const HELD_WINDOW_SECONDS: i64 = WAIT_SECONDS_MAX as i64;
/// Time for which a count of pending requests is remembered.
pub(super) const ROOM_TTL: Duration = Duration::from_secs(5);
/// Processes that may share the room that is left below a cap, before they count again. With more of
/// them the cap may be exceeded.
const ROOM_SHARES: u32 = 50;
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

    /// Counts a call with `key` that is about to be held. Returns the seconds after which another may
    /// be held if this one may not be.
    ///
    /// A process of Lambda serves one call at a time, so each held call occupies one, and only the
    /// table knows them all.
    pub async fn hold(&self, key: KeyId) -> Option<u32> {
        let now = self.clock.now();
        let window = now.as_second().div_euclid(HELD_WINDOW_SECONDS);
        let ends_at = Timestamp::from_second((window + 1) * HELD_WINDOW_SECONDS).unwrap_or(now);
        let is_full = match self.full.get(&key, now) {
            Some(until) if until == ends_at => true,
            _ => match self.store.count_held_call(key, window, HELD_CALLS_MAX, ends_at).await {
                Ok(counted) => counted == Counted::Full,
                Err(err) => {
                    log_skipped_limit(&err);
                    false
                }
            },
        };
        is_full.then(|| {
            self.full.insert(key, ends_at, now);
            u32::try_from(ends_at.as_second() - now.as_second()).unwrap_or(1).max(1)
        })
    }

    /// Refuses another pending request if the account has reached its limit. Returns whether the
    /// request has to be counted: it has to if the account has a limit.
    ///
    /// Calls at the same moment do not see each other, so the limit may be exceeded by a few. Far below
    /// the limit, a count is remembered for some seconds.
    pub async fn check_pending_limit(&self, owner: Owner) -> Result<bool, Problem> {
        let account = self.account_of(owner).await?;
        let Some(max) = account.max_pending_requests else { return Ok(false) };
        let now = self.clock.now();
        if self.room.get(&account.id, now).is_some_and(|it| take_one(&it)) {
            return Ok(true);
        }
        match self.store.n_pending(account.id, max).await {
            Ok(n_pending) if n_pending < max => {
                let room = AtomicU32::new((max - n_pending) / ROOM_SHARES);
                self.room.insert(account.id, Arc::new(room), now);
                Ok(true)
            }
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

/// Takes one of the requests that may be added uncounted. False: none is left.
fn take_one(room: &AtomicU32) -> bool {
    room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1)).is_ok()
}

fn rate_limited(max: u32, ends_at: Timestamp, now: Timestamp) -> Problem {
    limited(format!("rate limit of {max} calls per minute exceeded"), ends_at, now)
}

pub(super) fn limited(detail: String, ends_at: Timestamp, now: Timestamp) -> Problem {
    let wait = u32::try_from(ends_at.as_second() - now.as_second()).unwrap_or(1);
    Problem::new(Code::RateLimited, detail).retry_after(wait.max(1))
}

pub(super) fn log_skipped_limit(err: &crate::store::Error) {
    let error = err as &(dyn std::error::Error + 'static);
    tracing::warn!(error, "could not count calls or requests; skipped the limit");
}
