//! What can happen, and be told.

use jiff::Timestamp;

use super::{EventId, question::Answer};

/// The kinds of event that a request brings forth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A request was made.
    RequestCreated,
    /// Somebody answered.
    RequestAnswered,
    /// A request ended, however, but for being cancelled.
    RequestFinished,
    /// Its sender cancelled a request.
    RequestCancelled,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::RequestCreated,
        Self::RequestAnswered,
        Self::RequestFinished,
        Self::RequestCancelled,
    ];

    /// As it is written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestCreated => "request.created",
            Self::RequestAnswered => "request.answered",
            Self::RequestFinished => "request.finished",
            Self::RequestCancelled => "request.cancelled",
        }
    }

    /// The kind that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// Something that happened to a request, not yet told.
///
/// It is kept in the request's outbox, in the same write as what happened. What it tells is
/// frozen: `answered` here; all else that a callback says of a request never changes after that.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which of the request's events it is, counted from 1.
    pub number: u32,
    /// What happened.
    pub kind: EventKind,
    /// When it happened.
    pub at: Timestamp,
    /// For [`EventKind::RequestAnswered`]: whose answer, and what they said.
    pub answered: Option<Answered>,
}

/// One recipient's answer, as an event tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The recipient's row.
    pub row: usize,
    /// What they said.
    pub answer: Answer,
}

impl Event {
    /// The identifier of this event of the request called `request`.
    pub fn id(&self, request: super::RequestId) -> EventId {
        request.event(self.number)
    }
}
