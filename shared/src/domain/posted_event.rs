//! An event that does not come from a request: a client posted it, or a webhook or notifier
//! was disabled.
//!
//! ```text
//!   Waiting ─ dispatch creates deliveries ─▶ Dispatched
//!      ▲
//!      └─ its webhook was disabled ── Conditional ── its webhook has recovered ─▶ Void
//! ```
//!
//! Notifiers are disabled in the same way.
//!
//! An event is announced in `Waiting` and `Dispatched`: lists show it, and subscribers get it. A
//! `webhook.disabled` event is written before its webhook is disabled, so that neither is without
//! the other, and announced after.

use jiff::Timestamp;

use super::{
    BodyHash, EventId, EventType, NotifierId, OpId, Owner, Trace, WebhookRef,
    claim::DISPATCH_INTERVAL,
    delivery::{Origin, Receiver},
    webhook::DisableReason,
};

/// An event that does not come from a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its identifier.
    pub id: EventId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that created it.
    pub created_by: OpId,
    /// The hash of the body, if the call had an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The trace of the call, if it named one.
    pub trace: Option<Trace>,
    /// Its type.
    pub event_type: EventType,
    /// Its data: the text of a JSON object, as it was posted.
    pub data: String,
    /// The client's own name for it.
    pub external_reference_id: Option<String>,
    /// The address of the API, for receivers that fetch what does not fit into a callback.
    pub base_url: String,
    /// A receiver in addition to the webhooks that subscribe to its type.
    pub callback: Option<Receiver>,
    /// The only webhook that gets it, if it is for one.
    pub webhook: Option<WebhookRef>,
    /// The webhook or notifier that its dispatch disables before anything is sent.
    pub disables: Option<Disables>,
    /// Its state.
    pub(crate) state: EventState,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub(crate) revision: u64,
}

/// The state of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// It is announced only if its webhook or notifier is disabled.
    Conditional {
        /// The timer: when a sweep picks it up.
        due_at: Timestamp,
    },
    /// Its deliveries have to be created.
    Waiting {
        /// The timer: when a sweep picks it up.
        due_at: Timestamp,
    },
    /// Its deliveries exist.
    Dispatched,
    /// It never became true, and is shown to nobody.
    Void,
}

/// Everything that a new event is made from.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its identifier.
    pub id: EventId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that creates it.
    pub created_by: OpId,
    /// The hash of the body, if the call has an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The trace of the call, if it named one.
    pub trace: Option<Trace>,
    /// Its type.
    pub event_type: EventType,
    /// Its data: the text of a JSON object.
    pub data: String,
    /// The client's own name for it.
    pub external_reference_id: Option<String>,
    /// The address of the API, for receivers that fetch what does not fit into a callback.
    pub base_url: String,
    /// A receiver in addition to the webhooks that subscribe to its type.
    pub callback: Option<Receiver>,
}

/// A webhook or notifier to disable, unless it has recovered in the meantime.
#[derive(Clone, Debug, PartialEq)]
pub enum Disables {
    /// A webhook.
    Webhook {
        /// The webhook.
        webhook: WebhookRef,
        /// The reason.
        reason: DisableReason,
        /// The start of its failures. If it differs from the webhook's own, the webhook has recovered.
        failing_since: Timestamp,
    },
    /// A notifier that its service refused.
    Notifier {
        /// The notifier.
        notifier: NotifierId,
        /// The operation that had made its settings then. If it differs from the notifier's own, its
        /// owner has changed it since.
        settings_by: OpId,
    },
}

impl Event {
    /// An event that waits to be dispatched.
    pub fn new(new: NewEvent) -> Self {
        Self {
            id: new.id,
            owner: new.owner,
            created_by: new.created_by,
            body_hash: new.body_hash,
            created_at: new.created_at,
            trace: new.trace,
            event_type: new.event_type,
            data: new.data,
            external_reference_id: new.external_reference_id,
            base_url: new.base_url,
            callback: new.callback,
            webhook: None,
            disables: None,
            state: EventState::Waiting { due_at: new.created_at + DISPATCH_INTERVAL },
            revision: 0,
        }
    }

    /// An event that nothing subscribes to.
    pub fn unwanted(new: NewEvent) -> Self {
        Self { state: EventState::Dispatched, ..Self::new(new) }
    }

    /// An event for `webhook` alone. Its caller creates the delivery, which has its own timer.
    pub fn triggered(new: NewEvent, webhook: WebhookRef) -> Self {
        Self { webhook: Some(webhook), state: EventState::Dispatched, ..Self::new(new) }
    }

    /// An event whose dispatch disables a webhook or notifier before anything is sent.
    pub fn disabling(new: NewEvent, disables: Disables) -> Self {
        let state = EventState::Conditional { due_at: new.created_at + DISPATCH_INTERVAL };
        Self { disables: Some(disables), state, ..Self::new(new) }
    }

    /// It is a test of one webhook. The signed bytes say so.
    pub fn is_test(&self) -> bool {
        self.webhook.is_some()
    }

    /// The origin of its deliveries.
    pub fn origin(&self) -> Origin {
        Origin {
            event: self.id,
            event_type: self.event_type.clone(),
            happened_at: self.created_at,
            trace: self.trace,
            made_by: self.created_by,
            owner: self.owner,
            channel: None,
            is_private: false,
        }
    }

    /// Its state.
    pub fn state(&self) -> EventState {
        self.state
    }

    /// It has happened: lists show it, and subscribers get it.
    pub fn is_announced(&self) -> bool {
        match self.state {
            EventState::Waiting { .. } | EventState::Dispatched => true,
            EventState::Conditional { .. } | EventState::Void => false,
        }
    }

    /// The timer: when a sweep picks it up.
    pub fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            EventState::Conditional { due_at } | EventState::Waiting { due_at } => Some(due_at),
            EventState::Dispatched | EventState::Void => None,
        }
    }

    /// The event after its webhook was disabled, or `None` if that is known already.
    pub fn confirmed(&self) -> Option<Self> {
        match self.state {
            EventState::Conditional { due_at } => Some(self.next(EventState::Waiting { due_at })),
            EventState::Waiting { .. } | EventState::Dispatched | EventState::Void => None,
        }
    }

    /// The event after its webhook has recovered, or `None` if it is over already.
    pub fn voided(&self) -> Option<Self> {
        let is_open = matches!(self.state, EventState::Conditional { .. });
        is_open.then(|| self.next(EventState::Void))
    }

    /// The event after its deliveries were created, or `None` if they already existed.
    pub fn dispatched(&self) -> Option<Self> {
        let is_waiting = matches!(self.state, EventState::Waiting { .. });
        is_waiting.then(|| self.next(EventState::Dispatched))
    }

    /// The event after a hint to dispatch it was sent. The sweep skips it until `until`.
    #[must_use]
    pub fn hinted(&self, until: Timestamp) -> Self {
        self.next(match self.state {
            EventState::Conditional { .. } => EventState::Conditional { due_at: until },
            EventState::Waiting { .. } => EventState::Waiting { due_at: until },
            ended @ (EventState::Dispatched | EventState::Void) => ended,
        })
    }

    fn next(&self, state: EventState) -> Self {
        Self { state, revision: self.revision + 1, ..self.clone() }
    }
}
