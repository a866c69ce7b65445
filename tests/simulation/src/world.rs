//! The world that the functions run in: state, time, and the order of what happens.
//!
//! There is one thread. Tasks wait only for the clock. When every task waits, the clock moves to
//! the first moment at which one can continue. All randomness comes from one seed, in a separate
//! stream for each purpose, so removing one part of a history changes no other part.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use answerback::platform::Clock;
use futures::{Stream as _, stream::FuturesUnordered};
use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use crate::{
    fault::{CallKind, Fault, Faults, Schedule},
    queue::Queue,
    receiver::Receiver,
    seen::Seen,
    table::SimulatedTable,
};

/// Start of every history: 2026-01-01.
const START: i64 = 1_767_225_600_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Disturbances other than faults at calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Maximum lag of an index, in milliseconds.
    pub lag: i64,
    /// Maximum deviation of a function's clock in either direction, in milliseconds.
    pub skew: i64,
    /// Sweeps per thousand that are missed.
    pub sweeps_missed: u32,
    /// Sweeps per thousand that run twice.
    pub sweeps_doubled: u32,
    /// Hints per thousand that the queue loses.
    pub hints_lost: u32,
    /// Hints per thousand that the queue delivers twice.
    pub hints_doubled: u32,
    /// Hints per thousand that are late, by up to two minutes.
    pub hints_late: u32,
    /// End of all disturbances and faults, in milliseconds from the start.
    pub ends_at: i64,
}

impl Weather {
    /// No disturbances.
    pub const CALM: Self = Self {
        lag: 0,
        skew: 0,
        sweeps_missed: 0,
        sweeps_doubled: 0,
        hints_lost: 0,
        hints_doubled: 0,
        hints_late: 0,
        ends_at: 0,
    };
}

/// The simulated world.
pub(crate) struct World {
    pub(crate) clock: Clock,
    state: Mutex<State>,
    spawned: Mutex<Vec<Task>>,
}

/// The state of the world.
pub(crate) struct State {
    pub(crate) table: SimulatedTable,
    pub(crate) queue: Queue,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) seen: Seen,
    pub(crate) faults: Faults,
    pub(crate) weather: Weather,
    /// Random numbers for durations and the weather.
    pub(crate) chance: Pcg64Mcg,
    /// Number of running invocations.
    pub(crate) n_running: u32,
    /// Number of pending effects that no task waits for.
    pub(crate) n_late: u32,
    /// Log of the history, if it is recorded.
    pub(crate) story: Option<Vec<String>>,
    now: i64,
}

impl World {
    pub(crate) fn new(
        seed: u64,
        schedule: Schedule,
        weather: Weather,
        receivers: Vec<Receiver>,
        tells: bool,
    ) -> Arc<Self> {
        let stream =
            |number: u64| Pcg64Mcg::seed_from_u64(seed.wrapping_mul(8).wrapping_add(number));
        let start = Timestamp::from_millisecond(START).expect("in range");
        Arc::new(Self {
            clock: Clock::manual(start),
            state: Mutex::new(State {
                table: SimulatedTable::default(),
                queue: Queue::default(),
                receivers,
                seen: Seen::default(),
                faults: Faults::new(schedule, stream(1)),
                weather,
                chance: stream(2),
                n_running: 0,
                n_late: 0,
                story: tells.then(Vec::new),
                now: 0,
            }),
            spawned: Mutex::default(),
        })
    }

    /// Locks the current state.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("no holder panics");
        state.now = self.now();
        state
    }

    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_millisecond() - START
    }

    pub(crate) async fn sleep(&self, milliseconds: i64) {
        self.clock.sleep(Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))).await;
    }

    pub(crate) async fn sleep_until(&self, at: i64) {
        self.sleep(at - self.now()).await;
    }

    /// Runs a task concurrently with all others.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawned.lock().expect("no holder panics").push(Box::pin(task));
    }

    /// Runs an effect that no task waits for, after this many milliseconds. The world is not at
    /// rest before it has run.
    pub(crate) fn later(
        self: &Arc<Self>,
        milliseconds: i64,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.state().n_late += 1;
        let world = Arc::clone(self);
        self.spawn(async move {
            world.sleep(milliseconds).await;
            task.await;
            world.state().n_late -= 1;
        });
    }

    /// Makes something happen after this many milliseconds.
    pub(crate) fn happen_later(
        self: &Arc<Self>,
        milliseconds: i64,
        effect: impl FnOnce(&mut State) + Send + 'static,
    ) {
        let world = Arc::clone(self);
        self.later(milliseconds, async move { effect(&mut world.state()) });
    }

    /// Records what happened, if the story is recorded.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        self.state().tell(what);
    }

    /// Runs until `main` ends. Calls `between` before the clock moves.
    pub(crate) fn run(&self, main: impl Future<Output = ()> + Send + 'static, between: impl Fn()) {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        let mut tasks: FuturesUnordered<Task> = FuturesUnordered::new();
        let mut main = Box::pin(main);
        loop {
            if main.as_mut().poll(&mut context).is_ready() {
                break;
            }
            loop {
                tasks.extend(self.spawned.lock().expect("no holder panics").drain(..));
                let polled = Pin::new(&mut tasks).poll_next(&mut context);
                let is_idle = match polled {
                    Poll::Ready(Some(())) => false,
                    Poll::Ready(None) | Poll::Pending => true,
                };
                if !is_idle || flag.0.swap(false, Ordering::Relaxed) {
                    continue;
                }
                between();
                if self.spawned.lock().expect("no holder panics").is_empty() {
                    break;
                }
            }
            let step = self.clock.next_sleeper().expect("a task waits for the clock");
            self.clock.advance(step);
        }
        self.spawned.lock().expect("no holder panics").clear();
    }
}

impl State {
    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Returns true while faults happen.
    pub(crate) fn is_storm(&self) -> bool {
        self.now < self.weather.ends_at
    }

    /// Draws the fault of the next call and records it in the story.
    pub(crate) fn next_fault(
        &mut self,
        kind: CallKind,
        what: impl FnOnce() -> String,
    ) -> Option<Fault> {
        let number = self.faults.next_number();
        let fault = self.faults.next(kind, self.is_storm());
        if self.story.is_some() {
            let what = what();
            self.tell(|| match fault {
                None => format!("#{number} {what}"),
                Some(fault) => format!("#{number} {what}: {}", fault.to_string().to_uppercase()),
            });
        }
        fault
    }

    /// Returns true with a probability of this many in a thousand.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.is_storm() && self.chance.random_range(0..1000) < per_mille
    }

    /// A random number of milliseconds up to `most`.
    pub(crate) fn up_to(&mut self, most: i64) -> i64 {
        if most > 0 { self.chance.random_range(0..=most) } else { 0 }
    }

    /// Earliest due time of an item in the table or in an index that lags, since the epoch.
    pub(crate) fn next_due(&mut self) -> Option<i64> {
        self.table.settle(START + self.now);
        self.table.next_due()
    }

    /// Time at which a write made now shows in the indexes, since the epoch.
    pub(crate) fn visible_at(&mut self) -> i64 {
        let lag = self.weather.lag;
        START + self.now + self.up_to(lag)
    }

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            let seconds = self.now / 1000;
            story.push(format!("{seconds:>7}.{:03}  {}", self.now % 1000, what()));
        }
    }
}

/// Milliseconds since the epoch.
pub(crate) fn since_epoch(milliseconds: i64) -> i64 {
    START + milliseconds
}

/// Milliseconds since the start of the history.
pub(crate) fn since_start(at: Timestamp) -> i64 {
    at.as_millisecond() - START
}

/// Set when a task can continue.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}
