//! The rules: pure functions on plain values.
//!
//! Nothing here does I/O, reads a clock, draws a random number, or knows about AWS, HTTP or JSON.
//! The caller passes in the time, a random number and the id of its operation. A step returns the
//! *next* value, or a refusal that says why, and the caller writes it. So every rule can be tested
//! without `async`.
//!
//! Suggested reading order: [`question`], [`quorum`], [`request`], [`consumption`], [`delivery`],
//! [`breaker`], then the rest.

pub mod account;
pub mod action;
pub mod address;
pub mod approval;
pub mod assurance;
pub mod attempt;
pub mod breaker;
pub mod callback_url;
pub mod channel;
pub mod claim;
pub mod consumption;
mod decimal;
pub mod delivery;
mod email;
pub mod event;
pub mod id;
pub mod idempotency;
pub mod json;
pub mod limits;
mod locale;
pub mod notifier;
mod notifier_kind;
mod owner;
pub mod posted_event;
pub mod profile;
pub mod question;
pub mod quorum;
pub mod request;
mod requester;
pub mod retry;
mod scope;
pub mod secret;
mod size;
pub mod slack;
pub mod suppression;
pub mod text;
pub mod trace;
pub mod webhook;
mod webhook_id;

pub use account::{Account, ApiKey};
pub use action::{Action, ActionDigest};
pub use assurance::Assurance;
pub use attempt::Attempt;
pub use breaker::Breaker;
pub use callback_url::{CallbackRules, CallbackUrl, CallbackUrlError};
pub use channel::Channel;
pub use decimal::{Decimal, NUMBER_CHARS_MAX};
pub use delivery::Delivery;
pub use email::{EmailAddress, EmailPattern, Mailbox, MailboxError};
pub use event::{EventType, Filter, RequestEvent, Source, Subscriptions};
pub use id::{
    AccountId, AttemptId, ChannelId, DeliveryId, EventId, Id, KeyId, MessageId, MintedWebhookId,
    NotificationId, NotifierId, RequestId,
};
pub use idempotency::{BodyHash, IdempotentCall, PastCalls};
pub use locale::Locale;
pub use notifier::{Notifier, NotifierSummary};
pub use notifier_kind::NotifierKind;
pub use owner::{Mode, Owner};
pub use posted_event::Event;
pub use profile::Profile;
pub use question::{Answer, Question};
pub use request::{OutboxEvent, Request};
pub use requester::{REQUESTER_ID_CHARS_MAX, REQUESTER_NAME_CHARS_MAX, Requester, RequesterKind};
pub use scope::Scope;
pub use secret::{Secret, Secrets};
pub use trace::Trace;
pub use webhook::Webhook;
pub use webhook_id::{WEBHOOK_ID_CHARS_MAX, WebhookId, WebhookRef};

/// The identifier of one operation, which lets it recognize its own write.
///
/// If the response to a write is lost, the SDK repeats the write, and the repetition fails its own
/// condition. Every fact stores the operation that made it. An operation that finds its own
/// identifier in the stored item has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(pub u64);

impl OpId {
    /// The operation that is identified by the low 64 bits of `entropy`.
    #[expect(clippy::cast_possible_truncation, reason = "64 of the bits are wanted")]
    pub fn new(entropy: u128) -> Self {
        Self(entropy as u64)
    }
}
