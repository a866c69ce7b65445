//! Calls that are held until there is something to say.

use std::time::Duration;

use axum::{
    http::{HeaderValue, header::RETRY_AFTER},
    response::Response,
};
use jiff::Timestamp;

use super::{Caller, Core};

/// The time for which a call may be held. Each key may have only some held calls at a time.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    gives_up_at: Timestamp,
    is_counted: bool,
    /// The call was not held, and another could be after this number of seconds.
    retry_after: Option<u32>,
}

impl Hold {
    /// A call that may be held for `wait` from `now`.
    pub fn new(wait: Duration, now: Timestamp) -> Self {
        Self { gives_up_at: now + wait, is_counted: false, retry_after: None }
    }

    /// The time that is left at `now`.
    pub fn left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.gives_up_at.duration_since(now)).unwrap_or_default()
    }

    /// The time for which the call is held from now on. It is counted once; without room there is
    /// none left.
    pub async fn begin(&mut self, core: &Core, caller: &Caller) -> Duration {
        let now = core.now();
        if !self.is_counted && !self.left(now).is_zero() {
            self.is_counted = true;
            self.retry_after = core.accounts.hold(caller.key()).await;
            if self.retry_after.is_some() {
                self.gives_up_at = now;
            }
        }
        self.left(now)
    }

    /// Adds `Retry-After` to the response of a call that was not held.
    pub fn finish(&self, mut response: Response) -> Response {
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
