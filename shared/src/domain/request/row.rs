//! A row: the answer of one recipient, as it is recorded.

use jiff::Timestamp;

use super::Proof;
use crate::domain::{OpId, question::Answer};

/// Most changes of one recipient's answer.
pub const CHANGES_MAX: u32 = 200;

/// One recipient's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The answer. Empty after the result was consumed or expired.
    pub answer: Answer,
    /// The time of the answer.
    pub at: Timestamp,
    /// The operation that recorded it.
    pub op: OpId,
    /// The way in which it was shown who answers.
    pub proof: Proof,
    /// The number of answers before this one.
    pub n_changes: u32,
    /// The number of the event that reports it, if it has subscribers.
    pub event: Option<u32>,
    /// The operations whose answers it replaced, the latest last. A repeated write recognizes
    /// itself here even if another answer came in between.
    pub replaced: Vec<OpId>,
}
