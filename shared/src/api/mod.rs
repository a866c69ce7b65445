//! The HTTP API as clients see it: bodies in, views and problems out.

pub mod body;
pub mod cors;
pub mod http;
pub mod pointer;
mod problem;
pub mod trace;
pub mod views;

pub use problem::{Code, FieldError, FieldLocation, Problem, REPLAYED};
