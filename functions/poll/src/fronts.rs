//! The APIs of other products, which show ordinary requests in words of their own.

pub(crate) mod nextks;
pub(crate) mod ping;
