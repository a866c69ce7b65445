//! `answerback dev`: everything in one process, until Ctrl-C.
//!
//! ```text
//! 127.0.0.1:8787 ─┬─ /inbox…  ─▶ inbox      what a customer's receiver would do
//!                 └─ the rest ─▶ System     as API Gateway calls intake and poll
//! workers ─┬─ hints, many events at once ─▶ System     as the queues call deliver
//!          └─ at once, then every minute ─▶ System     as the schedule calls sweep
//! ```
//!
//! It adds nothing to what the functions do. A kill at any instant is a crash like any other: what
//! was due is found by the sweep that the next start begins with.

mod account;
mod banner;
mod environment;
mod inbox;
mod server;
mod workers;

use std::{
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use answerback::{
    domain::CallbackRules,
    egress::{self, Resolver},
    platform::{Clock, Entropy},
};
use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use account::Ready;

use crate::{Options, System, system::Watch};
use inbox::Inbox;
use local_aws::Data;
use workers::Worker;

/// Where data is kept unless told otherwise.
pub const DATA_DIR: &str = ".answerback";
/// A sweep may be waited for, but not for ever.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_hours(24);
/// What is logged unless `RUST_LOG` says otherwise.
const LOGGED: &str = "warn,audit=info,answerback=info,infra=info,intake=info,poll=info,sweep=info,\
                      deliver=info,dynoxide=error";

/// Examples for the command line's help.
pub const EXAMPLES: &str = "\
Examples:
  answerback                           start, and print an example to paste
  answerback dev --memory --json       for scripts and tests: nothing is kept
  answerback dev --strict              callbacks by the rules of production
  answerback dev --no-queue --sweep-interval 5s
                                       every hint is lost: the sweep finds everything";

/// How the local stack is to run.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Flags {
    /// Port of the API and the inbox, on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Folder for the data, the account and its key, kept over restarts
    #[arg(long, value_name = "FOLDER", default_value = DATA_DIR, conflicts_with = "memory")]
    data_dir: PathBuf,
    /// Keep everything in memory: gone with the process
    #[arg(long)]
    memory: bool,
    /// How often the sweep looks for what is due, such as 1s, 60s or 5m
    #[arg(long, value_name = "LENGTH", default_value = "60s", value_parser = length)]
    sweep_interval: Duration,
    /// Production's rules for callback URLs: no http, no loopback, no private address
    #[arg(long)]
    strict: bool,
    /// Drop every hint but the sweep's, as if the queue lost them
    #[arg(long)]
    no_queue: bool,
    /// Script DNS for callbacks with a JSON file: host, then a list of answers, each a list of
    /// addresses; other names do not exist
    #[arg(long, value_name = "FILE")]
    resolve: Option<PathBuf>,
    /// Publish events to this event bus (emulated, kept in memory)
    #[arg(long, value_name = "NAME")]
    bus: Option<String>,
    /// Port of the emulated DynamoDB, SQS, EventBridge and KMS; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    aws_port: u16,
    /// Address of this machine that they listen on. They ask for no credentials: whoever reaches
    /// it reads and writes everything
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    aws_host: Ipv4Addr,
    /// When ready, print one line of JSON and nothing else on stdout
    #[arg(long)]
    json: bool,
}

/// Ctrl-C, and what service managers send.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Runs until it is told to stop.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    log();
    let rules = flags.rules();
    let egress = egress::Client::network(rules.clone(), flags.resolver()?);
    let listener = server::listen(flags.port).await?;
    let mut signals = Signals::new()?;
    let folder = flags.folder();
    if let Some(folder) = folder {
        account::make_folder(folder)?;
    }
    let system = System::start(Options {
        data: folder.map_or(Data::Memory, |it| Data::Folder(it.to_owned())),
        aws_address: Some((flags.aws_host, flags.aws_port).into()),
        clock: Clock::System,
        entropy: Entropy::System,
        egress,
        rules,
        bus: flags.bus.clone(),
        has_queue: !flags.no_queue,
        watch: Watch::default(),
    })
    .await?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let (ready, account) = account::find_or_make(&system, folder, &base_url).await?;
    if let Some(folder) = folder {
        environment::write(folder, &system, flags.bus.as_deref())?;
    }

    let inbox = Arc::new(Inbox::new(&system, account));
    let server = server::start(listener, system.clone(), inbox);
    let worker = Worker::start(&system);
    // What a crash left behind comes first. It logs what it did.
    system.sweep().await;
    let text = if flags.json { ready.line()? } else { banner::text(&ready, folder, flags.strict) };
    // Who closed our stdout can still use us.
    let _: io::Result<()> =
        io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());

    workers::sweep_until(&system, flags.sweep_interval, signals.next()).await;
    tracing::info!("finishing what is under way; Ctrl-C again leaves it to the next start");
    let finish = async {
        // The worker first: it may still be posting to the inbox.
        worker.stop().await;
        server.stop().await;
        system.aws.clone().stop().await;
    };
    tokio::select! {
        () = finish => {}
        () = signals.next() => {}
    }
    Ok(())
}

impl Flags {
    fn rules(&self) -> CallbackRules {
        if self.strict { CallbackRules::strict() } else { CallbackRules::development() }
    }

    fn resolver(&self) -> anyhow::Result<Resolver> {
        let Some(path) = &self.resolve else { return Ok(Resolver::System) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}` (--resolve)", path.display()))?;
        Resolver::from_json(&text).with_context(|| format!("`{}` (--resolve)", path.display()))
    }

    fn folder(&self) -> Option<&Path> {
        (!self.memory).then_some(&self.data_dir)
    }
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(filter.unwrap_or_else(|_| LOGGED.into()))
        .init();
}

/// A length of time of a second up to a day.
fn length(text: &str) -> Result<Duration, String> {
    let length = text.parse::<jiff::SignedDuration>().map_err(|err| err.to_string())?;
    let length = Duration::try_from(length).map_err(|err| err.to_string())?;
    if (Duration::from_secs(1)..=SWEEP_INTERVAL_MAX).contains(&length) {
        return Ok(length);
    }
    Err("must be at least 1s and at most 24h".to_owned())
}
