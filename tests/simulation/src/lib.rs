//! Every function under every fault.
//!
//! The functions themselves, as they are deployed, run in a world where one number decides what
//! happens: how long things take, what fails, who dies, which message is lost. `world` has the
//! clock and the chance, `process` calls as a function's process does, through the ports in `aws`
//! and `receiver`, `fleet` invokes functions as Lambda does. A [`Scenario`] says what callers and
//! receivers do, `check` what must hold in the end, and [`modes`] look for a history in which it
//! does not.
//!
//! ```text
//!   caller ──▶ fleet: intake, poll          sweep ◀── each minute
//!                       │    │                │
//!                    process: table, queue, names, receivers, bus    ◀── faults
//!                       │    │                │
//!                     queue ──▶ fleet: deliver ──▶ receivers
//! ```

mod aws;
mod caller;
pub mod catalogue;
mod check;
pub mod fault;
mod fleet;
mod found;
mod history;
mod hooks;
pub mod modes;
pub mod mutants;
mod process;
mod queue;
mod receiver;
mod scenario;
mod seen;
pub mod table;
mod world;

pub use check::{Invariant, Violation};
pub use found::Found;
pub use history::Outcome;
pub use hooks::Hook;
pub use receiver::Behaviour;
pub use scenario::{Action, Plan, Scenario, What};
pub use world::Weather;
