//! What a request is, and how it and its deliveries may change.
//!
//! Pure: callers pass in `now`, chance and the identifier of their operation. Every transition
//! returns the *next* value or a refusal that says why, and leaves writing it to the caller, so
//! every rule can be tested without `async`.
//!
//! Suggested reading order: [`question`], [`quorum`], [`request`], [`reading`], [`delivery`],
//! [`breaker`], then the rest.

pub mod account;
pub mod address;
pub mod attempt;
pub mod breaker;
pub mod callback_url;
pub mod channel;
pub mod delivery;
pub mod event;
pub mod id;
pub mod limits;
pub mod posted;
pub mod profile;
pub mod question;
pub mod quorum;
pub mod reading;
pub mod request;
pub mod retry;
pub mod secret;
mod size;
pub mod trace;
pub mod webhook;
mod webhook_id;

pub use account::{Account, ApiKey, Mode, Owner, Scope};
pub use attempt::Attempt;
pub use breaker::Breaker;
pub use callback_url::{CallbackRules, CallbackUrl, CallbackUrlError};
pub use channel::Channel;
pub use delivery::Delivery;
pub use event::{EventType, Filter, OutboxEvent, RequestEvent, Subscriptions};
pub use id::{
    AccountId, AttemptId, ChannelId, DeliveryId, EventId, Id, KeyId, MessageId, MintedWebhookId,
    RequestId,
};
pub use posted::Event;
pub use profile::Profile;
pub use question::{Answer, Question};
pub use request::Request;
pub use secret::{Secret, Secrets};
pub use trace::Trace;
pub use webhook::Webhook;
pub use webhook_id::{WEBHOOK_ID_CHARS_MAX, WebhookId};

/// Names one operation, so that its own write can be told from another's.
///
/// The SDK repeats a write whose answer was lost, and the repetition then fails its own
/// condition. Every fact keeps the operation that made it; whoever finds their own operation in
/// the stored item has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpId(pub u64);

/// Hash of the body of an idempotent call, to recognize a repeated call with another body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyHash(pub [u8; 16]);

impl OpId {
    /// An operation named by the low 64 bits of `entropy`.
    #[expect(clippy::cast_possible_truncation, reason = "64 of the bits are wanted")]
    pub fn new(entropy: u128) -> Self {
        Self(entropy as u64)
    }
}
