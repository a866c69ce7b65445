//! Tests of the whole service.
//!
//! One binary: linking is the slow part of testing, so it is done once.

mod acceptance;
mod access;
mod actions;
mod answering;
mod bus;
mod callbacks;
mod canaries;
mod channels;
mod cost;
mod deliveries;
mod edges;
mod egress;
mod emulator;
mod events;
mod forgery;
mod fronts;
mod histories;
mod idempotency;
mod isolation;
mod keys;
mod limits;
mod lists;
mod openapi;
mod outside_bytes;
mod page;
mod profiles;
mod races;
mod requests;
mod results;
mod retention;
mod rights;
mod scopes;
mod secrets;
mod simulated_table;
mod ssrf;
mod submission;
mod telemetry;
mod tidy;
mod timeouts;
mod upgrades;
mod webhooks;
