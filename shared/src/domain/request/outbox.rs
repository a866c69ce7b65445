//! The outbox: events of a request that have not been dispatched yet.
//!
//! ```text
//!   a step ─ emit ─▶ outbox ─ dispatch creates deliveries ─ dispatched ─▶ empty
//! ```
//!
//! An event is stored in the request itself, in the same write as the change that it reports. So
//! neither can be lost without the other. Its content is frozen: the outbox holds the answer of a
//! `request.answered`, and everything else that a callback says about a request never changes.

use jiff::Timestamp;

use super::Request;
use crate::domain::{
    EventId, OpId, RequestEvent, RequestId, Subscriptions, id::NUMBER_MAX, question::Answer,
};

/// Most events in an outbox. While it is full, answers are refused.
pub const OUTBOX_MAX: usize = 24;
/// Most events of one request before answers are refused. The event of the answer and the event of
/// the end still need a number each.
pub(super) const EVENTS_MAX: u32 = NUMBER_MAX - 2;

/// An event of a request that has not been dispatched yet.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEvent {
    /// Its number among the request's events, counted from 1.
    pub number: u32,
    /// The kind of event.
    pub kind: RequestEvent,
    /// The time of the event.
    pub at: Timestamp,
    /// The answer, for [`RequestEvent::RequestAnswered`].
    pub answered: Option<RecordedAnswer>,
}

/// One recipient's answer, as an event reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedAnswer {
    /// The recipient's row.
    pub row: usize,
    /// The operation that recorded it.
    pub op: OpId,
    /// The answer.
    pub answer: Answer,
}

impl OutboxEvent {
    /// The identifier of this event of `request`.
    pub fn id(&self, request: RequestId) -> EventId {
        request.event(self.number)
    }
}

impl Request {
    /// The request after the events with these numbers have been turned into deliveries.
    pub fn dispatched(&self, numbers: &[u32], now: Timestamp) -> Option<Self> {
        if !self.outbox.iter().any(|it| numbers.contains(&it.number)) {
            return None;
        }
        let mut next = self.next();
        next.outbox.retain(|it| !numbers.contains(&it.number));
        next.set_timer(now);
        Some(next)
    }

    /// Puts an event into the outbox, if it has subscribers.
    pub(super) fn emit(
        &mut self,
        kind: RequestEvent,
        at: Timestamp,
        answered: Option<RecordedAnswer>,
        subscriptions: Subscriptions,
    ) {
        let called_back = self.policy.callback.as_ref().is_some_and(|it| it.events.contains(&kind));
        let is_published = self.is_published && kind.is_published();
        if called_back || is_published || subscriptions.wants(kind) {
            self.n_events += 1;
            self.outbox.push(OutboxEvent { number: self.n_events, kind, at, answered });
        }
        if called_back {
            self.callback_event = Some(self.n_events);
        }
    }
}
