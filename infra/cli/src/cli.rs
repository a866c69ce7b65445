//! The command line. Without a command it runs `dev`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{accounts, dev, keys};

/// Asks people a question from code, and delivers the answer as a signed callback.
///
/// Without a command this runs `answerback dev`: the whole service on this machine. It prints an
/// API key and an example to paste. Nothing else needs to be installed or configured.
#[derive(Debug, Parser)]
#[command(name = "answerback", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole service on this machine (the default)
    ///
    /// One process runs the HTTP API, a DynamoDB that stores its data in a folder, the queues, the
    /// schedule, and a receiver for callbacks at `/inbox`. Logs go to stderr; set `RUST_LOG` to
    /// change the level. Ctrl-C stops it. A kill loses nothing that was acknowledged.
    #[command(after_help = dev::EXAMPLES)]
    Dev(dev::Flags),
    /// Manage API keys, locally or in a deployed table
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Manage limits of accounts, locally or in a deployed table
    #[command(subcommand)]
    Accounts(AccountsCommand),
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Create an API key and print it once
    ///
    /// Only a hash of the key is stored. If `TABLE_NAME` is set, the key is created in that deployed
    /// table, with `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for temporary
    /// credentials, `AWS_SESSION_TOKEN` from the environment. Otherwise it is created in the data
    /// folder of the local stack, which may be running or stopped.
    #[command(after_help = keys::EXAMPLES)]
    Create(keys::Create),
}

#[derive(Debug, Subcommand)]
enum AccountsCommand {
    /// Limit the pending requests of an account
    ///
    /// Above the limit, creating a request fails with 429 until some have ended. The limit counts
    /// requests that were created since it was set, not older ones. It takes effect within 10
    /// seconds. The table is chosen as for `keys create`.
    #[command(after_help = accounts::EXAMPLES)]
    Limit(accounts::Limit),
}

/// Runs the command. A failure prints one line.
pub(crate) async fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command.unwrap_or(Command::Dev(cli.dev)) {
        Command::Dev(flags) => dev::run(flags).await,
        Command::Keys(KeysCommand::Create(create)) => keys::create(create).await,
        Command::Accounts(AccountsCommand::Limit(limit)) => accounts::limit(limit).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[cfg(feature = "dev")]
    #[test]
    fn flags_of_dev_work_without_the_command() {
        for line in ["answerback --port 9000 --memory", "answerback dev --port 9000 --memory"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in ["answerback --memory --data-dir x", "answerback --sweep-interval 0s"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
