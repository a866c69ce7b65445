//! The whole of Answerback in one process: the four functions, and what stands in for AWS.
//!
//! [`System`] drives the same handlers as Lambda, with the same events. The program `answerback`
//! and the tests are both built on it, so what people try out is what is tested.

mod accounts;
pub mod aws;
pub mod cli;
mod dev;
mod file;
pub mod gateway;
mod keys;
mod place;
pub mod system;
mod table;

pub use system::{Options, System};
