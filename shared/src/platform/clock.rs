//! The clock: the only place that reads the time or waits. Tests and the simulation advance a
//! manual clock.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use jiff::Timestamp;

/// Source of the time, and of waiting.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that moves only when it is advanced.
    Manual {
        /// The shared time.
        time: Arc<ManualClock>,
        /// Milliseconds by which this machine's clock is ahead of the shared time.
        ahead: i64,
    },
}

/// A time that stands still until it is advanced.
#[derive(Debug)]
pub struct ManualClock {
    millisecond: AtomicI64,
    sleepers: Mutex<Sleepers>,
}

/// Wakers by wake time. A number distinguishes sleepers with the same time.
#[derive(Debug, Default)]
struct Sleepers {
    waiting: BTreeMap<(i64, u64), Waker>,
    n_slept: u64,
}

/// A future that waits for a manual clock.
struct Sleeper<'a> {
    time: &'a ManualClock,
    until: i64,
    number: Option<u64>,
}

impl Clock {
    /// A clock that stands still at `start` until advanced.
    pub fn manual(start: Timestamp) -> Self {
        let millisecond = start.as_millisecond().into();
        let time = Arc::new(ManualClock { millisecond, sleepers: Mutex::default() });
        Self::Manual { time, ahead: 0 }
    }

    /// The same time on a machine whose clock is ahead by this many milliseconds.
    ///
    /// # Panics
    ///
    /// On the system clock.
    #[must_use]
    pub fn ahead(&self, milliseconds: i64) -> Self {
        Self::Manual { time: Arc::clone(self.manual_time()), ahead: milliseconds }
    }

    /// The current time in whole milliseconds, the precision in which times are stored and shown.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    pub fn now(&self) -> Timestamp {
        let millisecond = match self {
            Self::System => Timestamp::now().as_millisecond(),
            Self::Manual { time, ahead } => time.millisecond.load(Ordering::SeqCst) + ahead,
        };
        Timestamp::from_millisecond(millisecond).expect("the clock is within a few millennia")
    }

    /// Waits until `length` has passed.
    #[expect(clippy::disallowed_methods, reason = "this is where waiting happens")]
    pub async fn sleep(&self, length: Duration) {
        match self {
            Self::System => tokio::time::sleep(length).await,
            Self::Manual { time, .. } => {
                let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 2);
                let until = time.millisecond.load(Ordering::SeqCst) + length;
                Sleeper { time, until, number: None }.await;
            }
        }
    }

    /// The time at which Lambda stops the function, from milliseconds since the epoch. A time in
    /// the past is ignored: some emulators of Lambda send a length instead.
    pub fn deadline(&self, millisecond: u64) -> Option<Timestamp> {
        let at = Timestamp::from_millisecond(i64::try_from(millisecond).ok()?).ok()?;
        (self.now() < at).then_some(at)
    }

    /// Moves a manual clock forward.
    ///
    /// # Panics
    ///
    /// On the system clock.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).expect("short enough");
        let time = self.manual_time();
        let now = time.millisecond.fetch_add(by, Ordering::SeqCst) + by;
        let mut sleepers = time.sleepers();
        let later = sleepers.waiting.split_off(&(now + 1, 0));
        let woken = std::mem::replace(&mut sleepers.waiting, later);
        drop(sleepers);
        woken.into_values().for_each(Waker::wake);
    }

    /// Time until the next sleeper of a manual clock wakes.
    ///
    /// # Panics
    ///
    /// On the system clock.
    pub fn next_sleeper(&self) -> Option<Duration> {
        let time = self.manual_time();
        let until = time.sleepers().waiting.first_key_value()?.0.0;
        let left = until - time.millisecond.load(Ordering::SeqCst);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    fn manual_time(&self) -> &Arc<ManualClock> {
        let Self::Manual { time, .. } = self else { panic!("only a manual clock can be moved") };
        time
    }
}

impl ManualClock {
    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().expect("no holder panics")
    }
}

impl Future for Sleeper<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.time.millisecond.load(Ordering::SeqCst) >= self.until {
            return Poll::Ready(());
        }
        let mut sleepers = self.time.sleepers();
        let number = *self.number.get_or_insert_with(|| {
            sleepers.n_slept += 1;
            sleepers.n_slept
        });
        sleepers.waiting.insert((self.until, number), context.waker().clone());
        // The clock may have advanced between the check and the registration.
        if self.time.millisecond.load(Ordering::SeqCst) >= self.until {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.time.sleepers().waiting.remove(&(self.until, number));
        }
    }
}
