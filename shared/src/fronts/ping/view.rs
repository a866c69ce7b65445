//! Channels, and answers to messages, in the format of Ping.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    api::views::{AnswerFields, Time, answer_fields},
    domain::{Answer, Channel, MessageId, OutboxEvent, Request},
};

/// A channel, without its token and secret.
#[derive(Debug, Serialize)]
pub struct ChannelView<'a> {
    id: String,
    name: &'a str,
    livemode: bool,
    created_at: Time,
}

/// An answer to a message: the result of a read, and the callback body.
#[derive(Debug, Serialize)]
pub struct PingView<'a> {
    message_id: String,
    channel_id: Option<String>,
    timestamp: Time,
    triggered_by: Option<&'a str>,
    responses: AnswerFields<'a>,
}

impl<'a> ChannelView<'a> {
    /// The view of `channel`.
    pub fn new(channel: &'a Channel) -> Self {
        Self {
            id: channel.id.to_string(),
            name: &channel.name,
            livemode: channel.owner.mode.is_live(),
            created_at: Time(channel.created_at),
        }
    }
}

impl<'a> PingView<'a> {
    /// The first answer to `request`. `None` without one.
    pub fn of_request(request: &'a Request) -> Option<Self> {
        let row = request.rows.iter().flatten().next()?;
        Some(Self::new(request, row.at, Some(&row.answer)))
    }

    /// The callback body of `event` of `request`.
    pub fn of_event(request: &Request, event: &'a OutboxEvent) -> Self {
        Self::new(request, event.at, event.answered().map(|it| &it.answer))
    }

    fn new(request: &Request, at: Timestamp, answer: Option<&'a Answer>) -> Self {
        Self {
            message_id: MessageId::of(request.id).to_string(),
            channel_id: request.channel.map(|it| it.to_string()),
            timestamp: Time(at),
            triggered_by: answer.and_then(|it| it.option.as_deref()),
            responses: answer.map(answer_fields).unwrap_or_default(),
        }
    }
}
