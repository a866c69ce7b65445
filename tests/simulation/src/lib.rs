//! Simulation of every function under every fault.
//!
//! The deployed functions run in a simulated world. One seed decides everything that happens:
//! durations, failures, crashes and lost messages. `world` has the clock and the randomness.
//! `process` makes calls as a function's process does, through the ports in `aws` and `receiver`.
//! `fleet` invokes functions as Lambda does. A [`Scenario`] defines the actions of callers and
//! receivers. `check` verifies the promises at the end, and [`modes`] search for a history that
//! breaks one.
//!
//! ```text
//!   caller ──▶ fleet: intake, poll          sweep ◀── every minute
//!                       │    │                │
//!                    process: table, queue, DNS, receivers, bus    ◀── faults
//!                       │    │                │
//!                     queue ──▶ fleet: deliver ──▶ receivers
//! ```

mod aws;
mod caller;
pub mod catalogue;
mod check;
mod escalation;
pub mod fault;
mod fleet;
mod found;
mod history;
mod hooks;
mod messengers;
pub mod modes;
pub mod mutants;
mod page;
mod process;
mod queue;
mod receiver;
mod routers;
mod scenario;
mod seen;
mod services;
mod slack;
pub mod table;
mod taps;
mod world;

pub use check::{Invariant, Violation};
pub use found::Found;
pub use history::Outcome;
pub use hooks::Hook;
pub use messengers::{Change, Messenger, Service, SlackPlace};
pub use receiver::{Behaviour, Hosts};
pub use scenario::{Action, Plan, Scenario, What};
pub use taps::Tap;
pub use world::Weather;
