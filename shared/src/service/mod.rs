//! Use cases that several functions share.

mod accounts;
pub mod answering;
pub mod requests;
mod settle;
mod webhooks;

pub use accounts::{Accounts, Caller, NewKey, new_account};
pub use settle::{settle, settled};
pub use webhooks::Webhooks;
