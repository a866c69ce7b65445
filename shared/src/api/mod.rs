//! The HTTP API as clients see it: bodies in, views and problems out.

pub mod body;
pub mod browser;
pub mod cors;
pub mod cursor;
pub mod http;
pub mod json;
mod media;
pub mod paths;
pub mod pointer;
mod problem;
pub mod trace;
pub mod views;

pub use problem::{Code, FieldError, FieldErrors, FieldLocation, Problem, REPLAYED};
