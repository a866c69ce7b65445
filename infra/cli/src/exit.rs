//! Exit codes of the commands that call the API, and the errors behind them.

use std::{fmt, process::ExitCode};

/// The exit code of a command. Scripts branch on it, so each keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command succeeded. For a question: the decision is an accepted one.
    Accepted,
    /// The recipients decided otherwise.
    Otherwise,
    /// The command line, the settings or a local file is wrong.
    Usage,
    /// The deadline passed without an accepted decision.
    DeadlinePassed,
    /// The request was cancelled.
    Cancelled,
    /// The server refused the call.
    Refused,
    /// The server was unreachable for longer than `--give-up`.
    Unreachable,
    /// The request is still pending after `--wait-timeout`.
    StillPending,
    /// SIGINT arrived.
    Interrupted,
    /// SIGTERM arrived.
    Terminated,
}

/// The exit codes, for the help of the commands that wait.
pub(crate) const HELP: &str = "\
Exit codes:
  0    accepted
  1    decided otherwise
  2    wrong command line, settings or file
  3    the deadline passed without an accepted decision
  4    cancelled
  5    refused by the server (for example 401, 403, 422, or 429 with a pause longer than
       --give-up)
  6    the server was unreachable for longer than --give-up
  124  still pending after --wait-timeout
  130  interrupted by SIGINT; 143 by SIGTERM";

/// A command that failed: its exit code, and the error for stderr.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    error: anyhow::Error,
}

/// The end of a command that calls the API.
pub(crate) type Ended = Result<Exit, Failure>;

impl Exit {
    /// The number that the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Otherwise => 1,
            Self::Usage => 2,
            Self::DeadlinePassed => 3,
            Self::Cancelled => 4,
            Self::Refused => 5,
            Self::Unreachable => 6,
            Self::StillPending => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// The failure with more text at its end.
    pub(crate) fn and(self, more: &str) -> Self {
        let error = anyhow::anyhow!("{self}; {more}");
        Self { error, ..self }
    }
}

/// An error before or after the calls: a setting, a file, or stdout.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}
