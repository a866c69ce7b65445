//! The HTTP API as callers see it: bodies in, views out, problems.

pub mod body;
pub mod http;
pub mod pointer;
mod problem;
pub mod trace;
pub mod views;

pub use problem::{Code, FieldError, FieldLocation, Problem};
