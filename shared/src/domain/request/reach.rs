//! Reaching recipients: by which notifiers, and what follows when a message does not arrive.
//!
//! ```text
//!   an event with messages ─▶ one delivery for each recipient ─ sent ─▶ nothing more to do
//!                                       └─ failed ─▶ notification.failed
//!                                                    └─ nobody is left to answer ─▶ request.unreachable
//! ```
//!
//! Messages are deliveries, with their own states. The request only remembers those that failed, so that
//! each is reported once.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Request, RequestPolicy, RequestState, StepState,
    outbox::{EventDetail, FailedMessage, MessageKey, OUTBOX_MAX},
};
use crate::domain::{
    Assurance, Delivery, DeliveryId, Mode, NotificationId, OpId, OutboxEvent, RequestEvent,
    Subscriptions,
    delivery::{Purpose, message::MESSAGES_MAX},
    notifier::NotifierChoice,
    question::Recipient,
};

/// Events that may wait in the outbox before reports of failed messages wait. The rest is for answers.
const REPORTS_MAX: usize = OUTBOX_MAX / 2;

/// The consequence of a request with no reachable recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnreachable {
    /// It waits for its deadline.
    #[default]
    Wait,
    /// It ends, as at its deadline.
    Expire,
}

/// What a request knows of messages that did not reach their recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReachState {
    /// These messages.
    pub(crate) failed: BTreeSet<MessageKey>,
    /// The rows whose recipients no message has reached, and none is on its way to.
    pub(crate) unreached: BTreeSet<usize>,
    /// It was reported that no recipient could be reached.
    pub(crate) is_reported: bool,
}

/// A message about an event, before its ways are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedMessage {
    /// The message.
    pub key: MessageKey,
    /// The reason for it.
    pub purpose: Purpose,
    /// Its recipient has had as many messages as one may have.
    pub is_over_limit: bool,
}

/// The rows that were not reached, when the messages of a request were read.
#[derive(Clone, Debug)]
pub struct Unreached {
    /// The rows whose messages have all failed.
    pub rows: BTreeSet<usize>,
    /// The steps that were taken then. Later ones have sent more messages.
    pub steps: StepState,
}

/// A report of a failed message came at a time when too many events wait, or other messages are on their
/// way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooEarlyToReport;

impl RequestPolicy {
    /// The notifiers for a recipient, in the order in which they are tried. `None` is the anonymous recipient.
    pub fn notifiers_of(&self, recipient: Option<&Recipient>) -> Vec<NotifierChoice> {
        let own = recipient.map(|it| &it.via).filter(|it| !it.is_empty());
        let can_carry = |it: &&NotifierChoice| {
            (recipient.is_some() || !it.kind.needs_email())
                && (self.assurance != Assurance::Code || it.kind.carries_code())
        };
        own.unwrap_or(&self.notify).iter().filter(can_carry).copied().collect()
    }
}

impl Request {
    /// The notifiers for the recipient of a row, in the order in which they are tried.
    pub fn notifiers_of(&self, row: usize) -> Vec<NotifierChoice> {
        self.policy.notifiers_of(self.question.recipients.get(row))
    }

    /// Messages are sent for this event, if a notifier reaches one of its recipients.
    pub(super) fn has_messages(&self, kind: RequestEvent, detail: &EventDetail) -> bool {
        self.n_messages(kind, detail) > 0
    }

    /// People may see copies of messages that this event changes.
    pub(super) fn changes_copies(&self, kind: RequestEvent) -> bool {
        let changes = match kind {
            RequestEvent::RequestAnswered
            | RequestEvent::RequestFinished
            | RequestEvent::RequestCancelled => true,
            RequestEvent::RequestCreated
            | RequestEvent::RequestLinkLocked
            | RequestEvent::RequestUnreachable
            | RequestEvent::NotificationFailed
            | RequestEvent::RequestReminded
            | RequestEvent::RequestEscalated => false,
        };
        let has_copy = |row| self.notifiers_of(row).iter().any(|it| it.kind.has_copies());
        changes && self.owner.mode == Mode::Live && (0..self.n_asked()).any(has_copy)
    }

    /// The rows whose copies show this event.
    pub fn rows_with_changed_copies(&self, event: &OutboxEvent) -> Vec<usize> {
        if !self.changes_copies(event.kind) {
            return Vec::new();
        }
        match (&event.detail, &self.state) {
            // The event of the end changes all.
            (EventDetail::Answered(answered), RequestState::Pending) => vec![answered.row],
            (EventDetail::Answered(_), _) => Vec::new(),
            _ => (0..self.n_asked()).collect(),
        }
    }

    fn n_messages(&self, kind: RequestEvent, detail: &EventDetail) -> usize {
        let rows = self.rows_to_tell(kind, detail);
        rows.into_iter().filter(|row| !self.notifiers_of(*row).is_empty()).count()
    }

    /// The messages about this event, whether a notifier can send them or not.
    pub fn messages(&self, event: &OutboxEvent) -> Vec<PlannedMessage> {
        let purpose = match (event.kind, &event.detail) {
            (RequestEvent::RequestReminded, EventDetail::Recipient(_)) => Purpose::Code,
            (RequestEvent::RequestReminded, _) => Purpose::Remind,
            (RequestEvent::RequestEscalated, _) => Purpose::Escalate,
            _ => Purpose::Ask,
        };
        let n_reminders = match &event.detail {
            EventDetail::Step { n_reminders, .. } => {
                *n_reminders + u32::from(purpose == Purpose::Remind)
            }
            _ => self.steps.n_reminders,
        };
        let planned = |row| {
            // One asks, and each later reminder and each new code is one more.
            let n_reminders = n_reminders.saturating_sub(self.n_reminders_before(row));
            let n_messages = 1 + n_reminders + self.code_issue(row);
            let key = MessageKey { event: event.number, row };
            PlannedMessage { key, purpose, is_over_limit: n_messages > MESSAGES_MAX }
        };
        self.rows_to_tell(event.kind, &event.detail).into_iter().map(planned).collect()
    }

    fn rows_to_tell(&self, kind: RequestEvent, detail: &EventDetail) -> Vec<usize> {
        match (kind, detail) {
            (RequestEvent::RequestCreated, _) => (0..self.n_places()).collect(),
            (RequestEvent::RequestReminded, EventDetail::Recipient(row)) => vec![*row],
            (
                RequestEvent::RequestReminded | RequestEvent::RequestEscalated,
                EventDetail::Step { rows, .. },
            ) => rows.clone(),
            _ => Vec::new(),
        }
    }

    /// A message is on its way to the recipients of an event, so they may be reached.
    pub(super) fn note_messages(&mut self, kind: RequestEvent, detail: &EventDetail) {
        for row in self.rows_to_tell(kind, detail) {
            if !self.notifiers_of(row).is_empty() {
                self.reach.unreached.remove(&row);
                self.reach.is_reported = false;
            }
        }
    }

    /// The first message to the recipient of a row.
    pub fn first_notification(&self, row: usize) -> Option<NotificationId> {
        // A request with messages begins with an event that asks for them.
        Some(self.notification(MessageKey { event: 1, row }))
    }

    /// The identifier of a message.
    pub fn notification(&self, key: MessageKey) -> NotificationId {
        NotificationId(self.message_delivery(key))
    }

    /// The identifier of the delivery that is this message.
    pub fn message_delivery(&self, key: MessageKey) -> DeliveryId {
        Delivery::id_of(self.id.event(key.event), self.created_by, &key.target_name())
    }

    /// The delivery with this identifier is a message to the recipient of a row, and not one of an
    /// earlier request under the same idempotency key.
    pub fn is_message(&self, delivery: DeliveryId, row: usize) -> bool {
        self.message_delivery(MessageKey { event: delivery.event().number(), row }) == delivery
    }

    /// An event that asks for messages waits to be dispatched, so not all of them exist.
    pub fn has_messages_to_create(&self) -> bool {
        self.n_messages_to_create() > 0
    }

    /// The recipients whom a notifier reaches, also those of later steps. In test mode there are none.
    pub fn n_reachable(&self) -> usize {
        match self.owner.mode {
            Mode::Live => {
                (0..self.rows.len()).filter(|row| !self.notifiers_of(*row).is_empty()).count()
            }
            Mode::Test => 0,
        }
    }

    /// The messages of the events that wait to be dispatched and are sent. None is in test mode.
    pub fn n_messages_to_send(&self) -> usize {
        match self.owner.mode {
            Mode::Live => self.n_messages_to_create(),
            Mode::Test => 0,
        }
    }

    fn n_messages_to_create(&self) -> usize {
        self.outbox.iter().map(|it| self.n_messages(it.kind, &it.detail)).sum()
    }

    /// The messages that it knows to have failed.
    pub fn failed_messages(&self) -> &BTreeSet<MessageKey> {
        &self.reach.failed
    }

    /// It has reported that no recipient who could still answer was reached.
    pub fn is_unreachable(&self) -> bool {
        self.reach.is_reported
    }

    /// The request after a message has failed. `None`: it knows, or it no longer matters.
    pub fn message_failed(
        &self,
        failed: &FailedMessage,
        unreached: &Unreached,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, TooEarlyToReport> {
        if self.state != RequestState::Pending
            || self.deadline <= now
            || self.reach.failed.contains(&failed.key)
        {
            return Ok(None);
        }
        if self.outbox.len() >= REPORTS_MAX
            || self.has_messages_to_create()
            || self.steps != unreached.steps
        {
            return Err(TooEarlyToReport);
        }
        let mut next = self.next();
        next.reach.failed.insert(failed.key);
        // Another report may have seen more of them.
        next.reach.unreached.extend(&unreached.rows);
        let detail = EventDetail::Message(failed.clone());
        next.emit(RequestEvent::NotificationFailed, now, detail, subscriptions);
        next.note_unreachable(subscriptions, now, op);
        next.set_timer(now);
        Ok(Some(next))
    }

    /// Reports once that no recipient who could still answer was reached.
    pub(super) fn note_unreachable(
        &mut self,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) {
        let mut unanswered = self.unanswered_rows().into_iter().peekable();
        let is_unreachable = self.state == RequestState::Pending
            && self.has_open_place()
            && self.steps_ahead().is_empty()
            && unanswered.peek().is_some()
            && unanswered.all(|row| self.reach.unreached.contains(&row));
        if !is_unreachable || self.reach.is_reported {
            return;
        }
        self.reach.is_reported = true;
        self.emit(RequestEvent::RequestUnreachable, now, EventDetail::None, subscriptions);
        // Who has answered was reached.
        let is_answered = self.rows.iter().any(Option::is_some);
        if self.policy.on_unreachable == OnUnreachable::Expire && !is_answered {
            self.end_by_policy(now, subscriptions, op);
        }
    }
}
