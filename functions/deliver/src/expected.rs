//! What the sender of a hint knew about its delivery.

use answerback::platform::Lane;

/// The content of a hint at a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Number of attempts that had started when the hint was sent. If there are more, the hint is
    /// stale.
    pub(crate) attempt: u32,
    /// Number of workers in a row that passed the hint on.
    pub(crate) hops: u32,
    /// The queue that the hint came from.
    pub(crate) lane: Lane,
}
