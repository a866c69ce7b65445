//! What every part of Answerback shares.
//!
//! Arrows point one way: [`service`] uses [`store`], [`egress`] and [`signing`], and these use
//! [`domain`], which uses nothing of ours. `domain` does no I/O, reads no clock and draws no
//! randomness; `egress` alone opens connections to addresses that we did not choose.

pub mod api;
pub mod domain;
pub mod egress;
pub mod fronts;
pub mod page;
pub mod platform;
pub mod service;
pub mod signing;
pub mod store;

/// A future behind a port, of which there are two kinds: the world's and the simulation's.
pub type Promise<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
