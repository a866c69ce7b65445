//! SQS: standard queues with delays, visibility time-outs and dead letters.
//!
//! ```text
//!            delay over            receive
//!  delayed ─────────────▶ visible ─────────▶ in flight ── delete ──▶ gone
//!                            ▲                   │
//!                            └── time-out over ──┘   received too often: to the dead letters
//! ```
//!
//! Nothing happens by itself: a message has an instant from which it is visible, and whoever
//! receives looks at the clock. So a test that moves the clock moves delays and time-outs, too.
//! Every change is on disk before it is seen or acknowledged.
//!
//! In one thing this is not like SQS: what was in flight when the process died is visible as soon
//! as the next one opens the folder ([`State::read`] says why).

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
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use answerback::platform::Clock;
use dynoxide::Database;
use jiff::Timestamp;
use tokio::sync::Notify;

pub use error::Error;
pub use message::{Attribute, Message, to_event};
pub use state::Depth;

use super::journal::Journal;
use state::State;

/// All queues. Clones are the same ones.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    /// None once stopped. Held while a change is written, so that changes reach the disk in the
    /// order in which they were seen.
    state: Mutex<Option<State>>,
    clock: Clock,
    endpoint: String,
    sent: Notify,
    ending: AtomicBool,
}

impl Queue {
    /// Takes up the queues and messages that `database` holds.
    pub(super) async fn open(
        database: Database,
        endpoint: String,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let now = clock.now();
        let read = move || State::read(Journal::open(database)?, now);
        let state = tokio::task::spawn_blocking(read).await??;
        Ok(Self(Arc::new(Inner {
            state: Mutex::new(Some(state)),
            clock,
            endpoint,
            sent: Notify::new(),
            ending: AtomicBool::new(false),
        })))
    }

    /// Takes up to `max` visible messages, hides them for `visibility` and counts the receive.
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Message>, Error> {
        self.take(queue, max, Some(visibility)).await
    }

    /// Receives like [`Queue::receive`], but waits for a message for up to `wait`.
    pub async fn receive_within(
        &self,
        wait: Duration,
        queue: &str,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Message>, Error> {
        self.take_within(wait, queue, max, Some(visibility)).await
    }

    /// Deletes the message that was received with `receipt`, unless it was received again since.
    pub async fn delete(&self, queue: &str, receipt: &str) -> Result<(), Error> {
        let (queue, receipt) = (queue.to_owned(), receipt.to_owned());
        self.with(move |state, _| state.delete(&queue, &receipt)).await
    }

    /// How many messages there are.
    pub async fn len(&self, queue: &str) -> Result<Depth, Error> {
        let queue = queue.to_owned();
        self.with(move |state, now| state.depth(&queue, now)).await
    }

    /// All messages, visible or not, in the order in which they become visible. Counts nothing.
    pub async fn peek(&self, queue: &str) -> Result<Vec<Message>, Error> {
        let queue = queue.to_owned();
        self.with(move |state, _| state.peek(&queue)).await
    }

    /// When the first message is visible; that may have come already.
    pub async fn next_visible_at(&self, queue: &str) -> Result<Option<Timestamp>, Error> {
        let queue = queue.to_owned();
        self.with(move |state, _| state.next_visible_at(&queue)).await
    }

    /// Resolves when something was sent to any queue, or made visible by hand, after this call.
    ///
    /// Call it before you look and await it if you found nothing: then nothing is missed.
    pub fn wait(&self) -> impl Future<Output = ()> + '_ {
        self.0.sent.notified()
    }

    /// Lets those who wait for messages go home without.
    pub(super) fn end_long_polls(&self) {
        self.0.ending.store(true, Ordering::SeqCst);
        self.0.sent.notify_waiters();
    }

    /// Lets go of the database.
    pub(super) async fn close(&self) {
        let inner = Arc::clone(&self.0);
        let closed = tokio::task::spawn_blocking(move || {
            drop(inner.state.lock().expect("no holder panics").take());
        });
        closed.await.expect("dropping does not panic");
    }

    async fn take(
        &self,
        queue: &str,
        max: usize,
        visibility: Option<Duration>,
    ) -> Result<Vec<Message>, Error> {
        let queue = queue.to_owned();
        self.with(move |state, now| state.receive(&queue, max, visibility, now)).await
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
            // Read again: time may have been moved while we asked.
            let now = clock.now();
            tokio::select! {
                () = sent => (),
                // One that became visible just now is taken by the next look.
                () = clock.sleep(Duration::try_from(next - now).unwrap_or_default()) => (),
            }
        }
    }

    /// Runs `work` where it may block, and to its end even if nobody waits for it any more:
    /// half a change would leave memory and disk apart.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State, Timestamp) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let mut state = inner.state.lock().expect("no holder panics");
            let state = state.as_mut().ok_or(Error::Stopped)?;
            let result = work(state, inner.clock.now());
            if state.take_sent() {
                inner.sent.notify_waiters();
            }
            result
        });
        done.await.expect("no work panics")
    }
}
