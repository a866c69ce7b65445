//! The program `answerback`: the local stack, API keys, and limits of accounts.
//!
//! ```text
//! cli ─┬─ dev ─────────────────▶ local::dev
//!      ├─ keys ─────┬─▶ target ─┬─▶ a deployed table
//!      └─ accounts ─┘           └─▶ dev ─▶ the data of a local stack
//! ```
//!
//! `dev` is a feature that is on by default. A build without it works on deployed tables only, and
//! links neither the four functions nor the emulated AWS.

mod accounts;
mod cli;
#[cfg(feature = "dev")]
mod dev;
#[cfg(not(feature = "dev"))]
#[path = "no_dev.rs"]
mod dev;
mod keys;
mod target;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}
