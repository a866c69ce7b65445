//! Incoming webhooks of chat programs: a message with the link, in the markup of each program.

mod compose;
mod discord;
mod google_chat;
mod mattermost;
pub(super) mod slack;
mod teams;

use serde_json::Value;

pub(super) use compose::{Form, TitlePlace, compose};

use super::{Content, facts::Facts};
use crate::domain::notifier::ChatFormat;

/// The message with this content for a chat program.
pub fn chat(content: &Content<'_>, format: ChatFormat) -> Value {
    let facts = Facts::of(content);
    match format {
        ChatFormat::Teams => teams::message(&facts, content.link),
        ChatFormat::Discord => discord::message(&facts, content.link),
        ChatFormat::Mattermost => mattermost::message(&facts, content.link),
        ChatFormat::GoogleChat => google_chat::message(&facts, content.link),
        ChatFormat::Slack => slack::message(&facts, content.link),
    }
}

/// A message of one line, without a link.
pub(super) fn notice(text: &str, format: ChatFormat) -> Value {
    match format {
        ChatFormat::Teams => teams::notice(text),
        ChatFormat::Discord => discord::notice(text),
        ChatFormat::Mattermost => mattermost::notice(text),
        ChatFormat::GoogleChat => google_chat::notice(text),
        ChatFormat::Slack => slack::notice(text),
    }
}
