//! Use cases that several functions share, over the ports in [`Core`].

mod accounts;
pub mod answering;
mod core;
pub mod requests;
mod settle;
mod webhooks;

pub use self::core::Core;
pub use accounts::{Accounts, Caller, NewKey, new_account};
pub use webhooks::Webhooks;
