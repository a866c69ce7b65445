//! The crate that all functions of Answerback share.
//!
//! ```text
//! service ─▶ fronts ─▶ api ─▶ platform ─▶ store, signing, egress, notify ─▶ page ─▶ domain
//! ```
//!
//! A module uses only those to its right. `domain` has the rules, and does no I/O, reads no clock
//! and draws no random numbers. `egress` alone connects to addresses that we did not choose.

pub mod api;
pub mod domain;
pub mod egress;
pub mod fronts;
pub mod notify;
pub mod page;
pub mod platform;
pub mod service;
pub mod signing;
pub mod store;

/// The future of a call through a port: to the real world, or to the simulation.
pub type Promise<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
