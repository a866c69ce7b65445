//! The local stack on the command line: the flags of `answerback dev`, and access to its data.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use answerback::{
    domain::{account::LIST_SHARDS, delivery::LEASE},
    egress::Resolver,
    platform::{
        Vault,
        config::{DUE_SHARDS, RETENTION_DAYS},
    },
    store::{DynamoDb, Layout, Store},
};
use anyhow::Context as _;
use local::{
    Data, TABLE,
    dev::{
        CallbackPolicy, Connection, DATA_DIR, DevOptions, HintPolicy, KMS_KEY_ARN, ReadyOutput,
        SmtpCatcher,
    },
};

use crate::duration;

/// The shortest duration that a flag accepts.
const DURATION_MIN: Duration = Duration::from_secs(1);
/// The longest duration that a flag accepts.
const DURATION_MAX: Duration = Duration::from_hours(24);

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback                           start, and print an example to paste
  answerback dev --memory --json       for scripts and tests: store nothing
  answerback dev --strict              production rules for callbacks
  answerback dev --no-queue --sweep-interval 5s
                                       lose every hint: the sweep still finds all work";

/// The flags of `answerback dev`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate flag")]
pub(crate) struct Flags {
    /// Port of the API, the inbox and the outbox on 127.0.0.1; 0 means any free port
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Folder for the data, the account and its key
    #[arg(long, value_name = "FOLDER", default_value = DATA_DIR, conflicts_with = "memory")]
    data_dir: PathBuf,
    /// Keep all data in memory; it is lost when the process ends
    #[arg(long)]
    memory: bool,
    /// Interval between sweeps, from 1s to 24h
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    sweep_interval: Duration,
    /// Use production rules for callback URLs: no http, no loopback, no private addresses
    #[arg(long)]
    strict: bool,
    /// Drop all hints except those of the sweep, as if the queue lost them
    #[arg(long)]
    no_queue: bool,
    /// JSON file with DNS answers for callbacks: each host maps to a list of answers, each answer
    /// is a list of addresses; other hosts do not resolve
    #[arg(long, value_name = "FILE")]
    resolve: Option<PathBuf>,
    /// Publish events to this event bus (emulated, in memory)
    #[arg(long, value_name = "NAME")]
    bus: Option<String>,
    /// Send mails to this SMTP server, such as a catcher for development, instead of the outbox
    #[arg(long, value_name = "HOST:PORT")]
    smtp: Option<SmtpCatcher>,
    /// Port of the emulated DynamoDB, SQS, EventBridge, KMS and SES; 0 means any free port
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    aws_port: u16,
    /// Address on which the emulated services listen. They accept the credentials in functions.env
    /// only, over plain HTTP
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    aws_host: Ipv4Addr,
    /// Lease of a delivery, from 1s to 24h. With a lease shorter than a callback's timeout, two
    /// workers may attempt one delivery at the same time
    #[arg(long, hide = true, value_name = "DURATION", value_parser = duration)]
    lease: Option<Duration>,
    /// Print one line of JSON instead of the banner when ready
    #[arg(long)]
    json: bool,
}

/// The flags that choose a local stack.
#[derive(Debug, clap::Args)]
pub(crate) struct LocalFlags {
    /// Folder of the local stack [default: .answerback]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// The data of a local stack, running or stopped.
#[derive(Debug)]
pub(crate) struct LocalTable(Connection);

/// Runs the local stack until it is stopped.
pub(crate) async fn run(flags: Flags) -> anyhow::Result<()> {
    local::dev::run(flags.into_options()?).await
}

impl Flags {
    fn into_options(self) -> anyhow::Result<DevOptions> {
        Ok(DevOptions {
            port: self.port,
            resolver: self.resolver()?,
            data: if self.memory { Data::Memory } else { Data::Folder(self.data_dir) },
            sweep_interval: self.sweep_interval,
            callbacks: if self.strict {
                CallbackPolicy::Production
            } else {
                CallbackPolicy::Development
            },
            lease: self.lease.unwrap_or(LEASE),
            hints: if self.no_queue { HintPolicy::Drop } else { HintPolicy::Deliver },
            bus: self.bus,
            smtp: self.smtp,
            aws_address: (self.aws_host, self.aws_port).into(),
            output: if self.json { ReadyOutput::Json } else { ReadyOutput::Banner },
        })
    }

    fn resolver(&self) -> anyhow::Result<Resolver> {
        let Some(path) = &self.resolve else { return Ok(Resolver::System) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}` (--resolve)", path.display()))?;
        Resolver::from_json(&text).with_context(|| format!("`{}` (--resolve)", path.display()))
    }
}

impl LocalFlags {
    /// True if the flags name a folder.
    pub(crate) fn are_given(&self) -> bool {
        self.data_dir.is_some()
    }

    /// Opens the data in the folder.
    pub(crate) async fn open(&self) -> anyhow::Result<LocalTable> {
        let folder = self.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR));
        Ok(LocalTable(Connection::open(folder).await?))
    }
}

impl LocalTable {
    /// The store in the local table.
    pub(crate) fn store(&self) -> Store {
        let layout = Layout {
            n_due_shards: DUE_SHARDS,
            n_list_shards: LIST_SHARDS,
            retention: Duration::from_hours(24 * u64::from(RETENTION_DAYS)),
        };
        Store::new(Arc::new(DynamoDb::new(self.0.sdk.dynamodb(), TABLE)), layout)
    }

    /// The vault of the emulated KMS.
    pub(crate) fn vault(&self) -> Vault {
        Vault::kms(self.0.sdk.kms(), KMS_KEY_ARN)
    }

    /// Closes the connection. Everything that was written is on disk.
    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text)?;
    if (DURATION_MIN..=DURATION_MAX).contains(&duration) {
        return Ok(duration);
    }
    Err("must be from 1s to 24h".to_owned())
}
