//! Readers fetch the result of an ended request. [`consumption`](crate::domain::consumption) has
//! the rules.

use jiff::Timestamp;

use super::{CLOCK_GUARD, Request, RequestEnd, RequestState};
use crate::domain::{
    OpId,
    consumption::{Consumption, ReadOutcome, UnknownReceipt},
};

/// One read of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultRead {
    /// The answer to the reader.
    pub outcome: ReadOutcome,
    /// The request to write before the reader gets its answer, if the read changes it.
    pub next: Option<Request>,
}

impl Request {
    /// A read of the result by `op`, or `None` if the request has not ended.
    pub fn read(&self, now: Timestamp, op: OpId) -> Option<ResultRead> {
        let RequestState::Ended(end) = &self.state else { return None };
        let read = end.consumption.read(self.policy.read, end.at, now, op);
        let is_changed = read.next != end.consumption;
        let next = is_changed.then(|| self.with_consumption(end, read.next, now));
        Some(ResultRead { outcome: read.outcome, next })
    }

    /// The request after the read with this receipt has been acknowledged.
    pub fn acknowledge(
        &self,
        receipt: OpId,
        now: Timestamp,
    ) -> Result<Option<Self>, UnknownReceipt> {
        let RequestState::Ended(end) = &self.state else { return Err(UnknownReceipt) };
        let consumption = end.consumption.acknowledge(receipt)?;
        let is_changed = consumption != end.consumption;
        Ok(is_changed.then(|| self.with_consumption(end, consumption, now)))
    }

    /// The request after its unread result has expired, or `None` if it has not.
    pub fn expire_result(&self, now: Timestamp) -> Option<Self> {
        let RequestState::Ended(end) = &self.state else { return None };
        let is_news = end.consumption != Consumption::Expired;
        (is_news && end.consumption.is_expired(self.policy.read, end.at, now - CLOCK_GUARD))
            .then(|| self.with_consumption(end, Consumption::Expired, now))
    }

    fn with_consumption(&self, end: &RequestEnd, consumption: Consumption, now: Timestamp) -> Self {
        let mut next = self.next();
        next.state = RequestState::Ended(RequestEnd { consumption, ..end.clone() });
        next.set_timer(now);
        next
    }
}
