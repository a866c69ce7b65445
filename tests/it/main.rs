//! Tests of the whole service.
//!
//! One binary: linking is the slow part of testing, so it is done once.

mod access;
mod callbacks;
mod egress;
mod emulator;
mod idempotency;
mod lists;
mod openapi;
mod requests;
mod submission;
mod tidy;
