//! The local stack behind `answerback dev`: everything in one process, until Ctrl-C.
//!
//! ```text
//! 127.0.0.1:8787 ─┬─ /inbox…  ─▶ inbox      a receiver that verifies and shows callbacks
//!                 ├─ /outbox… ─▶ outbox     the mails that the emulated SES accepted
//!                 └─ the rest ─▶ System     as API Gateway invokes intake and poll
//! workers ─┬─ hints, concurrently ───▶ System     as the queues invoke deliver
//!          └─ at start, then every minute ─▶ System     as the schedule invokes sweep
//! ```
//!
//! It adds nothing to the functions. A kill is a crash like any other: the next start begins with a
//! sweep, which finds all work that was due.

mod account;
mod banner;
mod capacity;
mod connection;
mod environment;
mod inbox;
mod notifier;
mod outbox;
mod server;
mod signals;
mod smtp;
mod workers;

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use answerback::{
    domain::CallbackRules,
    egress::{self, Resolver},
    platform::{Clock, Entropy},
};
use local_aws::Data;

pub use account::Ready;
pub use connection::Connection;
pub use local_aws::KMS_KEY_ARN;
pub use smtp::SmtpCatcher;

use crate::{System, SystemOptions, system::Watch};
use inbox::Inbox;
use outbox::Outbox;
use server::Server;
use signals::Signals;
use workers::Worker;

/// Default folder of the data.
pub const DATA_DIR: &str = ".answerback";
/// Longest stop. Work that is cut off is like work of a process that died: the next start finds it.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// Default of `RUST_LOG`.
const LOG_FILTER: &str = "warn,audit=info,answerback=info,local=info,local_aws=info,intake=info,\
                          poll=info,sweep=info,deliver=info,dynoxide=error";

/// The configuration of a local stack.
#[derive(Debug)]
pub struct DevOptions {
    /// Port of the API, the inbox and the outbox, on loopback. 0 means any free port.
    pub port: u16,
    /// Storage of the data, the account and its key.
    pub data: Data,
    /// Interval between sweeps.
    pub sweep_interval: Duration,
    /// The rules for callback URLs.
    pub callbacks: CallbackPolicy,
    /// The fate of hints.
    pub hints: HintPolicy,
    /// Time for which a worker leases a delivery.
    pub lease: Duration,
    /// The DNS resolver for callbacks.
    pub resolver: Resolver,
    /// The event bus, if events are published.
    pub bus: Option<String>,
    /// The server to which mails are sent. By default they go to the outbox.
    pub smtp: Option<SmtpCatcher>,
    /// Address of the emulated AWS.
    pub aws_address: SocketAddr,
    /// The text that is printed when the stack is ready.
    pub output: ReadyOutput,
}

/// The rules for callback URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackPolicy {
    /// http and this machine are allowed.
    Development,
    /// https and public addresses only.
    Production,
}

/// The fate of hints that functions send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintPolicy {
    /// They reach the queue.
    Deliver,
    /// All but the sweep's are lost.
    Drop,
}

/// The text on stdout when the stack is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyOutput {
    /// A banner with an example.
    Banner,
    /// One line of JSON.
    Json,
}

/// Runs the local stack until a signal stops it.
pub async fn run(options: DevOptions) -> anyhow::Result<()> {
    init_logging();
    let DevOptions { port, data, sweep_interval, callbacks, hints, resolver, bus, .. } = options;
    let rules = match callbacks {
        CallbackPolicy::Development => CallbackRules::development(),
        CallbackPolicy::Production => CallbackRules::strict(),
    };
    let listener = server::listen(port).await?;
    let mut signals = Signals::new()?;
    let folder = match &data {
        Data::Memory => None,
        Data::Folder(folder) => Some(folder.clone()),
    };
    let folder = folder.as_deref();
    if let Some(folder) = folder {
        account::create_folder(folder)?;
    }
    let base_url = format!("http://{}", listener.local_addr()?);
    let system = System::start(SystemOptions {
        data,
        aws_address: Some(options.aws_address),
        clock: Clock::System,
        entropy: Entropy::System,
        egress: egress::Client::network(rules.clone(), resolver),
        rules,
        bus: bus.clone(),
        has_queue: hints == HintPolicy::Deliver,
        lease: options.lease,
        message_base_url: base_url.clone(),
        watch: Watch::default(),
    })
    .await?;
    let account =
        account::find_or_create(&system, folder, &base_url, options.smtp.as_ref()).await?;
    if let Some(folder) = folder {
        environment::write(folder, &system, bus.as_deref())?;
    }

    let inbox = Arc::new(Inbox::new(&system, account.id));
    let outbox = Arc::new(Outbox::new(&system, &base_url));
    let server = server::start(listener, system.clone(), inbox, outbox)?;
    let worker = Worker::start(&system);
    let ready = match options.output {
        ReadyOutput::Json => account.ready.to_line()?,
        ReadyOutput::Banner => banner::text(&account.ready, folder, callbacks),
    };
    tokio::select! {
        () = signals.next() => {}
        () = async {
            // Work that a crash left behind comes first. The sweep logs its results.
            system.sweep().await;
            print_ready(&ready);
            workers::sweep_at_intervals(&system, sweep_interval).await;
        } => {}
    }
    stop(&system, worker, server, signals).await;
    Ok(())
}

/// Lets calls in flight finish, and ends the process. A second signal ends it at once.
async fn stop(system: &System, worker: Worker, server: Server, mut signals: Signals) {
    tracing::info!("finishing calls in flight; press Ctrl-C again to stop now");
    let finish = async {
        // The worker first: it may still be posting to the inbox.
        worker.stop().await;
        server.stop().await;
        system.aws.clone().stop().await;
    };
    tokio::select! {
        ended = tokio::time::timeout(STOP_TIMEOUT, finish) => {
            if ended.is_err() {
                tracing::warn!("stopped with work still in flight; the next start continues it");
            }
        }
        () = signals.next() => {}
    }
    // Returning would wait for work that still runs.
    std::process::exit(0);
}

fn print_ready(text: &str) {
    // A closed stdout is no reason to stop: clients can still call the stack.
    let _: io::Result<()> =
        io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}

fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(filter.unwrap_or_else(|_| LOG_FILTER.into()))
        .init();
}
