//! Ping: channels, and answers to their messages.

pub(crate) mod channels;
pub(crate) mod messages;
