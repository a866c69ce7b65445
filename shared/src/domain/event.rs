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

/// Which types of event are wanted: one (`job.failed`), all that begin so (`job.*`), or all (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

/// Which kinds of a request's events webhooks want to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriptions(u8);

/// The kinds of event that a request brings forth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestEvent {
    /// A request was made.
    RequestCreated,
    /// Somebody answered.
    RequestAnswered,
    /// A request ended, however, but for being cancelled.
    RequestFinished,
    /// Its sender cancelled a request.
    RequestCancelled,
}

impl RequestEvent {
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

impl Filter {
    /// The filter that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        // What stands for a word may stand for several, but never for none.
        let of_type = text.strip_suffix('*').map_or_else(|| text.to_owned(), |it| format!("{it}x"));
        let is_filter = text == "*" || EventType::parse(&of_type).is_some();
        let is_whole = !text.ends_with('*') || text == "*" || text.ends_with(".*");
        (is_filter && is_whole).then(|| Self(text.to_owned()))
    }

    /// As it is written in the API.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lets events of this type through.
    pub fn matches(&self, event_type: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => event_type.starts_with(beginning),
            None => event_type == self.0,
        }
    }
}

impl Subscriptions {
    /// Nobody is told anything.
    pub const NONE: Self = Self(0);
    /// Somebody may want to be told of everything. In doubt this is so: an event that nobody wants
    /// costs a write, and one that was not kept is lost.
    pub const ALL: Self = Self(u8::MAX);

    /// Of what somebody wants to be told.
    pub fn of(wants: impl Fn(RequestEvent) -> bool) -> Self {
        let wanted = RequestEvent::ALL.into_iter().filter(|it| wants(*it));
        Self(wanted.fold(0, |bits, kind| bits | 1 << kind as u8))
    }

    /// Whether somebody wants to be told of this.
    pub fn wants(self, kind: RequestEvent) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

impl From<RequestEvent> for EventType {
    fn from(kind: RequestEvent) -> Self {
        Self(Cow::Borrowed(kind.as_str()))
    }
}

impl PartialEq<RequestEvent> for EventType {
    fn eq(&self, kind: &RequestEvent) -> bool {
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
pub struct OutboxEvent {
    /// Which of the request's events it is, counted from 1.
    pub number: u32,
    /// What happened.
    pub kind: RequestEvent,
    /// When it happened.
    pub at: Timestamp,
    /// For [`RequestEvent::RequestAnswered`]: whose answer, and what they said.
    pub answered: Option<RecordedAnswer>,
}

/// One recipient's answer, as an event tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedAnswer {
    /// The recipient's row.
    pub row: usize,
    /// What they said.
    pub answer: Answer,
}

impl OutboxEvent {
    /// The identifier of this event of the request called `request`.
    pub fn id(&self, request: super::RequestId) -> EventId {
        request.event(self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_type_a_beginning_or_everything() {
        for text in ["*", "job.*", "job.failed", "a.b.c.*", "request.finished"] {
            assert!(Filter::parse(text).is_some(), "{text}");
        }
        for text in
            ["", "**", "job", "job*", "job.fail*", "*.failed", "job.", "Job.*", ".*", "a.b.c.d.*"]
        {
            assert!(Filter::parse(text).is_none(), "{text}");
        }
        let matches = |filter, event_type| Filter::parse(filter).expect("one").matches(event_type);
        assert!(matches("*", "job.failed") && matches("job.*", "job.failed"));
        assert!(matches("job.*", "job.night.failed") && matches("job.failed", "job.failed"));
        assert!(!matches("job.*", "jobs.failed") && !matches("job.failed", "job.failed.twice"));
    }

    #[test]
    fn subscriptions_want_the_kinds_of_any_subscriber() {
        let subscriptions = Subscriptions::of(|it| it == RequestEvent::RequestFinished);
        let wanted = RequestEvent::ALL.map(|it| subscriptions.wants(it));
        assert_eq!(wanted, RequestEvent::ALL.map(|it| it == RequestEvent::RequestFinished));
        assert!(RequestEvent::ALL.iter().all(|it| Subscriptions::ALL.wants(*it)));
        assert!(!RequestEvent::ALL.iter().any(|it| Subscriptions::NONE.wants(*it)));
    }
}
