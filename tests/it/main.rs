//! Tests of the whole service.
//!
//! One binary: linking is the slow part of testing, so it is done once.

mod callbacks;
mod egress;
mod emulator;
mod openapi;
mod tidy;
