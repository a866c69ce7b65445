//! Messages to recipients: the text of a message in each channel.
//!
//! Text and values in, text out. A message is made again for each attempt to send it, and never
//! stored: it has the answer link, and some have the code.
//!
//! - **Who asks comes first, and the action is shown in full or not at all.** A reader who approves
//!   part of an action approves all of it.
//! - **A requester's text stays text.** Each channel has its own markup, and in each of them a title
//!   must not notify everyone, lead elsewhere or look like the rest of the message. In channels
//!   without an escape, each line of the body is quoted.
//! - **A link decides nothing.** Mail gateways open all of them. Even a link with an option only leads
//!   to a page with its button.
//! - Long texts are cut. A link never is.
//! - Several people may read a chat channel, so its messages name their recipient, and have no code.

pub(crate) mod action;
mod chat;
mod email;
pub(crate) mod facts;
mod ntfy;
mod own_system;
pub mod slack;
mod test_message;
mod text;

#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use chat::chat;
pub use email::{Email, email};
pub use ntfy::{Buttons, ntfy};
pub use own_system::own_system;
use serde_json::Value;
pub use test_message::TestContent;

use crate::domain::{NotificationId, Request, delivery::message::Purpose, notifier::ChatFormat};

/// Everything that a message of either sort is made from.
#[derive(Clone, Copy)]
pub enum AnyContent<'a> {
    /// It brings the link of a request to a recipient.
    Request(Content<'a>),
    /// It shows that a notifier works.
    Test(TestContent<'a>),
}

/// Everything that a message about a request is made from. It cannot be printed, because it has the link and the code.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    /// The request.
    pub request: &'a Request,
    /// The recipient's row.
    pub row: usize,
    /// The reason for the message.
    pub purpose: Purpose,
    /// The identifier of this message.
    pub notification: NotificationId,
    /// The first message to this recipient, if this is a later one.
    pub in_reply_to: Option<NotificationId>,
    /// The answer link.
    pub link: &'a str,
    /// The six digits that come with the link, if the request needs them.
    pub code: Option<&'a str>,
    /// The current time, for "in about 3 hours".
    pub now: Timestamp,
}

impl AnyContent<'_> {
    /// The e-mail with this content.
    pub fn email(&self) -> Email {
        match self {
            Self::Request(content) => email(content),
            Self::Test(content) => test_message::email(content),
        }
    }

    /// The message for an ntfy topic.
    pub fn ntfy(&self, topic: &str, buttons: Buttons) -> Value {
        match self {
            Self::Request(content) => ntfy(content, topic, buttons),
            Self::Test(content) => test_message::ntfy(content, topic),
        }
    }

    /// The message for a chat program.
    pub fn chat(&self, format: ChatFormat) -> Value {
        match self {
            Self::Request(content) => chat(content, format),
            Self::Test(content) => test_message::chat(content, format),
        }
    }

    /// The message for a channel or user of Slack.
    pub fn slack(&self, place: &slack::Place<'_>) -> Value {
        match self {
            Self::Request(content) => slack::message(content, place),
            Self::Test(content) => test_message::slack(content, place.channel),
        }
    }

    /// The message for the account's own system.
    pub fn own_system(&self) -> Value {
        match self {
            Self::Request(content) => own_system(content),
            Self::Test(content) => test_message::own_system(content),
        }
    }
}
