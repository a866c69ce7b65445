//! The platform that a function runs on: configuration, AWS clients, clock, entropy, queues, the
//! event bus, Amazon SES, the vault and telemetry.
//!
//! Each port has a real side and one for tests or the simulation. Nothing here decides what happens
//! to a request or a delivery.

pub mod bus;
mod cache;
mod clock;
mod clock_skew;
pub mod config;
mod entropy;
pub mod hints;
mod sdk;
pub mod ses;
mod shared_reads;
pub mod telemetry;
pub mod vault;
pub mod wiring;

pub use bus::Bus;
pub use cache::Cache;
pub use clock::{Clock, ManualClock};
pub use config::Config;
pub use entropy::Entropy;
pub use hints::{Group, Hint, Hints, Lane, OutgoingHint};
pub use sdk::{Deferred, Sdk};
pub use ses::Ses;
pub use shared_reads::SharedReads;
pub use vault::{NewSecret, Vault};
