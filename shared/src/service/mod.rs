//! What every `main` needs: configuration, the outside world, who is calling, how requests are
//! moved on, and one way to say what went wrong.

mod accounts;
mod advance;
pub mod answering;
pub mod bus;
pub mod channels;
pub mod config;
pub mod fields;
pub mod fronts;
pub mod hints;
pub mod http;
mod problem;
pub mod requests;
mod sdk;
mod settle;
mod skew;
pub mod telemetry;
pub mod vault;
mod webhooks;
pub mod wire;
pub mod wiring;
mod world;

pub use accounts::{Accounts, Caller, NewKey, Owner, new_account};
pub use advance::{Lost, advance};
pub use bus::Bus;
pub use config::Config;
pub use fields::Fields;
pub use hints::{Group, Hint, Hints, Lane};
pub use problem::{Code, Fault, Place, Problem};
pub use sdk::Sdk;
pub use settle::{settle, settled};
pub use vault::{NewSecret, Vault};
pub use webhooks::Webhooks;
pub use world::{Clock, Entropy, ManualClock};
