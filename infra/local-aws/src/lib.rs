//! An AWS emulator in one process and on one port. It listens on loopback by default.
//!
//! ```text
//! SDK, CLI ─▶ port ─┐            ┌ DynamoDB_20120810.* ─▶ dynamo ─▶ dynoxide ┐
//!                   ├─▶ router ──┼ AmazonSQS.* ─────────▶ queue ──▶ journal ─┴▶ SQLite
//! SDK ──▶ Aws::call ┘            ├ AWSEvents.* ─────────▶ bus (in memory)
//! in this process                ├ TrentService.* ──────▶ kms (its key is a file in the data folder)
//!                                └ /v2/email/… ─────────▶ mail (SES, in SQLite)
//! ```
//!
//! The real AWS clients run against it, so local code takes the same path as deployed code. Items,
//! messages and mails are on disk before a call is acknowledged. Published events are only kept for
//! reading, and end with the process.
//!
//! A call over the port must be signed with the credentials of this start ([`Credentials`]), and web
//! pages are refused ([`guard`]): anyone who can call the emulator can read and write all data.
//! Calls from this process use no socket ([`Aws::call`]).
//!
//! This package knows AWS and nothing of the service that runs on it. It depends on no other
//! package of this workspace.

pub mod atomic_file;
mod bus;
mod clock;
mod database;
mod disk;
mod dynamo;
mod error;
mod folder;
pub mod guard;
mod ids;
mod journal;
mod kms;
mod mail;
mod queue;
mod router;
mod signature;
mod stop;

use std::{
    fs::{File, TryLockError},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    body::Bytes,
    http::{Request, Response},
};
use database::Database;
use disk::Disk;
use dynamo::Dynamo;
use guard::Guard;
use kms::Kms;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

pub use bus::{Bus, PublishedEvent};
pub use clock::{Clock, Sleep, SystemClock};
pub use kms::KMS_KEY_ARN;
pub use mail::{LISTED_BYTES_MAX, Mail, MailEvent, MailEventKind, MailFault, MailRule, SentMail};
pub use queue::{Attribute, Depth, Error as QueueError, Message, Queue, sqs_event};
pub use signature::Credentials;

/// The region of all resources.
pub const REGION: &str = "us-east-1";
/// The account of all resources.
const ACCOUNT: &str = "000000000000";
/// The lock file in the data folder.
const LOCK_FILE: &str = "lock";
/// The database in the data folder.
const DATABASE_FILE: &str = "aws.sqlite";
/// The database's write-ahead log. `SQLite` keeps it while the database is open.
const LOG_FILE: &str = "aws.sqlite-wal";
/// Longest wait for calls in flight during a stop. A client may have sent only half of a call.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running emulator. Clones share it. It ends with [`Aws::stop`] or with the last clone.
#[derive(Clone)]
pub struct Aws(Arc<Inner>);

struct Inner {
    endpoint: String,
    credentials: Credentials,
    queue: Queue,
    bus: Bus,
    mail: Mail,
    running: Mutex<Option<Running>>,
}

/// The parts that a stop takes apart.
struct Running {
    database: Database,
    disk: Disk,
    disk_thread: thread::JoinHandle<()>,
    services: Arc<router::Services>,
    /// Each call from this process holds a receiver.
    calls: watch::Sender<()>,
    stop_router: watch::Sender<()>,
    router: JoinHandle<()>,
    lock: Option<File>,
}

/// The storage of items and messages.
#[derive(Clone, Debug)]
pub enum Data {
    /// In memory: gone with the process.
    Memory,
    /// In this folder, which is created if it is missing. One process at a time can use it.
    Folder(PathBuf),
}

/// The emulator has stopped.
#[derive(Debug, thiserror::Error)]
#[error("the emulated AWS has stopped")]
pub struct Stopped;

/// An opened [`Data`].
struct OpenData {
    database: Database,
    log: Option<File>,
    kms: Kms,
    /// Keeps other processes out of the folder.
    lock: Option<File>,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Aws {
    /// Starts the emulator. It listens at `address`, or on any free port of loopback.
    pub async fn start(
        data: Data,
        address: Option<SocketAddr>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let OpenData { database, log, kms, lock } =
            tokio::task::spawn_blocking(move || data.open()).await??;
        let address = address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("the emulated AWS cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let endpoint = format!("http://{address}");
        let (disk, disk_thread) = Disk::start(database.clone(), log)?;
        let (ours, endpoint_of_queue) = (database.clone(), endpoint.clone());
        let queue = Queue::open(ours, disk.clone(), endpoint_of_queue, Arc::clone(&clock)).await?;
        let mail =
            Mail::open(database.clone(), disk.clone(), Arc::clone(&clock), queue.clone()).await?;
        let bus = Bus::new(clock);

        let credentials = Credentials::random();
        let services = Arc::new(router::Services {
            queue: queue.clone(),
            bus: bus.clone(),
            mail: mail.clone(),
            kms,
            dynamo: Dynamo::new(database.clone(), disk.clone()),
            guard: Guard::new(address),
            credentials: credentials.clone(),
        });
        let (stop_router, stopping) = watch::channel(());
        let router = tokio::spawn(router::serve(listener, Arc::clone(&services), stopping));

        let (calls, _) = watch::channel(());
        let running =
            Running { database, disk, disk_thread, services, calls, stop_router, router, lock };
        let running = Mutex::new(Some(running));
        Ok(Self(Arc::new(Inner { endpoint, credentials, queue, bus, mail, running })))
    }

    /// The credentials that calls must be signed with.
    pub fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// The endpoint of all services, such as `http://127.0.0.1:8788`.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The queues.
    pub fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// The event bus.
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    /// The mails that SES accepted.
    pub fn mail(&self) -> &Mail {
        &self.0.mail
    }

    /// Carries out a call of this process, as the port does. Its caller holds the emulator, so the
    /// signature proves nothing and is not checked.
    pub async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Stopped> {
        let (_in_flight, services) = {
            let running = self.0.running.lock().expect("no holder panics");
            let running = running.as_ref().ok_or(Stopped)?;
            (running.calls.subscribe(), Arc::clone(&running.services))
        };
        Ok(services.call(request).await)
    }

    /// Creates a table from a `CreateTable` input, unless a table of that name exists.
    pub async fn create_table(&self, definition: serde_json::Value) -> anyhow::Result<()> {
        let (database, disk) = {
            let running = self.0.running.lock().expect("no holder panics");
            let running = running.as_ref().ok_or(Stopped)?;
            (running.database.clone(), running.disk.clone())
        };
        disk.run(move || dynamo::create_table(&database, definition)).await?
    }

    /// Ends long polls, lets other calls finish, and unlocks the folder.
    ///
    /// The other clones stop working. Stopping twice is harmless.
    pub async fn stop(self) {
        let running = self.0.running.lock().expect("no holder panics").take();
        let Some(running) = running else { return };
        self.0.queue.end_long_polls();
        drop(running.stop_router);
        drop(running.services);
        let finish = async {
            running.calls.closed().await;
            running.router.await
        };
        if tokio::time::timeout(STOP_TIMEOUT, finish).await.is_err() {
            tracing::warn!("stopped with calls still in flight");
        }
        running.disk.stop();
        let ended = tokio::task::spawn_blocking(move || running.disk_thread.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the database's thread panicked");
        }
        self.0.queue.close();
        self.0.mail.close();
        // SQLite writes when it closes. Only after that may another process open the folder.
        drop(running.database);
        drop(running.lock);
    }
}

impl Data {
    fn open(self) -> anyhow::Result<OpenData> {
        let Self::Folder(folder) = self else {
            let database = Database::memory().context("opening a database in memory")?;
            return Ok(OpenData { database, log: None, kms: Kms::open(None)?, lock: None });
        };
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("creating the folder `{}`", folder.display()))?;
        let lock = lock(&folder)?;
        folder::warn_about_others(&folder, &lock)?;
        let path = folder.join(DATABASE_FILE);
        if path.exists() && !folder.join(kms::KEY_FILE).exists() {
            anyhow::bail!(
                "`{}` is missing in the folder `{}`, whose secrets it decrypts; restore it, or move the \
                 folder away to start without data",
                kms::KEY_FILE,
                folder.display()
            );
        }
        // The key first: a crash between the two leaves a key without data, which is harmless.
        let kms = Kms::open(Some(&folder))?;
        let database = folder::open_database(&path)?;
        let log = folder.join(LOG_FILE);
        let log = File::open(&log).with_context(|| format!("opening `{}`", log.display()))?;
        Ok(OpenData { database, log: Some(log), kms, lock: Some(lock) })
    }
}

/// Reports if a running emulator uses `folder`. A folder without an emulator's data is an error.
pub fn is_in_use(folder: &Path) -> std::io::Result<bool> {
    match File::open(folder.join(LOCK_FILE))?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(err)) => Err(err),
    }
}

/// Keeps other processes out of `folder` while the file is open.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let file = folder::private_file(&folder.join(LOCK_FILE))
        .with_context(|| format!("creating a lock file in `{}`", folder.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!("the folder `{}` is in use by another process", folder.display())
        }
        Err(TryLockError::Error(err)) => {
            Err(err).with_context(|| format!("locking the folder `{}`", folder.display()))
        }
    }
}
