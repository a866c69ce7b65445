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

use super::{Proof, Request};
use crate::domain::{
    EventId, NotifierId, OpId, RequestEvent, RequestId, Subscriptions, claim::DISPATCH_INTERVAL,
    delivery::FailureReason, id::NUMBER_MAX, limits, question::Answer,
};

/// Most events in an outbox. While it is full, answers are refused.
pub const OUTBOX_MAX: usize = 24;
/// Most events of one request before answers are refused. The event of the answer, the event of the
/// end, and those of the steps still need a number each.
pub(super) const EVENTS_MAX: u32 = NUMBER_MAX - 2 - limits::STEP_EVENTS_MAX;

/// An event of a request that has not been dispatched yet.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEvent {
    /// Its number among the request's events, counted from 1.
    pub number: u32,
    /// The kind of event.
    pub kind: RequestEvent,
    /// The time of the event.
    pub at: Timestamp,
    /// Its content that is not in the request.
    pub detail: EventDetail,
}

/// The content of an event that is not in the request, or that may change there.
#[derive(Clone, Debug, PartialEq)]
pub enum EventDetail {
    /// None.
    None,
    /// The answer, for [`RequestEvent::RequestAnswered`].
    Answered(RecordedAnswer),
    /// The recipient's row, for [`RequestEvent::RequestLinkLocked`].
    Recipient(usize),
    /// The message, for [`RequestEvent::NotificationFailed`].
    Message(FailedMessage),
    /// A reminder or an escalation.
    Step {
        /// The index of the step. `None`: the sender asked for a reminder.
        step: Option<usize>,
        /// The number of reminders before it.
        n_reminders: u32,
        /// The rows of those who are reminded, or asked.
        rows: Vec<usize>,
    },
}

/// A message that was to be sent: the event that asked for it, and the recipient's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageKey {
    /// The number of the event.
    pub event: u32,
    /// The recipient's row.
    pub row: usize,
}

/// A message that did not reach its recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedMessage {
    /// The message.
    pub key: MessageKey,
    /// The notifier that was tried last.
    pub notifier: NotifierId,
    /// The reason.
    pub reason: FailureReason,
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
    /// The way in which it was shown who answers.
    pub proof: Proof,
}

impl MessageKey {
    /// The name of the message among the targets of its event.
    pub fn target_name(self) -> String {
        format!("message#{}", self.row)
    }
}

impl OutboxEvent {
    /// It only asks for messages. Callbacks, webhooks and the bus do not get it.
    pub fn is_for_messages_alone(&self) -> bool {
        is_for_messages_alone(self.kind, &self.detail)
    }

    /// The answer that it reports.
    pub fn answered(&self) -> Option<&RecordedAnswer> {
        match &self.detail {
            EventDetail::Answered(answered) => Some(answered),
            EventDetail::None
            | EventDetail::Recipient(_)
            | EventDetail::Message(_)
            | EventDetail::Step { .. } => None,
        }
    }

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

    /// The event with this number, if it reported an answer that the request still has.
    pub fn answered_event(&self, number: u32) -> Option<OutboxEvent> {
        let rows = self.rows.iter().enumerate().filter_map(|(row, it)| Some((row, it.as_ref()?)));
        let (row, recorded) = rows.into_iter().find(|(_, it)| it.event == Some(number))?;
        let answer = recorded.answer.clone();
        let answered = RecordedAnswer { row, op: recorded.op, answer, proof: recorded.proof };
        let event = OutboxEvent {
            number,
            kind: RequestEvent::RequestAnswered,
            at: recorded.at,
            detail: EventDetail::Answered(answered),
        };
        (!self.is_cleared()).then_some(event)
    }

    /// The outbox has an event that reports an answer of this row.
    pub(super) fn reports_answer_of(&self, row: usize) -> bool {
        self.outbox.iter().filter_map(OutboxEvent::answered).any(|it| it.row == row)
    }

    /// The timer while there are events: a sweep looks for them if the worker does not dispatch them.
    /// Later events do not postpone it.
    pub(super) fn outbox_timer(&self, now: Timestamp) -> Timestamp {
        let latest = now + DISPATCH_INTERVAL;
        self.due_at.map_or(latest, |it| it.min(latest))
    }

    /// Puts an event into the outbox, if it has subscribers. Returns its number.
    ///
    /// An answer takes the place of an earlier answer of its row that was not dispatched, so that one
    /// recipient never fills the outbox. It gets a new number: a worker may be dispatching the
    /// earlier one, and would mark that number as dispatched.
    pub(super) fn emit(
        &mut self,
        kind: RequestEvent,
        at: Timestamp,
        detail: EventDetail,
        subscriptions: Subscriptions,
    ) -> Option<u32> {
        let is_shown = !is_for_messages_alone(kind, &detail);
        let called_back =
            is_shown && self.policy.callback.as_ref().is_some_and(|it| it.events.contains(&kind));
        let is_published = is_shown && self.is_published && kind.is_published();
        let is_wanted = called_back
            || is_published
            || is_shown && subscriptions.wants(kind)
            || self.has_messages(kind, &detail)
            || self.changes_copies(kind);
        self.note_messages(kind, &detail);
        if is_wanted {
            if self.outbox.is_empty() {
                // The timer of the step before is void.
                self.due_at = None;
            }
            self.n_events += 1;
            if let EventDetail::Answered(answered) = &detail {
                self.outbox.retain(|it| it.answered().is_none_or(|it| it.row != answered.row));
            }
            self.outbox.push(OutboxEvent { number: self.n_events, kind, at, detail });
        }
        if called_back {
            self.callback_event = Some(self.n_events);
        }
        is_wanted.then_some(self.n_events)
    }
}

/// A new code. A reminder has the rows of all whom it reminds.
fn is_for_messages_alone(kind: RequestEvent, detail: &EventDetail) -> bool {
    kind == RequestEvent::RequestReminded && matches!(detail, EventDetail::Recipient(_))
}
