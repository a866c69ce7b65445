//! The HTTP API as clients see it: bodies in, views and problems out.

pub mod body;
pub mod cors;
pub mod http;
mod problem;
pub mod views;

pub use body::Fields;
pub use problem::{Code, FieldError, FieldLocation, Problem};
