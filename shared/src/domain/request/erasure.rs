//! The sender erases a request.
//!
//! A tombstone remains, without content. It stops deliveries that are still under way, and it keeps
//! the request's idempotency key from creating a second request. `deliver` then searches for the
//! request's deliveries and erases them, twice, because a worker may store one after the first time.

use std::time::Duration;

use jiff::Timestamp;

use super::{OnDeadline, Request, RequestState, StepState};
use crate::domain::{question::Question, quorum::Quorum};

/// Time from the erasure to the last search for deliveries. A worker runs for 30 s, and its last
/// write may arrive long after that.
pub(super) const LAST_SEARCH_DELAY: Duration = Duration::from_mins(3);

impl Request {
    /// The tombstone of this request.
    pub fn erase(&self, now: Timestamp) -> Option<Self> {
        if matches!(self.state, RequestState::Erased { .. }) {
            return None;
        }
        let mut next = self.next();
        next.question = Question::default();
        next.rows.clear();
        next.codes.clear();
        next.outbox.clear();
        next.has_leftovers = false;
        next.policy.callback = None;
        next.policy.on_deadline = OnDeadline::Expire;
        next.policy.quorum = Quorum::ALL;
        next.policy.steps.clear();
        next.policy.slack_channel = None;
        next.steps = StepState::default();
        next.state = RequestState::Erased { at: now, n_searches: 2 };
        next.set_timer(now);
        Some(next)
    }

    /// The tombstone after a search found and erased the request's deliveries.
    ///
    /// The last search counts only after `LAST_SEARCH_DELAY`, when every worker that began before the
    /// erasure has ended.
    pub fn searched_for_deliveries(&self, now: Timestamp) -> Option<Self> {
        let RequestState::Erased { at, n_searches } = self.state else { return None };
        let last_at = at + LAST_SEARCH_DELAY;
        if n_searches == 0 || n_searches == 1 && now < last_at {
            return None;
        }
        let mut next = self.next();
        let n_searches = if now < last_at { n_searches - 1 } else { 0 };
        next.state = RequestState::Erased { at, n_searches };
        next.due_at = (n_searches > 0).then_some(last_at);
        Some(next)
    }
}
