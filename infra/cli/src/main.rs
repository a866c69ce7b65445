//! The program `answerback`: questions from scripts and agents, the local stack, API keys, and
//! limits and shards of accounts.
//!
//! ```text
//! cli ─┬─ ask, wait, show, list, ─┬─▶ settings
//!      │  cancel, consume, login, └─▶ client ─▶ the API of any server
//!      │  hook, mcp
//!      ├─ dev ─────────────────▶ local::dev
//!      ├─ keys ─────┬─▶ target ─┬─▶ a deployed table
//!      └─ accounts ─┘           └─▶ dev ─▶ the data of a local stack
//! ```
//!
//! `dev` is a feature that is on by default. A build without it works on deployed servers and tables
//! only, and links neither the four functions nor the emulated AWS.

mod accounts;
mod action;
mod ask;
mod cancel;
mod cli;
mod client;
mod consume;
#[cfg(feature = "dev")]
mod dev;
#[cfg(not(feature = "dev"))]
#[path = "no_dev.rs"]
mod dev;
mod duration;
mod exit;
mod files;
mod hook;
mod keys;
mod list;
mod login;
mod mcp;
mod output;
mod printable;
mod progress;
mod request;
mod settings;
mod show;
mod signals;
mod target;
mod wait;

use std::process::ExitCode;

/// A sixth of the local stack's CPU time went to the system's allocator.
#[cfg(feature = "dev")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
