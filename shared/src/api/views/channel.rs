//! Channels as the API shows them.

use serde::Serialize;

use super::Time;
use crate::domain::Channel;

/// A channel, without its token and secret.
#[derive(Debug, Serialize)]
pub struct ChannelView<'a> {
    id: String,
    name: &'a str,
    livemode: bool,
    created_at: Time,
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
