//! SQS: standard queues with delays, visibility timeouts and dead-letter queues.
//!
//! ```text
//!            delay over            receive
//!  delayed ─────────────▶ visible ─────────▶ in flight ── delete ──▶ gone
//!                            ▲                   │
//!                            └── timeout over ───┘   received too often: dead-letter queue
//! ```
//!
//! There are no timers. Each message has a time from which it is visible, and a receive compares
//! that time with the clock. A test that moves the clock moves delays and timeouts too. Every
//! change is on disk before it is visible or acknowledged.
//!
//! One difference from SQS: messages that were in flight when the process died are visible as soon
//! as the next process opens the folder. [`QueueState::read`] explains why.

mod error;
mod input;
mod message;
mod settings;
mod state;
mod stored;
mod wire;

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Notify;

pub use error::Error;
pub use message::{Attribute, Message, sqs_event};
pub use state::Depth;

use crate::{
    clock::Clock,
    database::Database,
    disk::{self, Disk},
    journal::Journal,
};
use state::QueueState;

/// All queues. Clones share them.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    disk: Disk,
    /// `None` once stopped. Only the database's thread uses it, so changes reach the disk in the
    /// order in which they become visible.
    state: Mutex<Option<QueueState>>,
    clock: Arc<dyn Clock>,
    endpoint: String,
    sent: Notify,
    ending: AtomicBool,
}

impl Queue {
    /// Loads the queues and messages from `database`.
    pub(super) async fn open(
        database: Database,
        disk: Disk,
        endpoint: String,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let now = clock.now();
        let state = disk.run(move || QueueState::read(Journal::open(database)?, now)).await??;
        Ok(Self(Arc::new(Inner {
            disk,
            state: Mutex::new(Some(state)),
            clock,
            endpoint,
            sent: Notify::new(),
            ending: AtomicBool::new(false),
        })))
    }

    /// Receives up to `max` visible messages and hides them for `visibility`.
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Message>, Error> {
        self.take(queue, max, Some(visibility)).await
    }

    /// Receives like [`Queue::receive`], and waits up to `wait` for a message.
    pub async fn receive_within(
        &self,
        wait: Duration,
        queue: &str,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Message>, Error> {
        self.take_within(wait, queue, max, Some(visibility)).await
    }

    /// Deletes the message received with `receipt`, unless it was received again since then.
    pub async fn delete(&self, queue: &str, receipt: &str) -> Result<(), Error> {
        let (queue, receipt) = (queue.to_owned(), receipt.to_owned());
        self.run(move |state, _| state.delete(&queue, &receipt)).await
    }

    /// Deletes all messages received with `receipts`, as [`Queue::delete`] does.
    pub async fn delete_all(&self, queue: &str, receipts: Vec<String>) -> Result<(), Error> {
        let queue = queue.to_owned();
        self.run(move |state, _| receipts.iter().try_for_each(|it| state.delete(&queue, it))).await
    }

    /// The number of messages, by state.
    pub async fn len(&self, queue: &str) -> Result<Depth, Error> {
        let queue = queue.to_owned();
        self.run(move |state, now| state.depth(&queue, now)).await
    }

    /// All messages, visible or not, in the order in which they become visible. This is no receive.
    pub async fn peek(&self, queue: &str) -> Result<Vec<Message>, Error> {
        let queue = queue.to_owned();
        self.run(move |state, _| state.peek(&queue)).await
    }

    /// The time at which the first message becomes visible. It may be in the past.
    pub async fn next_visible_at(&self, queue: &str) -> Result<Option<Timestamp>, Error> {
        let queue = queue.to_owned();
        self.run(move |state, _| state.next_visible_at(&queue)).await
    }

    /// Resolves when a message is sent to any queue, or made visible, after this call.
    ///
    /// To miss no message, call this before a receive and await it only if the receive was empty.
    pub fn wait(&self) -> impl Future<Output = ()> + '_ {
        self.0.sent.notified()
    }

    /// Ends all long polls without messages.
    pub(super) fn end_long_polls(&self) {
        self.0.ending.store(true, Ordering::SeqCst);
        self.0.sent.notify_waiters();
    }

    /// Lets go of the database. Later calls fail.
    pub(super) fn close(&self) {
        drop(self.state().take());
    }

    fn state(&self) -> MutexGuard<'_, Option<QueueState>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(
        &self,
        queue: &str,
        max: usize,
        visibility: Option<Duration>,
    ) -> Result<Vec<Message>, Error> {
        let queue = queue.to_owned();
        self.run(move |state, now| state.receive(&queue, max, visibility, now)).await
    }

    async fn take_within(
        &self,
        wait: Duration,
        queue: &str,
        max: usize,
        visibility: Option<Duration>,
    ) -> Result<Vec<Message>, Error> {
        let clock = &self.0.clock;
        let until = clock.now() + wait;
        loop {
            let sent = self.wait();
            let messages = self.take(queue, max, visibility).await?;
            let ending = self.0.ending.load(Ordering::SeqCst);
            if !messages.is_empty() || clock.now() >= until || ending {
                return Ok(messages);
            }
            let next = self.next_visible_at(queue).await?.map_or(until, |it| it.min(until));
            // Read the clock again: a test may have moved it since.
            let now = clock.now();
            tokio::select! {
                () = sent => (),
                // A message that became visible meanwhile is received in the next round.
                () = clock.sleep(Duration::try_from(next - now).unwrap_or_default()) => (),
            }
        }
    }

    /// Runs `work` on the database's thread. It finishes even if this future is dropped: half a
    /// change would make memory and disk differ.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut QueueState, Timestamp) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let queue = self.clone();
        let done = self.0.disk.run(move || {
            let mut state = queue.state();
            let state = state.as_mut().ok_or(Error::Stopped)?;
            let result = work(state, queue.0.clock.now());
            if state.take_sent() {
                queue.0.sent.notify_waiters();
            }
            result
        });
        done.await.map_err(|err| match err {
            disk::Error::Stopped => Error::Stopped,
            disk::Error::Failed => Error::Disk(err.into()),
        })?
    }
}
