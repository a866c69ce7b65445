//! The service's clock as the clock of the emulated AWS, so both always show the same time.

use std::{sync::Arc, time::Duration};

use answerback::platform::Clock;
use jiff::Timestamp;
use local_aws::Sleep;

/// An emulator's clock that follows the service's clock.
#[derive(Clone, Debug)]
pub struct EmulatorClock(Clock);

impl EmulatorClock {
    /// A clock that shows the time of `clock`.
    pub fn shared(clock: Clock) -> Arc<Self> {
        Arc::new(Self(clock))
    }
}

impl local_aws::Clock for EmulatorClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, length: Duration) -> Sleep<'_> {
        Box::pin(self.0.sleep(length))
    }
}
