//! The command line. Without a command it runs `dev`.

use std::{env, io, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use tokio::runtime;

use crate::{
    accounts, ask, cancel, consume, dev,
    exit::{self, Ended, Exit, Failure},
    hook, keys, list, login, mcp,
    output::print,
    printable::write_line,
    show, wait,
};

/// Asks people a question from code, and delivers the answer as a signed callback.
///
/// `answerback ask … --wait` makes a script wait for the decision of people. Without a command this
/// runs `answerback dev`: the whole service on this machine. It prints an API key and an example to
/// paste. Nothing else needs to be installed or configured.
#[derive(Debug, Parser)]
#[command(name = "answerback", version, args_conflicts_with_subcommands = true)]
#[command(after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::Flags,
}

const EXAMPLES: &str = "\
Examples:
  answerback                                     run the whole service on this machine
  answerback ask 'Deploy v2.4.1?' --to ada@example.com --wait && ./deploy
  answerback login                               store an address and a key
  answerback completions bash > ~/.local/share/bash-completion/completions/answerback";

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask people a question, and wait for the decision
    ///
    /// Prints the decision on stdout, and progress on stderr. The exit code says how it went. The
    /// command survives restarts of the server, errors of it, and dropped connections.
    #[command(after_help = with_exit_codes(ask::EXAMPLES))]
    Ask(Box<ask::Ask>),
    /// Wait for the decision of a request that exists
    #[command(after_help = with_exit_codes(wait::EXAMPLES))]
    Wait(wait::Wait),
    /// Show a request
    Show(show::Show),
    /// Cancel a pending request
    Cancel(cancel::Cancel),
    /// List requests, newest first
    List(list::List),
    /// Prove that an action was approved, and use the approval up
    ///
    /// The program that is about to act runs this with the action. It succeeds only if recipients
    /// approved exactly this action, within the time and as often as the request allows.
    #[command(after_help = consume::EXAMPLES)]
    Consume(consume::Consume),
    /// Store the address of a server and a key
    ///
    /// Checks the key, and writes a profile to ~/.config/answerback/config.toml (below
    /// `XDG_CONFIG_HOME`, if that is set), which only its owner can read.
    #[command(after_help = login::EXAMPLES)]
    Login(login::Login),
    /// Let AI agents ask: a server of the Model Context Protocol on stdin and stdout
    ///
    /// Forwards each message to `/mcp` of the API, with the key and the headers that it requires. Agents
    /// start this themselves. Use a key of `answerback keys create --agent`.
    #[command(after_help = mcp::EXAMPLES)]
    Mcp(mcp::Mcp),
    /// Answer permission prompts and questions of coding agents (Claude Code, Codex)
    #[command(subcommand, after_help = hook::EXAMPLES)]
    Hook(hook::Hook),
    /// Print a completion script for a shell
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Run the whole service on this machine (the default)
    ///
    /// One process runs the HTTP API, a DynamoDB that stores its data in a folder, the queues, the
    /// schedule, a receiver for callbacks at `/inbox`, and an SES whose mails are read at `/outbox`.
    /// Logs go to stderr; set `RUST_LOG` to change the level. Ctrl-C stops it. A kill loses nothing
    /// that was acknowledged.
    #[command(after_help = dev::EXAMPLES)]
    Dev(dev::Flags),
    /// Manage API keys, locally or in a deployed table
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Manage limits, shards and senders of accounts, locally or in a deployed table
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
    /// requests that were created since it was set, not older ones. It takes effect within 5
    /// seconds. The table is chosen as for `keys create`.
    #[command(after_help = accounts::EXAMPLES)]
    Limit(accounts::Limit),
    /// Spread an account's list of deliveries over more shards, for more writes per second
    ///
    /// A shard takes 1,000 deliveries a second. All shards are read for a page of `GET
    /// /v1/deliveries`. The number cannot shrink. It takes effect within 5 seconds. The table is
    /// chosen as for `keys create`.
    #[command(after_help = accounts::SHARDS_EXAMPLES)]
    Shards(accounts::Shards),
    /// Allow the addresses that an account may send mail from by Amazon SES
    ///
    /// The account's notifiers of the kind `email` with the transport `ses` then send from them. SES
    /// must have verified the address or its domain. It takes effect within 5 seconds. The table is
    /// chosen as for `keys create`.
    #[command(after_help = accounts::SENDERS_EXAMPLES)]
    AllowFrom(accounts::AllowFrom),
}

/// Runs the command. A failure prints one line.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) => return refuse(&err),
    };
    match start(cli.command.unwrap_or(Command::Dev(cli.dev))) {
        Ok(exit) => exit,
        Err(failure) => {
            write_line(&format!("error: {failure}"));
            failure.exit.into()
        }
    }
}

/// Prints help or what is wrong with the command line.
fn refuse(error: &clap::Error) -> ExitCode {
    // A closed pipe is no reason for another exit code.
    let _: io::Result<()> = error.print();
    let is_hook = env::args_os().nth(1).is_some_and(|it| it == "hook");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        // Agents take the usual exit code of a hook for the denial of a tool.
        _ if is_hook => Exit::Otherwise.into(),
        _ => Exit::Usage.into(),
    }
}

fn start(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Ask(ask) => call(ask::run(*ask)),
        Command::Wait(wait) => call(wait::run(wait)),
        Command::Show(show) => call(show::run(show)),
        Command::Cancel(cancel) => call(cancel::run(cancel)),
        Command::List(list) => call(list::run(list)),
        Command::Consume(consume) => call(consume::run(consume)),
        Command::Login(login) => call(login::run(login)),
        Command::Mcp(mcp) => call(mcp::run(mcp)),
        Command::Hook(hook) => call(hook::run(hook)),
        Command::Completions { shell } => {
            // A closed pipe is an error, and no reason to panic.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "answerback", &mut script);
            print(&script)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Dev(flags) => operate(dev::run(flags)),
        Command::Keys(KeysCommand::Create(create)) => operate(keys::create(create)),
        Command::Accounts(AccountsCommand::Limit(limit)) => operate(accounts::limit(limit)),
        Command::Accounts(AccountsCommand::Shards(shards)) => operate(accounts::spread(shards)),
        Command::Accounts(AccountsCommand::AllowFrom(allow)) => {
            operate(accounts::allow_from(allow))
        }
    }
}

/// Runs a command that calls the API. It needs one thread.
fn call(command: impl Future<Output = Ended>) -> Result<ExitCode, Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let exit = runtime.block_on(command);
    // A blocking DNS look-up must not delay the end.
    runtime.shutdown_background();
    exit.map(ExitCode::from)
}

/// Runs a command of an operator or of the local stack.
fn operate(command: impl Future<Output = anyhow::Result<()>>) -> Result<ExitCode, Failure> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let ended = runtime.block_on(command);
    ended.map(|()| ExitCode::SUCCESS).map_err(|err| Failure::new(Exit::Otherwise, err))
}

fn with_exit_codes(examples: &str) -> String {
    format!("{examples}\n\n{}", exit::HELP)
}

#[cfg(test)]
mod tests {
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
