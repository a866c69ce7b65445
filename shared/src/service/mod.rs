//! Use cases that several functions share, over the ports in [`Core`].

mod accounts;
pub mod answer_page;
mod callback_body;
mod core;
mod destinations;
mod hold;
pub mod requests;
mod settle;

pub use self::core::Core;
pub use accounts::{Accounts, Caller, NewKey, new_account};
pub use callback_body::{bus_body, callback_body, posted_body};
pub use destinations::Destinations;
pub use hold::Hold;
