//! What can be typed after `answerback`. Without a word it is `dev`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{accounts, keys};
use local::dev;

/// Asks people a question from code, and brings the answer back as a signed callback.
///
/// Without a command this is `answerback dev`: the whole service on this machine, which prints an
/// API key and an example to paste. Nothing needs to be installed or configured first.
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
    /// Runs the whole service on this machine (the default)
    ///
    /// One process: the HTTP API, a DynamoDB that keeps its data in a folder, the queue, the
    /// schedule, and a receiver for callbacks at `/inbox`. Logs go to stderr; `RUST_LOG` says how
    /// much. Ctrl-C stops it; a kill loses nothing that was acknowledged.
    #[command(after_help = dev::EXAMPLES)]
    Dev(dev::Flags),
    /// Makes API keys, locally or in a deployed table
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Sets what accounts may do, locally or in a deployed table
    #[command(subcommand)]
    Accounts(AccountsCommand),
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Makes an API key, and prints it: it is shown this once
    ///
    /// Only a hash of the key is kept. Where `TABLE_NAME` is set, the key is made in that deployed
    /// table, with `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and maybe
    /// `AWS_SESSION_TOKEN` from the environment. Otherwise it is made in the data folder of the
    /// local stack, whether that runs or not.
    #[command(after_help = keys::EXAMPLES)]
    Create(keys::Create),
}

#[derive(Debug, Subcommand)]
enum AccountsCommand {
    /// Sets how many requests of an account may be pending at once
    ///
    /// Beyond that, asking is refused with 429 until some have ended. Requests are counted that
    /// are made while there is a cap; those from before are not. It counts within 10 seconds.
    /// Which table it is about is decided as by `keys create`.
    #[command(after_help = accounts::EXAMPLES)]
    Limit(accounts::Limit),
}

/// Does what the command line says. A failure is told in one line.
pub(crate) async fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Dev(cli.dev)) {
        Command::Dev(flags) => dev::run(flags).await,
        Command::Keys(KeysCommand::Create(create)) => keys::create(create).await,
        Command::Accounts(AccountsCommand::Limit(limit)) => accounts::limit(limit).await,
    };
    match done {
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
    fn the_command_line_is_well_made() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_flags_of_dev_need_no_word() {
        for line in ["answerback --port 9000 --memory", "answerback dev --port 9000 --memory"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in ["answerback --memory --data-dir x", "answerback --sweep-interval 0s"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
