//! The module `dev` of a build without the local stack: its commands fail and say why.

use answerback::{platform::Vault, store::Store};
use anyhow::bail;

pub(crate) const EXAMPLES: &str = "";

/// The ignored arguments of `answerback dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    ignored: Vec<String>,
}

/// Fails, because this build has no local stack.
#[expect(clippy::unused_async, reason = "the build with the local stack awaits here")]
pub(crate) async fn run(_: Flags) -> anyhow::Result<()> {
    bail!("this build has no local stack; build `answerback` with its default features")
}

/// The flags that choose a local stack: none.
#[derive(Debug, clap::Args)]
pub(crate) struct LocalFlags {}

/// The data of a local stack. This build has none.
#[derive(Debug)]
pub(crate) enum LocalTable {}

impl LocalFlags {
    pub(crate) fn are_given(&self) -> bool {
        let Self {} = self;
        false
    }

    #[expect(clippy::unused_async, reason = "the build with the local stack awaits here")]
    pub(crate) async fn open(&self) -> anyhow::Result<LocalTable> {
        let Self {} = self;
        bail!("this build has no local stack; set TABLE_NAME and AWS_REGION for a deployed table")
    }
}

impl LocalTable {
    pub(crate) fn store(&self) -> Store {
        match *self {}
    }

    pub(crate) fn vault(&self) -> Vault {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "the build with the local stack awaits here")]
    pub(crate) async fn close(self) {
        match self {}
    }
}
