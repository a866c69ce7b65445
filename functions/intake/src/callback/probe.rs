//! The probe: a `HEAD` request to a receiver at submission, which finds mistyped URLs early.
//!
//! ```text
//!  URL rules ─▶ DNS and address rules ─┬─ skip:    no call
//!  refuse       refuse                 ├─ report:  1 s, concurrently with the write; result is shown
//!                                      └─ require: 5 s, before the write; refuses
//! ```
//!
//! Each account has a budget of probes. A process makes a few per minute without counting in the table,
//! and none for a URL that has just responded, so that an ordinary submission costs no write.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use answerback::{
    api::{Code, Problem, views::ProbeView},
    domain::{AccountId, attempt::ErrorKind, limits::PROBES_PER_MINUTE_MAX},
    egress::{Checked, Failure},
    platform::Cache,
    store::Counted,
};
use jiff::Timestamp;

use crate::App;

/// Time limit of a probe whose result is only shown.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time limit of a probe that must succeed.
const REQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Probes of an account in a minute that a process does not count in the table.
const UNCOUNTED_MAX: u32 = 5;
/// Time for which a URL that responded is not probed again, unless it must respond.
const RESPONDED_TTL: Duration = Duration::from_mins(1);
/// Most URLs that a process remembers.
const RESPONDED_MAX: usize = 1_000;
/// Length of the window in which probes are counted.
const WINDOW_SECONDS: i64 = 60;

/// The probe that a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Call the receiver, and show the result.
    Report,
    /// Only look up its addresses.
    Skip,
    /// Call the receiver, and refuse it if it does not respond.
    Require,
}

/// A probe of a receiver whose URL and addresses are allowed.
pub(crate) enum PendingProbe {
    /// It is not made, or it has been made.
    Done(Option<ProbeView>),
    /// It is still to be made.
    Due(Checked, AccountId),
}

/// A process's probes of the last minute. Clones share them.
#[derive(Clone, Debug)]
pub struct Probes {
    counts: Arc<Mutex<Counts>>,
    /// URLs without query that responded, with their accounts.
    responded: Cache<(AccountId, String), ()>,
}

#[derive(Debug, Default)]
struct Counts {
    minute: i64,
    by_account: HashMap<AccountId, u32>,
}

impl Probe {
    /// All words for probes.
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("report", Self::Report), ("skip", Self::Skip), ("require", Self::Require)];

    /// Prepares the probe, or makes it if it must succeed. Returns the reason for a refusal.
    pub(super) async fn begin(
        self,
        app: &App,
        checked: Checked,
        account: AccountId,
    ) -> Result<PendingProbe, Refusal> {
        match self {
            Self::Skip => Ok(PendingProbe::Done(None)),
            Self::Report => Ok(PendingProbe::Due(checked, account)),
            Self::Require => {
                if let Some(retry_seconds) = exhausted(app, account).await {
                    return Err(Refusal::RateLimited { retry_seconds });
                }
                let probed = app.egress.probe(&checked, REQUIRE_TIMEOUT).await;
                let view = view(&probed);
                probed.map_err(Refusal::Failed)?;
                Ok(PendingProbe::Done(Some(view)))
            }
        }
    }
}

/// The reason why a required probe refuses a receiver.
pub(super) enum Refusal {
    /// The account's budget is used up.
    RateLimited {
        /// Seconds until the next window.
        retry_seconds: u32,
    },
    /// The receiver did not respond.
    Failed(Failure),
}

impl Refusal {
    /// The problem for a client without budget.
    pub(super) fn rate_limited(retry_seconds: u32) -> Problem {
        let detail = format!("rate limit of {PROBES_PER_MINUTE_MAX} probes per minute exceeded");
        Problem::new(Code::RateLimited, detail).retry_after(retry_seconds)
    }
}

impl PendingProbe {
    /// Makes the probe, unless that is done. Never refuses.
    pub(crate) async fn finish(self, app: &App) -> Option<ProbeView> {
        let (checked, account) = match self {
            Self::Done(view) => return view,
            Self::Due(checked, account) => (checked, account),
        };
        let url = checked.url().as_str();
        let key = (account, url.split('?').next().unwrap_or(url).to_owned());
        if app.probes.responded.get(&key, app.core.now()).is_some() {
            return Some(ProbeView::OK);
        }
        if exhausted(app, account).await.is_some() {
            return Some(ProbeView::RATE_LIMITED);
        }
        let view = view(&app.egress.probe(&checked, REPORT_TIMEOUT).await);
        if view == ProbeView::OK {
            app.probes.responded.insert(key, (), app.core.now());
        }
        Some(view)
    }
}

/// Redirects are never followed, so a receiver that redirects does not work.
fn view(probed: &Result<u16, Failure>) -> ProbeView {
    match probed {
        Ok(300..=399) => ProbeView::failed(ErrorKind::Redirect),
        Ok(_) => ProbeView::OK,
        Err(failure) => ProbeView::failed(failure.kind.into()),
    }
}

/// Counts a probe. If the account's budget is used up, returns the seconds until the next window.
async fn exhausted(app: &App, account: AccountId) -> Option<u32> {
    let now = app.core.now();
    let minute = now.as_second().div_euclid(WINDOW_SECONDS);
    if app.probes.count(account, minute) <= UNCOUNTED_MAX {
        return None;
    }
    let max = PROBES_PER_MINUTE_MAX - UNCOUNTED_MAX;
    match app.core.store.count_probe(account, minute, max).await {
        Ok(Counted::Counted) => None,
        Ok(Counted::Full) => Some(seconds_left(minute, now)),
        // Limits are not locks.
        Err(err) => {
            let error = &err as &(dyn std::error::Error + 'static);
            tracing::warn!(error, "could not count probes; skipped the limit");
            None
        }
    }
}

fn seconds_left(minute: i64, now: Timestamp) -> u32 {
    let ends_at = (minute + 1) * WINDOW_SECONDS;
    u32::try_from(ends_at - now.as_second()).unwrap_or(1).max(1)
}

impl Default for Probes {
    fn default() -> Self {
        Self { counts: Arc::default(), responded: Cache::new(RESPONDED_TTL, RESPONDED_MAX) }
    }
}

impl Probes {
    /// Counts a probe, and returns the number of this minute.
    fn count(&self, account: AccountId, minute: i64) -> u32 {
        let mut counts = self.counts.lock().expect("no holder panics");
        if counts.minute != minute {
            *counts = Counts { minute, by_account: HashMap::new() };
        }
        let count = counts.by_account.entry(account).or_default();
        *count += 1;
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_counted_by_account_and_minute() {
        let counts = Probes::default();
        let (one, other) = (AccountId::from_bits(1 << 30), AccountId::from_bits(1 << 40));
        assert_eq!([counts.count(one, 7), counts.count(one, 7), counts.count(other, 7)], [1, 2, 1]);
        assert_eq!(counts.clone().count(one, 8), 1);
        assert_eq!(seconds_left(0, Timestamp::UNIX_EPOCH + Duration::from_secs(18)), 42);
    }
}
