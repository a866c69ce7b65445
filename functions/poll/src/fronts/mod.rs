//! The APIs of other products. They show ordinary requests and webhooks in other formats.

pub(crate) mod nextks;
pub(crate) mod nextmv;
pub(crate) mod ping;
