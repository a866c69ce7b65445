//! Settles requests: takes their steps, times them out after the deadline, and expires results that
//! were not read.
//!
//! The sweep, a worker and a reader may all notice that a step or a request is overdue. They all use this
//! code, so it does not matter who is first.

use jiff::Timestamp;

use crate::{
    api::views,
    domain::{OpId, Request, Subscriptions},
    service::Core,
    store::{self, StepError},
};

impl Core {
    /// `request` as it is at `now`: after its overdue steps, timed out if it is overdue, and without a
    /// result that has expired. `None` if it no longer exists, or if others write it so often that one of them will
    /// settle it.
    pub async fn settle(
        &self,
        request: Request,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Request>, store::Error> {
        let subscriptions = if is_due(&request, now) {
            self.destinations.subscriptions(request.owner).await
        } else {
            Subscriptions::NONE
        };
        let step = |it: &Request| {
            it.time_out(subscriptions, now, op)
                .or_else(|| it.take_steps(subscriptions, now, op))
                .or_else(|| it.expire_result(now))
        };
        let settled = match self.step(request, step).await {
            Ok(settled) => settled,
            Err(StepError::Contended) => None,
            Err(StepError::Store(err)) => return Err(err),
        };
        if let Some(request) = &settled {
            if request.was_stepped_by(op) {
                log_steps(request, op);
            }
            if request.was_ended_by(op) {
                log_time_out(request, now);
            }
        }
        Ok(settled)
    }

    /// [`Self::settle`] for a reader. It costs nothing unless a step or the request is overdue, and
    /// then it also sends the hint.
    pub async fn settled(&self, mut request: Request) -> Result<Option<Request>, store::Error> {
        loop {
            let now = self.now();
            if !is_due(&request, now) {
                return Ok(Some(request));
            }
            let op = self.new_op();
            let Some(settled) = self.settle(request, now, op).await? else { return Ok(None) };
            if settled.was_ended_by(op) || settled.was_stepped_by(op) {
                self.hints.send_for_request(&settled).await;
            }
            if !settled.was_stepped_by(op) {
                return Ok(Some(settled));
            }
            // The step took time, in which the deadline may have passed.
            request = settled;
        }
    }
}

/// A step or the deadline has passed, with the guard band.
fn is_due(request: &Request, now: Timestamp) -> bool {
    request.is_overdue(now) || request.is_step_due(now)
}

fn log_steps(request: &Request, op: OpId) {
    tracing::info!(
        request.id = %request.id,
        account.id = %request.owner.account,
        n_steps = request.n_steps_by(op),
        "took steps"
    );
}

fn log_time_out(request: &Request, now: Timestamp) {
    let lateness = now.duration_since(request.deadline).as_millis();
    tracing::info!(
        request.id = %request.id,
        account.id = %request.owner.account,
        Outcome = views::request_outcome(request),
        RequestsFinished = 1,
        TimeoutLateness = i64::try_from(lateness).unwrap_or(i64::MAX),
        "settled a time-out"
    );
}
