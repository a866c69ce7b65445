//! The program `answerback`: the local stack, API keys, and limits of accounts.

mod accounts;
mod cli;
mod keys;
mod target;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}
