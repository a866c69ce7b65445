//! The program `answerback`: the local stack, API keys, and limits of accounts.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    infra::cli::run().await
}
