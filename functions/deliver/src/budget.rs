//! The time that is left until Lambda stops the function.

use std::time::Duration;

use jiff::Timestamp;

/// Time reserved after an attempt, to record its result before the function is stopped.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(6);

/// The end of the function's time. Work that does not fit into it is passed on to another worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// `None`: there is no limit, as in tests.
    pub(crate) ends_at: Option<Timestamp>,
}

impl Budget {
    /// True if work of this duration can start at `now` and be recorded in time.
    pub(crate) fn has_time(self, work: Duration, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|it| now + work + SHUTDOWN_RESERVE <= it)
    }
}
