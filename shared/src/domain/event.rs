//! Events: facts that callbacks and webhooks report.
//!
//! ```text
//!   a request's step ─▶ RequestEvent in the request's outbox ─┐
//!   POST /v1/events  ─▶ Event, an item with its own timer ────┴─ dispatch ─▶ deliveries
//! ```
//!
//! Every event has an [`EventType`], such as `request.finished`. A webhook subscribes to types with
//! [`Filter`]s. [`Subscriptions`] is a summary of all filters of an account for one question: does
//! a request have to record this event at all?

use std::{borrow::Cow, fmt};

use super::EventId;

/// Longest event type, in characters.
pub const TYPE_CHARS_MAX: usize = 100;
/// The beginning of the types of request events. No posted event has such a type.
pub const REQUEST_PREFIX: &str = "request.";
/// Most words in an event type.
const TYPE_WORDS_MAX: usize = 4;

/// The type of an event: two to four words with dots in between, such as `job.failed`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Cow<'static, str>);

/// A set of event types: one (`job.failed`), all with a prefix (`job.*`), or all (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

/// The source of an event: whose statement it is.
///
/// Callbacks about the two are signed with different secrets, and some bodies serve only one of
/// them. So no receiver can take what an account posted for what Answerback observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A request: Answerback observed the event.
    Requests,
    /// The account posted the event.
    Events,
}

/// The kinds of request events that an account's webhooks subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriptions(u16);

/// The kinds of events of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestEvent {
    /// A request was created.
    RequestCreated,
    /// A recipient answered.
    RequestAnswered,
    /// A request ended in any way except cancellation.
    RequestFinished,
    /// The sender cancelled a request.
    RequestCancelled,
    /// A recipient's link was locked, because its code was wrong too often.
    RequestLinkLocked,
    /// No recipient who could still answer was reached.
    RequestUnreachable,
    /// A message did not reach its recipient.
    NotificationFailed,
    /// The recipients who have not answered were reminded.
    RequestReminded,
    /// Further recipients are asked.
    RequestEscalated,
}

impl Source {
    /// The source of the event with this id.
    pub fn of(event: EventId) -> Self {
        if event.request().is_some() { Self::Requests } else { Self::Events }
    }
}

impl RequestEvent {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::RequestCreated,
        Self::RequestAnswered,
        Self::RequestFinished,
        Self::RequestCancelled,
        Self::RequestLinkLocked,
        Self::RequestUnreachable,
        Self::NotificationFailed,
        Self::RequestReminded,
        Self::RequestEscalated,
    ];

    /// The name of the kind in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestCreated => "request.created",
            Self::RequestAnswered => "request.answered",
            Self::RequestFinished => "request.finished",
            Self::RequestCancelled => "request.cancelled",
            Self::RequestLinkLocked => "request.link_locked",
            Self::RequestUnreachable => "request.unreachable",
            Self::NotificationFailed => "notification.failed",
            Self::RequestReminded => "request.reminded",
            Self::RequestEscalated => "request.escalated",
        }
    }

    /// The kind with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The event bus gets this kind, if a bus is configured.
    pub fn is_published(self) -> bool {
        match self {
            Self::RequestCreated | Self::RequestFinished => true,
            Self::RequestAnswered
            | Self::RequestCancelled
            | Self::RequestLinkLocked
            | Self::RequestUnreachable
            | Self::NotificationFailed
            | Self::RequestReminded
            | Self::RequestEscalated => false,
        }
    }
}

impl EventType {
    /// The type with this name.
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

    /// The name of the type in the API.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Filter {
    /// The filter with this text.
    pub fn parse(text: &str) -> Option<Self> {
        // A `*` matches one or more words, but never none.
        let of_type = text.strip_suffix('*').map_or_else(|| text.to_owned(), |it| format!("{it}x"));
        let is_filter = text == "*" || EventType::parse(&of_type).is_some();
        let is_whole = !text.ends_with('*') || text == "*" || text.ends_with(".*");
        (is_filter && is_whole).then(|| Self(text.to_owned()))
    }

    /// The text of the filter in the API.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All types that pass the filter are events of requests.
    pub fn is_of_requests(&self) -> bool {
        self.0.starts_with(REQUEST_PREFIX) || self.0 == RequestEvent::NotificationFailed.as_str()
    }

    /// Some events of requests pass the filter.
    pub fn may_match_requests(&self) -> bool {
        self.is_of_requests() || self.matches(RequestEvent::NotificationFailed.as_str())
    }

    /// Events of this type pass the filter.
    pub fn matches(&self, event_type: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => event_type.starts_with(beginning),
            None => event_type == self.0,
        }
    }
}

impl Subscriptions {
    /// No kind has subscribers.
    pub const NONE: Self = Self(0);
    /// Every kind may have subscribers. This is the safe assumption: an event without subscribers
    /// costs one write, and an event that was not recorded is lost.
    pub const ALL: Self = Self(u16::MAX);

    /// The kinds for which `wants` is true.
    pub fn of(wants: impl Fn(RequestEvent) -> bool) -> Self {
        let wanted = RequestEvent::ALL.into_iter().filter(|it| wants(*it));
        Self(wanted.fold(0, |bits, kind| bits | 1 << kind as u8))
    }

    /// This kind has subscribers.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_is_a_type_a_prefix_or_a_star() {
        for text in ["*", "job.*", "job.failed", "a.b.c.*", "request.finished"] {
            assert!(Filter::parse(text).is_some(), "{text}");
        }
        for text in
            ["", "**", "job", "job*", "job.fail*", "*.failed", "job.", "Job.*", ".*", "a.b.c.d.*"]
        {
            assert!(Filter::parse(text).is_none(), "{text}");
        }
        let matches =
            |filter, event_type| Filter::parse(filter).expect("a filter").matches(event_type);
        assert!(matches("*", "job.failed") && matches("job.*", "job.failed"));
        assert!(matches("job.*", "job.night.failed") && matches("job.failed", "job.failed"));
        assert!(!matches("job.*", "jobs.failed") && !matches("job.failed", "job.failed.twice"));
    }

    #[test]
    fn subscriptions_contain_the_kinds_of_all_subscribers() {
        let subscriptions = Subscriptions::of(|it| it == RequestEvent::RequestFinished);
        let wanted = RequestEvent::ALL.map(|it| subscriptions.wants(it));
        assert_eq!(wanted, RequestEvent::ALL.map(|it| it == RequestEvent::RequestFinished));
        assert!(RequestEvent::ALL.iter().all(|it| Subscriptions::ALL.wants(*it)));
        assert!(!RequestEvent::ALL.iter().any(|it| Subscriptions::NONE.wants(*it)));
    }
}
