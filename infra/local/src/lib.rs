//! The whole service in one process: the four functions on an emulated AWS.
//!
//! ```text
//! cli ──▶ dev ────▶ server, inbox, outbox, workers ─┐
//! tests ────────────────────────────────────────────┴─▶ System ─▶ gateway ─▶ intake, poll
//!                                                         │ └───▶ sweep, deliver
//!                                                         └─▶ local_aws::Aws
//! ```
//!
//! [`System`] invokes the same handlers as Lambda, with the same events. The program `answerback`
//! and the tests are both built on it. It knows nothing of command lines.

mod connector;
pub mod dev;
mod emulator_clock;
pub mod gateway;
pub mod system;
mod table;

pub use emulator_clock::EmulatorClock;
pub use local_aws::Data;
pub use system::{System, SystemOptions};
pub use table::TABLE;
