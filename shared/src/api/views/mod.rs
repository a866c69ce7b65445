//! How things are spelled in the API and in callbacks. Only outwards: what comes in is read field
//! by field, where it comes in.

mod callback;
mod channel;
mod delivery;
mod event;
mod key;
mod question;
mod request;
mod secret;
mod webhook;

pub use callback::{NextKsView, PingView, callback_body, posted_body};
pub use channel::ChannelView;
pub use delivery::{AttemptView, DeliveryView, status as delivery_status};
pub use event::{EventBody, EventView};
pub use key::KeyView;
pub use question::{ChoiceView, FieldView, answer_fields};
pub use request::{
    CallbackStatus, RequestView, ResponseView, ResultData, Viewer, request_outcome, request_status,
};

pub use secret::SecretView;
pub use webhook::{WebhookView, disabled_reason};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// A time as the API writes it: RFC 3339, UTC, with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

/// Something that a list shows, a page at a time.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// What is on the page, newest first.
    pub data: Vec<T>,
    /// Where the next page starts, if there may be one.
    pub next_cursor: Option<String>,
}
