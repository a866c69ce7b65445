//! The whole of Answerback in one process: the four functions over an emulated AWS.
//!
//! [`System`] drives the same handlers as Lambda, with the same events. The program `answerback`
//! and the tests are both built on it.

pub mod dev;
pub mod gateway;
pub mod system;
mod table;

pub use system::{Options, System};
pub use table::NAME as TABLE;
