//! The emulator's clock. Delays and visibility timeouts follow it, so a test that moves its clock
//! moves them too.

use std::{fmt, pin::Pin, time::Duration};

use jiff::Timestamp;

/// Reads the time and waits for it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Waits until `length` has passed.
    fn sleep(&self, length: Duration) -> Sleep<'_>;
}

/// A wait that a [`Clock`] ends.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the emulator's only source of time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the emulator's only way to wait")]
    fn sleep(&self, length: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(length))
    }
}
