//! The reasons why a request refuses a step of its sender or of a recipient.

use std::time::Duration;

use super::{CHANGES_MAX, Row};

/// The reason why a request did not change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The recipient has answered, and the first answer is final.
    #[error("this recipient has already answered; the first answer counts")]
    AlreadyAnswered(Box<Row>),
    /// It has ended, or its deadline has passed.
    #[error("this request no longer accepts answers")]
    Ended,
    /// It has ended, so it cannot be cancelled, and nobody is reminded.
    #[error("this request has already ended")]
    AlreadyFinished,
    /// The recipient is not asked yet.
    #[error("this recipient is not asked yet")]
    NotAsked,
    /// As many recipients have answered as were asked at first.
    #[error("enough others have answered this request")]
    NoOpenPlace,
    /// It is too soon for another reminder.
    #[error("a reminder was sent less than 10 minutes ago")]
    RemindedTooSoon {
        /// The time until the next one can be sent.
        left: Duration,
    },
    /// It is too soon for another answer of the recipient.
    #[error("an answer can change once a second; try again")]
    ChangedTooSoon,
    /// The recipient has used up all changes.
    #[error("this answer has changed {CHANGES_MAX} times; the last one counts")]
    ChangedTooOften {
        /// The time that is left to answer.
        left: Duration,
    },
    /// The code was wrong too often.
    #[error("the code was wrong too often; this link is locked until a new code is issued")]
    LinkLocked,
    /// Its outbox is full.
    #[error("too many answers are arriving at once; try again")]
    TooBusy,
    /// It was erased.
    #[error("this request was erased")]
    Erased,
}
