//! The part of AWS that Answerback stands on, in one process and on one port, of loopback unless
//! told otherwise.
//!
//! ```text
//!                     ┌ DynamoDB_20120810.* ─▶ dynamo ─▶ dynoxide, on a thread of its own ┐
//! SDK, CLI ─▶ front ──┼ AmazonSQS.* ─────────▶ queue ──▶ journal ─────────────────────────┴▶ SQLite
//!                     ├ AWSEvents.* ─────────▶ bus (kept in memory)
//!                     └ TrentService.* ──────▶ kms (its key is a file beside the data)
//! ```
//!
//! The real clients run against it, so what is tried locally goes through the same code as what is
//! deployed. Items and messages are on disk before they are acknowledged; published events are
//! only shown, and are gone with the process. It knows nothing of requests, events or deliveries.

pub mod atomic_file;
mod bus;
mod dynamo;
mod error;
mod ids;
mod journal;
mod kms;
mod queue;
mod router;
mod stop;

use std::{
    fs::{File, TryLockError},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use answerback::platform::Clock;
use anyhow::Context as _;
use dynoxide::{Database, DynoxideError};
use kms::Kms;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

pub use bus::{Bus, Published};
pub use kms::KEY;
pub use queue::{Attribute, Depth, Error as QueueError, Message, Queue, to_event};

/// The region that everything is said to be in.
pub const REGION: &str = "us-east-1";
/// The account that everything is said to belong to.
const ACCOUNT: &str = "000000000000";
/// How long a stop waits for calls that are under way: a client may have sent half of one.
const STOP_SECONDS: Duration = Duration::from_secs(5);

/// An AWS of one's own. Clones are the same one; it ends with [`Aws::stop`] or the last clone.
#[derive(Clone)]
pub struct Aws(Arc<Inner>);

struct Inner {
    endpoint: String,
    queue: Queue,
    bus: Bus,
    running: Mutex<Option<Running>>,
}

/// What a stop takes apart.
struct Running {
    database: Database,
    front: (watch::Sender<()>, JoinHandle<()>),
    dynamo: (watch::Sender<()>, dynamo::Ended),
    lock: Option<File>,
}

/// Where items and messages are kept.
#[derive(Clone, Debug)]
pub enum Data {
    /// Nowhere: they are gone with the process.
    Memory,
    /// In this folder, which is made if it is missing; one process at a time.
    Folder(PathBuf),
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Aws {
    /// Starts listening at `address`, or on any free port of loopback.
    pub async fn start(
        data: Data,
        address: Option<SocketAddr>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let (database, kms, lock) = tokio::task::spawn_blocking(move || data.open()).await??;
        let address = address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("the emulated AWS cannot listen on {address}"))?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let queue = Queue::open(database.clone(), endpoint.clone(), clock.clone()).await?;
        let bus = Bus::new(clock);

        let (stop_dynamo, stopping) = watch::channel(());
        let (dynamo, dynamo_ended) = dynamo::start(database.clone(), stopping)?;
        let services = router::Services { queue: queue.clone(), bus: bus.clone(), kms, dynamo };
        let (stop_front, stopping) = watch::channel(());
        let front = tokio::spawn(router::serve(listener, services, stopping));

        let front = (stop_front, front);
        let dynamo = (stop_dynamo, dynamo_ended);
        let running = Running { database, front, dynamo, lock };
        Ok(Self(Arc::new(Inner { endpoint, queue, bus, running: Mutex::new(Some(running)) })))
    }

    /// Where clients find all four services, such as `http://127.0.0.1:8788`.
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

    /// Creates the table of this `CreateTable` input, unless there is one of that name.
    pub async fn create_table(&self, definition: serde_json::Value) -> anyhow::Result<()> {
        let database = {
            let running = self.0.running.lock().expect("no holder panics");
            running.as_ref().context("stopped")?.database.clone()
        };
        let request = serde_json::from_value(definition).context("reading a table's definition")?;
        match tokio::task::spawn_blocking(move || database.create_table(request)).await? {
            Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => Ok(()),
            Err(err) => Err(err).context("creating a table"),
        }
    }

    /// Ends long polls, lets other calls finish, and gives the folder free.
    ///
    /// Whoever still holds a clone finds everything stopped. Stopping twice is harmless.
    pub async fn stop(self) {
        let running = self.0.running.lock().expect("no holder panics").take();
        let Some(Running { database, front, dynamo, lock }) = running else { return };
        self.0.queue.end_long_polls();
        // The front first, because calls that are under way there still need DynamoDB.
        let ended = async {
            drop(front.0);
            let front = front.1.await;
            drop(dynamo.0);
            (front, dynamo.1.await)
        };
        if tokio::time::timeout(STOP_SECONDS, ended).await.is_err() {
            tracing::warn!("stopped with calls still under way");
        }
        self.0.queue.close().await;
        // Last, because closing SQLite writes: only then may another process open the folder.
        drop(database);
        drop(lock);
    }
}

impl Data {
    fn open(self) -> anyhow::Result<(Database, Kms, Option<File>)> {
        let Self::Folder(folder) = self else {
            let database = Database::memory().context("opening a database in memory")?;
            return Ok((database, Kms::open(None)?, None));
        };
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("making the folder `{}`", folder.display()))?;
        let lock = lock(&folder)?;
        let path = folder.join("aws.sqlite");
        let path = path.to_str().context("the folder's name is not UTF-8")?;
        let database = Database::new(path).with_context(|| format!("opening `{path}`"))?;
        Ok((database, Kms::open(Some(&folder))?, Some(lock)))
    }
}

/// Keeps other processes out of `folder` for as long as the file is open.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let file = File::create(folder.join("lock"))
        .with_context(|| format!("making a lock file in `{}`", folder.display()))?;
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
