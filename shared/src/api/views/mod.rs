//! JSON of the API and of standard callbacks, outwards only. Bodies that clients send are read field
//! by field, in the handlers.

mod account;
mod action;
mod callback;
mod change;
mod delivery;
mod event;
mod key;
mod notification;
mod notifier;
mod probe;
mod question;
mod request;
mod requester;
mod response;
mod secret;
mod step;
mod tool;
mod webhook;

pub use account::AccountView;
pub use action::ActionView;
pub use callback::{EventBody, TruncatedData, TruncatedEventBody};
pub use delivery::{AttemptView, DeliveryView, status as delivery_status};
pub use event::{AcceptedEventView, EventView};
pub use key::{KeyView, OwnKeyView};
pub use notification::{NotificationView, status as notification_status};
pub use notifier::{MASK, NotifierView};
pub use probe::ProbeView;
pub use question::{
    AnswerFields, ChoiceView, FieldValueView, FieldView, NumberView, answer_fields,
};
pub use request::{
    CallbackStatus, RequestView, ResultData, Viewer, answer_mode, request_outcome, request_status,
};
pub use requester::RequesterView;
pub use response::ResponseView;
pub use secret::SecretView;
pub use tool::{APPROVE, ToolEntry, ToolView};
pub use webhook::{WebhookDetails, WebhookView, disabled_reason};

use change::ChangeView;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use step::StepView;

/// A time in RFC 3339, UTC, with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// Entries, newest first.
    pub data: Vec<T>,
    /// Cursor of the next page. `None` on the last one.
    pub next_cursor: Option<String>,
}
