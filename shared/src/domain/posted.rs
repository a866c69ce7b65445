//! Events that an account's own systems post, to be told to whoever wants to know.
//!
//! ```text
//!   Waiting ── dispatched ──▶ Dispatched
//! ```

use super::{
    BodyHash, EventId, EventType, OpId, Owner, Trace, WebhookId, delivery::Receiver,
    webhook::DisableReason,
};
use jiff::Timestamp;

/// An event that was posted.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Who this is.
    pub id: EventId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that posted it.
    pub created_by: OpId,
    /// What it was made from, if under an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// When it was posted.
    pub created_at: Timestamp,
    /// The trace of the call that posted it, if it named one.
    pub trace: Option<Trace>,
    /// What kind of event it is.
    pub event_type: EventType,
    /// What it tells: the text of a JSON object, as it was posted.
    pub data: String,
    /// The poster's own name for it.
    pub external_reference_id: Option<String>,
    /// The address of the API, for whoever fetches what does not fit into a callback.
    pub base_url: String,
    /// Whom to tell beside those who always want to know.
    pub callback: Option<Receiver>,
    /// The webhook that alone is told, if it is for one.
    pub webhook: Option<WebhookId>,
    /// What is to be done before it is told, if it tells of that.
    pub disables: Option<Disables>,
    /// Whether there are deliveries of it.
    pub is_dispatched: bool,
    /// When somebody must look after it.
    pub due_at: Option<Timestamp>,
    /// Counts the writes; the store refuses a write based on an older one.
    pub revision: u64,
}

/// That a webhook is to be disabled, unless it has recovered since this was found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Disables {
    /// Which.
    pub webhook: WebhookId,
    /// The reason.
    pub why: DisableReason,
    /// Since when it has failed.
    pub failing_since: Timestamp,
}

impl Event {
    /// The event once there are deliveries of it; nothing if there were before.
    pub fn dispatched(&self) -> Option<Self> {
        let next =
            Self { is_dispatched: true, due_at: None, revision: self.revision + 1, ..self.clone() };
        (!self.is_dispatched).then_some(next)
    }

    /// The event once somebody was sent to dispatch it, and need not be again until `until`.
    #[must_use]
    pub fn hinted(&self, until: Timestamp) -> Self {
        Self { due_at: Some(until), revision: self.revision + 1, ..self.clone() }
    }
}
