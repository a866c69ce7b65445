//! The world that the functions run in: what there is, what time it is, and what happens next.
//!
//! There is one thread. A task waits for nothing but the clock, so when no task can go on, the
//! clock moves to the first moment at which one can. All chance comes from one seed, in streams of
//! their own, so that leaving something out of a history changes nothing else of it.

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
    fault::{Fault, Faults, Schedule},
    queue::Queue,
    receiver::Receiver,
    seen::Seen,
    table::SimulatedTable,
};

/// When every history begins: 2026-01-01.
const START: i64 = 1_767_225_600_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is out there beside faults at calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// The longest that an index lags, in milliseconds.
    pub lag: i64,
    /// How far a function's clock may be off, either way, in milliseconds.
    pub skew: i64,
    /// Sweeps in a thousand that do not come.
    pub sweeps_missed: u32,
    /// Sweeps in a thousand that come twice.
    pub sweeps_doubled: u32,
    /// Hints in a thousand that the queue loses.
    pub hints_lost: u32,
    /// Hints in a thousand that it gives twice.
    pub hints_doubled: u32,
    /// Hints in a thousand that are late, by up to two minutes.
    pub hints_late: u32,
    /// When all of this, and all faults, are over; in milliseconds from the start.
    pub ends_at: i64,
}

impl Weather {
    /// Nothing of it.
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

/// The world.
pub(crate) struct World {
    pub(crate) clock: Clock,
    state: Mutex<State>,
    spawned: Mutex<Vec<Task>>,
}

/// All there is.
pub(crate) struct State {
    pub(crate) table: SimulatedTable,
    pub(crate) queue: Queue,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) seen: Seen,
    pub(crate) faults: Faults,
    pub(crate) weather: Weather,
    /// How long things take, and what the weather does.
    pub(crate) chance: Pcg64Mcg,
    /// How many invocations are running.
    pub(crate) n_running: u32,
    /// How many things are still to happen that were begun and that nobody waits for.
    pub(crate) n_late: u32,
    /// What has happened, if anybody wants to know.
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

    /// Everything, as it is now.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("no panic while it was held");
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

    /// Has something done beside everything else.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawned.lock().expect("no panic while it was held").push(Box::pin(task));
    }

    /// Has something done after so many milliseconds that nobody waits for. There is no rest
    /// before it is done.
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

    /// Has something happen after so many milliseconds.
    pub(crate) fn happen_later(
        self: &Arc<Self>,
        milliseconds: i64,
        effect: impl FnOnce(&mut State) + Send + 'static,
    ) {
        let world = Arc::clone(self);
        self.later(milliseconds, async move { effect(&mut world.state()) });
    }

    /// Tells what happened, if anybody wants to know.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        self.state().tell(what);
    }

    /// Goes on until `main` ends. `between` is called before the clock moves.
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
                tasks.extend(self.spawned.lock().expect("no panic while it was held").drain(..));
                let polled = Pin::new(&mut tasks).poll_next(&mut context);
                let is_idle = match polled {
                    Poll::Ready(Some(())) => false,
                    Poll::Ready(None) | Poll::Pending => true,
                };
                if !is_idle || flag.0.swap(false, Ordering::Relaxed) {
                    continue;
                }
                between();
                if self.spawned.lock().expect("no panic while it was held").is_empty() {
                    break;
                }
            }
            let step = self.clock.next_sleeper().expect("somebody waits for the clock");
            self.clock.advance(step);
        }
        self.spawned.lock().expect("no panic while it was held").clear();
    }
}

impl State {
    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Whether things go wrong now.
    pub(crate) fn is_storm(&self) -> bool {
        self.now < self.weather.ends_at
    }

    /// What goes wrong at the next call, which is told of.
    pub(crate) fn next_fault(&mut self, what: impl FnOnce() -> String) -> Option<Fault> {
        let number = self.faults.n_calls;
        let fault = self.faults.next(self.is_storm());
        if self.story.is_some() {
            let what = what();
            self.tell(|| match fault {
                None => format!("#{number} {what}"),
                Some(fault) => format!("#{number} {what}: {}", fault.to_string().to_uppercase()),
            });
        }
        fault
    }

    /// Whether something happens that does so many times in a thousand.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.is_storm() && self.chance.random_range(0..1000) < per_mille
    }

    /// A number of milliseconds up to `most`.
    pub(crate) fn up_to(&mut self, most: i64) -> i64 {
        if most > 0 { self.chance.random_range(0..=most) } else { 0 }
    }

    /// When the next item is due, by the table or an index that lags behind it; since the epoch.
    pub(crate) fn next_due(&mut self) -> Option<i64> {
        self.table.settle(START + self.now);
        self.table.next_due()
    }

    /// When a write of now shows in the indexes, since the epoch.
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

/// Set when a task can go on.
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
