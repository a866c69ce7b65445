//! The program `answerback`: the local stack, and API keys.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    infra::cli::run().await
}
