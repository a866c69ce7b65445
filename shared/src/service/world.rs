//! Time and chance, the two things about the world that tests must control.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Notify;

/// Tells the time, and waits for it.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that moves only when told to.
    Manual(Arc<ManualClock>),
}

/// A clock that stands still until it is advanced.
#[derive(Debug)]
pub struct ManualClock {
    millisecond: AtomicI64,
    moved: Notify,
}

/// Supplies randomness.
#[derive(Clone, Debug)]
pub enum Entropy {
    /// The operating system's generator.
    System,
    /// 1, 2, 3 and so on, spread over the bits.
    Counting(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands still at `start` until advanced.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(ManualClock {
            millisecond: start.as_millisecond().into(),
            moved: Notify::new(),
        }))
    }

    /// The current time, in whole milliseconds: what is stored and shown is what was compared.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    pub fn now(&self) -> Timestamp {
        let millisecond = match self {
            Self::System => Timestamp::now().as_millisecond(),
            Self::Manual(clock) => clock.millisecond.load(Ordering::SeqCst),
        };
        Timestamp::from_millisecond(millisecond).expect("the clock is within a few millennia")
    }

    /// Waits until `length` has passed.
    #[expect(clippy::disallowed_methods, reason = "this is where waiting happens")]
    pub async fn sleep(&self, length: Duration) {
        match self {
            Self::System => tokio::time::sleep(length).await,
            Self::Manual(clock) => {
                let until = self.now().as_millisecond()
                    + i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 2);
                loop {
                    // Registered before the look, so that no move is missed between the two.
                    let moved = clock.moved.notified();
                    if clock.millisecond.load(Ordering::SeqCst) >= until {
                        return;
                    }
                    moved.await;
                }
            }
        }
    }

    /// When the function is stopped, as Lambda said it, in milliseconds since the epoch. A time in
    /// the past is no time: some stand-ins for Lambda give a length instead.
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
        let Self::Manual(clock) = self else { panic!("only a manual clock can be advanced") };
        let by = i64::try_from(by.as_millis()).expect("short enough");
        clock.millisecond.fetch_add(by, Ordering::SeqCst);
        clock.moved.notify_waiters();
    }
}

impl Entropy {
    /// A generator that counts, so that tests can predict identifiers.
    pub fn counting() -> Self {
        Self::Counting(Arc::default())
    }

    /// The next 128 bits.
    #[expect(clippy::disallowed_methods, reason = "this is where chance comes in")]
    pub fn next(&self) -> u128 {
        /// Odd, so that multiplying by it maps no two numbers to one.
        const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        match self {
            Self::System => rand::random(),
            Self::Counting(counter) => {
                u128::from(counter.fetch_add(1, Ordering::SeqCst) + 1).wrapping_mul(SPREAD)
            }
        }
    }

    /// 32 random bytes, for a secret.
    pub fn next_secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (low, high) = bytes.split_at_mut(16);
        low.copy_from_slice(&self.next().to_be_bytes());
        high.copy_from_slice(&self.next().to_be_bytes());
        bytes
    }
}
