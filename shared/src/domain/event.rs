//! What can happen, and be told.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;

use super::{EventId, question::Answer};

/// Longest type of an event, in characters.
pub const TYPE_CHARS_MAX: usize = 100;
/// Most words in the type of an event.
const TYPE_WORDS_MAX: usize = 4;

/// What kind of event it is, as the API writes it: two to four words with full stops between.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Cow<'static, str>);

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

impl EventType {
    /// The type that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        let is_word = |it: &str| {
            let is_letter = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
            !it.is_empty() && it.bytes().all(is_letter)
        };
        let n_words = text.split('.').count();
        let is_type = (2..=TYPE_WORDS_MAX).contains(&n_words)
            && text.len() <= TYPE_CHARS_MAX
            && text.split('.').all(is_word);
        is_type.then(|| Self(Cow::Owned(text.to_owned())))
    }

    /// As it is written in the API.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<EventKind> for EventType {
    fn from(kind: EventKind) -> Self {
        Self(Cow::Borrowed(kind.as_str()))
    }
}

impl PartialEq<EventKind> for EventType {
    fn eq(&self, kind: &EventKind) -> bool {
        self.0 == kind.as_str()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
